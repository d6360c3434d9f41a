"""The model registry (table `models`): workers publish cards, the API validates against them."""

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Connection,
    FromClause,
    Row,
    Text,
    and_,
    cast,
    func,
    literal_column,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert

from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER, ModelCard, Offer
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.db.tables import models as model_tables
from smart_filter_shared.errors import FieldError, NotAvailable
from smart_filter_shared.ids import Capability
from smart_filter_shared.model_registry import card_codec, ensembles, version_skew
from smart_filter_shared.model_registry.published import RegisteredModel, ShadowWeights
from smart_filter_shared.pipeline import LEADING_TASK, STAGE_OF_TASK, StageName, TaskName
from smart_filter_shared.recipe import AUTO, PersonSelection, Recipe, required_stages

# A pool seen within this many days still counts as declared (it may be scaled to zero).
POOL_TTL_DAYS = 30
_RENEW = text("""
    UPDATE models SET offered_at = statement_timestamp(), seen_at = statement_timestamp()
    WHERE (task, name) IN (
        SELECT models.task, models.name FROM models JOIN unnest(
            CAST(:tasks AS text[]), CAST(:names AS text[]), CAST(:fingerprints AS text[])
        ) AS own (task, name, fingerprint) USING (task, name, fingerprint)
        WHERE models.offered_at < statement_timestamp() - interval '12 hours'
        ORDER BY task, name FOR UPDATE OF models SKIP LOCKED
    )
""")
_NEWER_VERSION_FAULT = "published by a later version that this API cannot read: upgrade the API"


@dataclass(frozen=True, slots=True)
class StagePlan:
    """The capability, models and parameters that run one stage of a job.

    models, parameters: by task.
    digests: by task, the digest of the trained weights; absent for a model's own weights.
    shadows: by task, the weights that run in shadow on a share of jobs.
    """

    capability: Capability
    models: Mapping[TaskName, str]
    parameters: Mapping[TaskName, Parameters]
    digests: Mapping[TaskName, str] = field(default_factory=dict)
    shadows: Mapping[TaskName, ShadowWeights] = field(default_factory=dict)


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
    table = model_tables.models
    lately = func.statement_timestamp() - literal_column(f"interval '{POOL_TTL_DAYS} days'")
    of = list(version_skew.current_release() if release is None else release)
    for offer in sorted(offers, key=lambda offer: (offer.card.task, offer.card.name)):
        card = offer.card
        runs = offer.fault is None
        row = insert(table).values(
            task=str(card.task),
            name=card.name,
            capability=card.capability,
            card=dataclasses.asdict(card),
            fingerprint=card.fingerprint,
            release=of,
            fault=offer.fault,
            seen_at=func.statement_timestamp(),
            offered_at=func.statement_timestamp() if runs else None,
        )
        given = row.excluded
        update = {
            "capability": given.capability,
            "card": given.card,
            "fingerprint": given.fingerprint,
            "release": func.greatest(table.c.release, given.release),
            "fault": given.fault,
            "seen_at": given.seen_at,
        }
        decides = runs or offer.withdrawn
        not_later = or_(
            func.coalesce(table.c.release <= given.release, True),
            func.coalesce(table.c.fingerprint == given.fingerprint, False),
        )
        connection.execute(
            row.on_conflict_do_update(
                index_elements=["task", "name"],
                set_={**update, "offered_at": given.offered_at} if decides else update,
                where=not_later
                if decides
                else and_(not_later, func.coalesce(table.c.offered_at <= lately, True)),
            )
        )


def renew(connection: Connection, cards: Collection[ModelCard]) -> None:
    """Renew the offers of models, for a worker that published these cards.

    In a whole fleet one worker writes, at most twice a day: rows locked by another are skipped.
    """
    own = version_skew.to_guard(cards)
    connection.execute(
        _RENEW, {"tasks": own.tasks, "names": own.names, "fingerprints": own.fingerprints}
    )


def list_offered(known: Iterable[RegisteredModel]) -> dict[TaskName, list[ModelCard]]:
    """Return the offered models of each task."""
    found: dict[TaskName, list[ModelCard]] = defaultdict(list)
    for one in known:
        if one.offered:
            found[one.card.task].append(one.card)
    return found


def list_faults(known: Iterable[RegisteredModel]) -> dict[tuple[TaskName, str], str]:
    """Return the reason why each model that is not offered is not, by task and name."""
    return {
        (one.card.task, one.card.name): one.fault or "no worker offered it for a month"
        for one in known
        if not one.offered
    }


def list_models(connection: Connection, *, pools: Collection[str] = ()) -> list[RegisteredModel]:
    """Return all registered models, ordered by task and name.

    pools: capabilities that the configuration declares; they count as offered without a worker.
    """
    table = model_tables.models
    live, shadow = (_versions(state) for state in ("live", "shadow"))
    lately = func.statement_timestamp() - literal_column(f"interval '{POOL_TTL_DAYS} days'")
    offered = func.coalesce(table.c.offered_at > lately, False)
    query = (
        select(
            table.c.task,
            cast(table.c.card, Text).label("card"),
            table.c.capability,
            table.c.fault,
            offered.label("offered"),
            live.c.digest.label("live"),
            shadow.c.digest.label("shadow"),
            shadow.c.share,
        )
        .outerjoin(live, (live.c.task == table.c.task) & (live.c.model == table.c.name))
        .outerjoin(shadow, (shadow.c.task == table.c.task) & (shadow.c.model == table.c.name))
        .order_by(table.c.task, table.c.name)
    )
    return [
        _read_model(row, pools)
        for row in connection.execute(query)
        # Tasks of a later version are skipped.
        if row.task in set(TaskName)
    ]


def plan_stages(known: Sequence[RegisteredModel], recipe: Recipe) -> dict[StageName, StagePlan]:
    """Return the plan of each stage that a recipe runs.

    known: every published model.
    Raises NotAvailable when no declared pool of workers offers a model, InvalidRecipe when an
    ensemble cannot run its members.
    """
    plans: dict[StageName, StagePlan] = {}
    running = required_stages(recipe)
    for task, stage in STAGE_OF_TASK.items():
        if stage not in running:
            continue
        chosen = _choose_model(known, task, recipe.models.get(task, AUTO))
        card = chosen.card
        given = with_entry(card, recipe.params.get(task, {}))
        before = plans.get(stage)
        leads = LEADING_TASK[stage] == task
        plans[stage] = StagePlan(
            capability=ensembles.choose_capability(
                known, card, given, tells_apart=recipe.persons != PersonSelection.ALL
            )
            if leads or before is None
            else before.capability,
            models={**({} if before is None else before.models), task: card.name},
            parameters={
                **({} if before is None else before.parameters),
                **({task: given} if given else {}),
            },
            digests={**({} if before is None else before.digests), **trained_digests(chosen)},
            shadows={
                **({} if before is None else before.shadows),
                **({} if chosen.shadow is None else {task: chosen.shadow}),
            },
        )
    return plans


def trained_digests(known: RegisteredModel) -> dict[TaskName, str]:
    """Return the digest of a model's trained weights by its task; empty for its own weights."""
    return {} if known.live is None else {known.card.task: known.live}


def with_entry(card: ModelCard, params: Parameters) -> Parameters:
    """Return a recipe's parameters of a model, with the entry (file of weights) filled in.

    The default entry depends on the files in a worker's folder. The row names it, so that every
    attempt runs the same weights on every machine.
    """
    entry = card.parameter(ENTRY_PARAMETER)
    return params if entry is None else {ENTRY_PARAMETER: entry.default, **params}


def _choose_model(known: Sequence[RegisteredModel], task: TaskName, name: str) -> RegisteredModel:
    of_task = [one for one in known if one.card.task == task]
    for one in of_task:
        wanted = one.card.default if name == AUTO else one.card.name == name
        if wanted and one.offered:
            return one
    names = ", ".join(one.card.name for one in of_task if one.offered) or "none"
    meant = [one for one in of_task if name in (one.card.name, AUTO if one.card.default else "")]
    fault = next((one.fault for one in meant if one.fault), None)
    why = f" ({fault})" if fault else ""
    detail = (
        f"no pool of workers offers {name}{why}; offered: {names}. "
        f"Start a worker for {STAGE_OF_TASK[task]}"
    )
    raise NotAvailable([FieldError(f"/{task}/model", detail)])


def _versions(state: str) -> FromClause:
    """Return a subquery of the weight versions in a state; each model has at most one."""
    table = model_tables.model_versions
    return table.select().where(table.c.state == state).subquery()


def _read_model(row: Row[Any], pools: Collection[str]) -> RegisteredModel:
    try:
        card = card_codec.decode(row.card)
    except (KeyError, TypeError, ValueError):
        return RegisteredModel(
            card_codec.decode_identity(row.card), offered=False, fault=_NEWER_VERSION_FAULT
        )
    return RegisteredModel(
        card,
        # Models that do not lead a stage, such as those of eyes, are stored under the stage alone
        # and run wherever the stage is served.
        row.offered or any(row.capability in {pool, pool.partition(".")[0]} for pool in pools),
        row.fault,
        live=row.live,
        shadow=None if row.shadow is None else ShadowWeights(row.shadow, row.share),
    )
