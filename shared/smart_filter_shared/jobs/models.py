"""The table of models: published by workers, read to validate and to answer."""

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

from smart_filter_shared.cards import (
    ENTRY,
    LEADING_TASK,
    STAGE_OF_TASK,
    ModelCard,
    Offer,
    TaskName,
)
from smart_filter_shared.db import model_tables
from smart_filter_shared.errors import FieldError, NotAvailable
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import ensembles, skew, stored_cards
from smart_filter_shared.jobs.published import Published, Shadow
from smart_filter_shared.parameters import Parameters
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import AUTO, Recipe, Whom, stages

# A pool that was seen within so many days is taken for one that is scaled to zero.
DECLARED_DAYS = 30
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
_LATER = "published by a later version, which this API cannot read: upgrade the API"


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs one stage of a job: models and their parameters by task, and whom it rings.

    digests: the trained weights that they run with, by task, of those that have any.
    shadows: the weights that are tried beside them on some jobs.
    """

    capability: Capability
    models: Mapping[TaskName, str]
    parameters: Mapping[TaskName, Parameters]
    digests: Mapping[TaskName, str] = field(default_factory=dict)
    shadows: Mapping[TaskName, Shadow] = field(default_factory=dict)


def publish(
    connection: Connection, offers: Iterable[Offer], *, release: Sequence[int] | None = None
) -> None:
    """Make models known; a newer card replaces an older one.

    release: of which version of the code they are; None: of this one. What a later version
    published stays, unless the card is the same: a worker that is late for an upgrade and
    starts again must not undo it.

    Who cannot run a model replaces nothing of whom could within DECLARED_DAYS: its card may
    list other choices. One that is withdrawn is offered no longer, whoever could run it. Rows
    are written in the order of their keys, so that two publishers cannot deadlock.
    """
    table = model_tables.models
    lately = func.statement_timestamp() - literal_column(f"interval '{DECLARED_DAYS} days'")
    of = list(skew.own_release() if release is None else release)
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
    """Say that models are offered still, by a worker that published these cards.

    Of a whole fleet one writes, twice a day at most: what another is at is passed over.
    """
    own = skew.own_arrays(cards)
    connection.execute(
        _RENEW, {"tasks": own.tasks, "names": own.names, "fingerprints": own.fingerprints}
    )


def offered(known: Iterable[Published]) -> dict[TaskName, list[ModelCard]]:
    """Return for each task the models that some pool of workers serves."""
    found: dict[TaskName, list[ModelCard]] = defaultdict(list)
    for one in known:
        if one.offered:
            found[one.card.task].append(one.card)
    return found


def faults(known: Iterable[Published]) -> dict[tuple[TaskName, str], str]:
    """Return why others are not offered, by task and name."""
    return {
        (one.card.task, one.card.name): one.fault or "none was seen for a month"
        for one in known
        if not one.offered
    }


def published(connection: Connection, *, pools: Collection[str] = ()) -> list[Published]:
    """Return all models that are known, by task and name.

    pools: capabilities that the configuration declares, whether or not a worker was seen.
    """
    table = model_tables.models
    live, shadow = (_versions(state) for state in ("live", "shadow"))
    lately = func.statement_timestamp() - literal_column(f"interval '{DECLARED_DAYS} days'")
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
        _published(row, pools)
        for row in connection.execute(query)
        # What a later version knows to do, and this one does not.
        if row.task in set(TaskName)
    ]


def choose(known: Sequence[Published], recipe: Recipe) -> dict[StageName, Plan]:
    """Return what runs each stage of a recipe.

    known: every model published.  Raises NotAvailable when no declared pool of workers
    offers one, InvalidRecipe when an ensemble cannot have its members.
    """
    plans: dict[StageName, Plan] = {}
    running = stages(recipe)
    for task, stage in STAGE_OF_TASK.items():
        if stage not in running:
            continue
        chosen = _chosen(known, task, recipe.models.get(task, AUTO))
        card = chosen.card
        given = with_entry(card, recipe.params.get(task, {}))
        before = plans.get(stage)
        leads = LEADING_TASK[stage] == task
        plans[stage] = Plan(
            capability=ensembles.pool(known, card, given, tells_apart=recipe.persons != Whom.ALL)
            if leads or before is None
            else before.capability,
            models={**({} if before is None else before.models), task: card.name},
            parameters={
                **({} if before is None else before.parameters),
                **({task: given} if given else {}),
            },
            digests={**({} if before is None else before.digests), **digests_of(chosen)},
            shadows={
                **({} if before is None else before.shadows),
                **({} if chosen.shadow is None else {task: chosen.shadow}),
            },
        )
    return plans


def digests_of(known: Published) -> dict[TaskName, str]:
    """Return the trained weights that a model runs with by its task; empty for its own."""
    return {} if known.live is None else {known.card.task: known.live}


def with_entry(card: ModelCard, params: Parameters) -> Parameters:
    """Return what a recipe sets for a model, and which of its entries is meant.

    Which one is the default depends on what lies in a worker's folder: rows name it, so that
    every attempt, on whatever machine, is at the same work.
    """
    entry = card.parameter(ENTRY)
    return params if entry is None else {ENTRY: entry.default, **params}


def _chosen(known: Sequence[Published], task: TaskName, name: str) -> Published:
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
    """Return the versions of models' weights that are in a state, of which each has one at most."""
    table = model_tables.model_versions
    return table.select().where(table.c.state == state).subquery()


def _published(row: Row[Any], pools: Collection[str]) -> Published:
    try:
        card = stored_cards.read(row.card)
    except (KeyError, TypeError, ValueError):
        return Published(stored_cards.outline(row.card), offered=False, fault=_LATER)
    return Published(
        card,
        # Those beside leading ones, such as models of eyes, stand under their stage alone, and are
        # there wherever it is served.
        row.offered or any(row.capability in {pool, pool.partition(".")[0]} for pool in pools),
        row.fault,
        live=row.live,
        shadow=None if row.shadow is None else Shadow(row.shadow, row.share),
    )
