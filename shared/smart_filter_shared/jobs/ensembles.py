"""Ensembles: which members a model joins, and which pool of workers has them all."""

from collections.abc import Sequence

from smart_filter_shared.cards import MEMBERS, STRONGER, WEIGHTS, ModelCard
from smart_filter_shared.errors import FieldError, InvalidRecipe
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs.published import Published
from smart_filter_shared.parameters import Parameters


def pool(
    known: Sequence[Published], card: ModelCard, given: Parameters, *, tells_apart: bool
) -> Capability:
    """Return what a worker must serve to run a model, and its members if it has any.

    Each worker of a stage has the models that need nothing of their own, so an ensemble goes
    to the pool of the one member that does.
    tells_apart: whether persons are to be told apart.
    Raises InvalidRecipe when no pool can have all of its members, or they do not fit.
    """
    names = members(card, given)
    if not names:
        return card.capability
    _refuse_uneven(card, given, names)
    joined = [_member(known, card, name) for name in names]
    own = [member for member in joined if not member.everywhere]
    if len(own) > 1:
        listed = " and ".join(member.name for member in own)
        detail = f"{listed} run in pools of their own; an ensemble can have one such member"
        raise _wrong(card, MEMBERS, detail)
    if tells_apart and not any(member.instances for member in joined):
        able = ", ".join(one.name for one in _joinable(known, card) if one.instances)
        raise _wrong(card, MEMBERS, f"none of them tells persons apart; these do: {able}")
    _refuse_no_model(known, card, given, tells_apart=tells_apart)
    return own[0].capability if own else card.capability


def members(card: ModelCard, given: Parameters) -> list[str]:
    """Return the models whose mattes an ensemble joins; none for any other model."""
    listed = card.completed(given).get(MEMBERS)
    return [name.strip() for name in listed.split(",")] if isinstance(listed, str) else []


def is_ensemble(card: ModelCard) -> bool:
    """Whether a model joins the mattes of others."""
    return card.parameter(MEMBERS) is not None


def _refuse_uneven(card: ModelCard, given: Parameters, names: Sequence[str]) -> None:
    """Refuse a member that counts twice, and weights that are not one each."""
    if len(set(names)) < len(names):
        raise _wrong(card, MEMBERS, "names one twice; a model agrees with itself")
    listed = card.completed(given).get(WEIGHTS)
    weights = listed.split(",") if isinstance(listed, str) and listed else []
    if weights and (len(weights) != len(names) or not any(float(one) for one in weights)):
        detail = f"gives {len(weights)} weights to {len(names)} members; one each, not all 0"
        raise _wrong(card, WEIGHTS, detail)


def _refuse_no_model(
    known: Sequence[Published], card: ModelCard, given: Parameters, *, tells_apart: bool
) -> None:
    """Refuse to escalate to what no version knows, or to what cannot do what is asked for."""
    name = given.get(STRONGER)
    if not name:
        return
    able = [
        one.card
        for one in known
        if one.card.task == card.task
        and not is_ensemble(one.card)
        and (one.card.instances or not tells_apart)
    ]
    if name not in {one.name for one in able}:
        listed = ", ".join(one.name for one in able)
        raise _wrong(card, STRONGER, f"{name!r} cannot take over; there are {listed}")


def _member(known: Sequence[Published], card: ModelCard, name: str) -> ModelCard:
    joinable = _joinable(known, card)
    for one in joinable:
        if one.name == name:
            return one
    listed = ", ".join(one.name for one in joinable)
    raise _wrong(card, MEMBERS, f"{name!r} cannot be a member; there are {listed}")


def _joinable(known: Sequence[Published], card: ModelCard) -> list[ModelCard]:
    return [
        one.card
        for one in known
        if one.card.task == card.task and one.offered and not is_ensemble(one.card)
    ]


def _wrong(card: ModelCard, parameter: str, detail: str) -> InvalidRecipe:
    return InvalidRecipe([FieldError(f"/{card.task}/params/{parameter}", detail)])
