"""The table of models: published by workers, read to validate and to answer."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert

from smart_filter_shared.cards import (
    ENTRY,
    LEADING_TASK,
    MEMBERS,
    STAGE_OF_TASK,
    WEIGHTS,
    ModelCard,
    Offer,
    TaskName,
    WeightsFile,
)
from smart_filter_shared.db import tables
from smart_filter_shared.errors import FieldError, InvalidRecipe, NotAvailable
from smart_filter_shared.ids import Capability
from smart_filter_shared.parameters import Kind, Parameter, Parameters
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import AUTO, Recipe, stages

# A pool that was seen within so many days is taken for one that is scaled to zero.
DECLARED_DAYS = 30


@dataclass(frozen=True, slots=True)
class Published:
    """A model that is known.

    offered: whether a declared pool of workers runs it, be it scaled to zero.
    fault: why the last process that published it could not run it, with the remedy.
    """

    card: ModelCard
    offered: bool
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs one stage of a job: models and their parameters by task, and whom it rings."""

    capability: Capability
    models: Mapping[TaskName, str]
    parameters: Mapping[TaskName, Parameters]


def publish(connection: Connection, offers: Iterable[Offer]) -> None:
    """Make models known; a newer card replaces an older one.

    Who cannot run a model replaces nothing of whom could within DECLARED_DAYS: its card may
    list other choices. Rows are written in the order of their keys, so that two publishers
    cannot deadlock.
    """
    table = tables.models
    lately = func.statement_timestamp() - literal_column(f"interval '{DECLARED_DAYS} days'")
    for offer in sorted(offers, key=lambda offer: (offer.card.task, offer.card.name)):
        card = offer.card
        runs = offer.fault is None
        row = insert(table).values(
            task=str(card.task),
            name=card.name,
            capability=card.capability,
            card=dataclasses.asdict(card),
            fault=offer.fault,
            seen_at=func.statement_timestamp(),
            offered_at=func.statement_timestamp() if runs else None,
        )
        given = row.excluded
        update = {
            "capability": given.capability,
            "card": given.card,
            "fault": given.fault,
            "seen_at": given.seen_at,
        }
        connection.execute(
            row.on_conflict_do_update(
                index_elements=["task", "name"],
                set_={**update, "offered_at": given.offered_at} if runs else update,
                where=None if runs else func.coalesce(table.c.offered_at <= lately, True),
            )
        )


def published(connection: Connection, *, pools: Collection[str] = ()) -> list[Published]:
    """Return all models that are known, by task and name.

    pools: capabilities that the configuration declares, whether or not a worker was seen.
    """
    table = tables.models
    lately = func.statement_timestamp() - literal_column(f"interval '{DECLARED_DAYS} days'")
    offered = func.coalesce(table.c.offered_at > lately, False)
    query = select(table, offered.label("offered")).order_by(table.c.task, table.c.name)
    return [
        Published(_card(row.card), row.offered or row.capability in pools, row.fault)
        for row in connection.execute(query)
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
        card = _chosen(known, task, recipe.models.get(task, AUTO))
        given = _given(card, recipe.params.get(task, {}))
        before = plans.get(stage)
        leads = LEADING_TASK[stage] == task
        plans[stage] = Plan(
            capability=_capability(known, card, given)
            if leads or before is None
            else before.capability,
            models={**({} if before is None else before.models), task: card.name},
            parameters={
                **({} if before is None else before.parameters),
                **({task: given} if given else {}),
            },
        )
    return plans


def _given(card: ModelCard, params: Parameters) -> Parameters:
    """Return what a recipe sets for a model, and which of its entries is meant.

    Which one is the default depends on what lies in a worker's folder: rows name it, so that
    every attempt, on whatever machine, is at the same work.
    """
    entry = card.parameter(ENTRY)
    return params if entry is None else {ENTRY: entry.default, **params}


def members_of(card: ModelCard, given: Parameters) -> list[str]:
    """Return the models whose mattes an ensemble joins; none for any other model."""
    listed = card.completed(given).get(MEMBERS)
    return [name.strip() for name in listed.split(",")] if isinstance(listed, str) else []


def _capability(known: Sequence[Published], card: ModelCard, given: Parameters) -> Capability:
    """Return what a worker must serve to run a model, and the members of an ensemble with it.

    Each worker of a stage has the models that need nothing of their own, so an ensemble goes
    to the pool of the one member that does.
    """
    members = members_of(card, given)
    _refuse_uneven(card, given, members)
    cards = [_chosen_member(known, card, name) for name in members]
    own = [member for member in cards if not member.everywhere]
    if len(own) > 1:
        names = " and ".join(member.name for member in own)
        detail = f"{names} run in pools of their own; an ensemble can have one such member"
        raise InvalidRecipe([FieldError(f"/{card.task}/params/{MEMBERS}", detail)])
    return own[0].capability if own else card.capability


def _refuse_uneven(card: ModelCard, given: Parameters, members: Sequence[str]) -> None:
    """Refuse an ensemble with other than one weight a member, or with none above nought."""
    listed = card.completed(given).get(WEIGHTS) if members else None
    weights = (
        [float(part) for part in listed.split(",")] if isinstance(listed, str) and listed else []
    )
    if weights and (len(weights) != len(members) or not any(weights)):
        detail = f"gives {len(weights)} weights to {len(members)} members; one each, not all 0"
        raise InvalidRecipe([FieldError(f"/{card.task}/params/{WEIGHTS}", detail)])


def _chosen_member(known: Sequence[Published], ensemble: ModelCard, name: str) -> ModelCard:
    for one in known:
        if one.card.task == ensemble.task and one.card.name == name and not one.card.combines:
            if one.offered:
                return one.card
            break
    names = ", ".join(
        one.card.name
        for one in known
        if one.card.task == ensemble.task and one.offered and not one.card.combines
    )
    detail = f"{name!r} cannot be a member; there are {names}"
    raise InvalidRecipe([FieldError(f"/{ensemble.task}/params/{MEMBERS}", detail)])


def _chosen(known: Sequence[Published], task: TaskName, name: str) -> ModelCard:
    of_task = [one for one in known if one.card.task == task]
    for one in of_task:
        wanted = one.card.default if name == AUTO else one.card.name == name
        if wanted and one.offered:
            return one.card
    names = ", ".join(one.card.name for one in of_task if one.offered) or "none"
    fault = next((one.fault for one in of_task if one.card.name == name and one.fault), None)
    why = f" ({fault})" if fault else ""
    detail = (
        f"no pool of workers offers {name}{why}; offered: {names}. "
        f"Start a worker for {STAGE_OF_TASK[task]}"
    )
    raise NotAvailable([FieldError(f"/{task}/model", detail)])


def _card(stored: Mapping[str, Any]) -> ModelCard:
    size = stored["input_size"]
    # What an older version published lacks later fields; those have defaults.
    return ModelCard(
        **{
            **stored,
            "task": TaskName(stored["task"]),
            "weights": tuple(WeightsFile(**file) for file in stored["weights"]),
            "input_size": None if size is None else (size[0], size[1]),
            "devices": tuple(stored["devices"]),
            "requires": tuple(stored.get("requires", ())),
            "parameters": tuple(_parameter(one) for one in stored.get("parameters", ())),
        }
    )


def _parameter(stored: Mapping[str, Any]) -> Parameter:
    kind, choices = Kind(stored["kind"]), tuple(stored["choices"])
    return Parameter(**{**stored, "kind": kind, "choices": choices})
