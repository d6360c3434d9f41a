"""The table `models`: workers publish the cards of their models, the API reads them.

Recipes are validated against these cards. A worker with another card of the same model would make
other pictures, so it claims nothing of that capability (version skew).
"""

import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, text

from smart_filter_shared.catalog.model_card import ModelCard, Offer
from smart_filter_shared.catalog.parameters import Parameter
from smart_filter_shared.db import driver_queries
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.queue.leases import VersionGuard

# A pool seen within this many days still counts as declared (it may be scaled to zero).
POOL_TTL_DAYS: Final = 30
_NEWER_VERSION_FAULT = "published by a later version that this API cannot read: upgrade the API"
_CARD: Final = TypeAdapter(ModelCard)

_FIND_SKEW = text("""
    SELECT task, name, models.card ->> 'version'
    FROM models JOIN json_to_recordset(CAST(CAST(:cards AS text) AS json))
        AS own (task text, name text, fingerprint text) USING (task, name)
    WHERE models.fingerprint <> own.fingerprint
    ORDER BY task, name
""")


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """A row of the table, with the model's trained weights.

    offered: whether a declared pool of workers runs it, even one scaled to zero.
    served: whether it is offered and a worker is registered for it, or its pool is declared.
    fault: why the process that published it last could not run it, with the remedy.
    live: the digest of the trained weights that it runs with; None: its own weights.
    """

    card: ModelCard
    offered: bool
    fault: str | None = None
    live: str | None = None
    served: bool = False


_PUBLISH = text("""
    INSERT INTO models AS known (
        task, name, capability, card, fingerprint, release, fault, seen_at, offered_at
    ) VALUES (
        :task, :name, :capability, CAST(:card AS jsonb), :fingerprint, CAST(:release AS integer[]),
        :fault, statement_timestamp(), CASE WHEN :runs THEN statement_timestamp() END
    )
    ON CONFLICT (task, name) DO UPDATE SET
        capability = excluded.capability,
        card = excluded.card,
        fingerprint = excluded.fingerprint,
        release = greatest(known.release, excluded.release),
        fault = excluded.fault,
        seen_at = excluded.seen_at,
        offered_at = CASE WHEN :decides THEN excluded.offered_at ELSE known.offered_at END
    WHERE (
        known.release <= excluded.release OR known.fingerprint = excluded.fingerprint
    ) AND (
        :decides OR coalesce(
            known.offered_at <= statement_timestamp() - make_interval(days => :pool_days), true
        )
    )
""")


def publish(
    connection: Connection, offers: Iterable[Offer], *, release: Sequence[int] | None = None
) -> None:
    """Publish model cards; a newer card replaces an older one.

    release: the version of the code that the cards belong to; None: this one. A card of a later
    version stays, unless the cards are equal: a restart of a worker that was not upgraded yet must
    not undo the upgrade.

    A worker that cannot run a model does not replace the card of a worker that could within
    POOL_TTL_DAYS, because its card may list other choices. A withdrawn model is no longer offered,
    even if some workers can run it. Rows are written in the order of their keys, so that two
    publishers cannot deadlock.
    """
    published_by = list(current_release() if release is None else release)
    for offer in sorted(offers, key=lambda offer: (offer.card.task, offer.card.name)):
        card = offer.card
        runs = offer.fault is None
        connection.execute(
            _PUBLISH,
            {
                "task": str(card.task),
                "name": card.name,
                "capability": card.capability,
                "card": json.dumps(dataclasses.asdict(card)),
                "fingerprint": card.fingerprint,
                "release": published_by,
                "fault": offer.fault,
                "runs": runs,
                "decides": runs or offer.withdrawn,
                "pool_days": POOL_TTL_DAYS,
            },
        )


_RENEW = text("""
    UPDATE models SET offered_at = statement_timestamp(), seen_at = statement_timestamp()
    WHERE (task, name) IN (
        SELECT models.task, models.name FROM models JOIN json_to_recordset(CAST(:cards AS json))
            AS own (task text, name text, fingerprint text) USING (task, name, fingerprint)
        WHERE models.offered_at < statement_timestamp() - interval '12 hours'
        ORDER BY task, name FOR UPDATE OF models SKIP LOCKED
    )
""")


def renew(connection: Connection, cards: Collection[ModelCard]) -> None:
    """Renew the offers of models, for a worker that published these cards.

    In a whole fleet one worker writes, at most twice a day: rows locked by another are skipped.
    """
    connection.execute(_RENEW, {"cards": to_guard(cards)})


# At most one version of a model is live.
_LIST = text("""
    SELECT models.task, CAST(models.card AS text) AS card, models.capability, models.fault,
        coalesce(
            models.offered_at > statement_timestamp() - make_interval(days => :pool_days), false
        ) AS offered,
        EXISTS (SELECT FROM workers WHERE models.capability = ANY (workers.capabilities)) AS served,
        live.digest AS live
    FROM models
        LEFT JOIN model_versions AS live ON live.state = 'live'
            AND live.task = models.task AND live.model = models.name
    ORDER BY models.task, models.name
""")


def list_models(connection: Connection, *, pools: Collection[str] = ()) -> list[PublishedModel]:
    """Return all published models, ordered by task and name.

    pools: capabilities that the configuration declares; they count as offered without a worker.
    """
    return [
        _read_model(row, pools)
        for row in connection.execute(_LIST, {"pool_days": POOL_TTL_DAYS})
        # Tasks of a later version are skipped.
        if row.task in set(TaskName)
    ]


def without_emotions(published: Sequence[PublishedModel], *, why: str) -> list[PublishedModel]:
    """Turn off the models that read emotions; return all models, with others as the defaults.

    why: the reason, as the fault of the models that are turned off.
    """
    replaced = {
        model.card.task for model in published if model.card.emotions and model.card.default
    }
    return [
        dataclasses.replace(
            model, card=dataclasses.replace(model.card, default=False), offered=False, fault=why
        )
        if model.card.emotions
        else dataclasses.replace(model, card=dataclasses.replace(model.card, default=True))
        if model.card.stands_in and model.card.task in replaced
        else model
        for model in published
    ]


def list_offered(published: Iterable[PublishedModel]) -> dict[TaskName, list[ModelCard]]:
    """Return the offered models of each task."""
    offered: dict[TaskName, list[ModelCard]] = defaultdict(list)
    for model in published:
        if model.offered:
            offered[model.card.task].append(model.card)
    return offered


def list_faults(published: Iterable[PublishedModel]) -> dict[tuple[TaskName, str], str]:
    """Return the reason why each model that is not offered is not, by task and name."""
    return {
        (model.card.task, model.card.name): model.fault or "no worker offered it for a month"
        for model in published
        if not model.offered
    }


def _read_model(row: Row[Any], pools: Collection[str]) -> PublishedModel:
    try:
        card = _decode_card(row.card)
    except (KeyError, TypeError, ValueError):
        return PublishedModel(_decode_identity(row.card), offered=False, fault=_NEWER_VERSION_FAULT)
    # Models that do not lead a stage, such as models of eyes, are stored under the stage alone
    # and run wherever the stage is served.
    declared = any(row.capability in {pool, pool.partition(".")[0]} for pool in pools)
    return PublishedModel(
        card,
        row.offered or declared,
        row.fault,
        live=row.live,
        served=(row.offered and row.served) or declared,
    )


# Cards are read once a second or more often, and they rarely change.
@lru_cache(maxsize=256)
def _decode_card(card: str) -> ModelCard:
    """Return the card of a stored JSON text, which another version may have written.

    Raises KeyError, TypeError or ValueError when this version cannot read it.
    """
    stored = _known_fields(ModelCard, json.loads(card))
    stored["parameters"] = [
        _known_fields(Parameter, parameter) for parameter in stored["parameters"]
    ]
    return _CARD.validate_python(stored)


def _known_fields(kind: type[ModelCard | Parameter], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that this version has.  Raises ValueError for another non-empty field.

    An empty field of a later version has no effect, so it is ignored.
    """
    names = {field.name for field in dataclasses.fields(kind)}
    unknown = sorted(name for name in stored.keys() - names if stored[name])
    if unknown:
        raise ValueError(f"this version does not know the fields {', '.join(unknown)}")
    return {name: value for name, value in stored.items() if name in names}


def _decode_identity(card: str) -> ModelCard:
    """Return the identity of a stored card, which every version can read."""
    stored = json.loads(card)
    return ModelCard(
        name=stored["name"],
        version=str(stored.get("version", "")),
        task=TaskName(stored["task"]),
        family=str(stored.get("family", "")),
        title=str(stored.get("title", "")),
        source=str(stored.get("source", "")),
        license=str(stored.get("license", "")),
        data_terms=str(stored.get("data_terms", "")),
        default=bool(stored.get("default")),
    )


def select_cards(capability: Capability, cards: Iterable[ModelCard]) -> VersionGuard:
    """Return the cards that decide a capability's results, with its stage's light models."""
    return to_guard(
        card
        for card in cards
        if card.capability == capability or capability.startswith(f"{card.capability}.")
    )


def to_guard(cards: Iterable[ModelCard]) -> VersionGuard:
    """Return cards as the JSON that statements take."""
    fields = ("task", "name", "fingerprint")
    objects = [{field: getattr(card, field) for field in fields} for card in cards]
    return VersionGuard(json.dumps(objects))


def current_release() -> tuple[int, ...]:
    """Return the version of this code as a tuple of numbers, which compare like versions."""
    return tuple(int(part) for part in re.findall(r"[0-9]+", version("smart-filter"))[:3])


def reset_release(connection: Connection) -> None:
    """Let cards of this version replace the cards of a later one, as after a rollback."""
    connection.execute(
        text("UPDATE models SET release = :own WHERE release > CAST(:own AS integer[])"),
        {"own": list(current_release())},
    )


def find_skew(connection: Connection, cards: Sequence[ModelCard]) -> dict[Capability, str]:
    """Return the capabilities whose published cards differ from one's own, with the remedy."""
    rows = driver_queries.fetch_rows(connection, _FIND_SKEW, {"cards": to_guard(cards)})
    reasons: dict[Capability, str] = {}
    for task, name, published in rows:
        card = next(card for card in cards if (card.task, card.name) == (task, name))
        why = (
            f"{card.task} {card.name} has version {card.version} here, but jobs are accepted for"
            f" version {published} with other parameters or weights: run workers and API of one"
            " version"
        )
        for capability in {other.capability for other in cards if other.stage == card.stage}:
            if not card.leads or capability == card.capability:
                reasons.setdefault(capability, why)
    return reasons
