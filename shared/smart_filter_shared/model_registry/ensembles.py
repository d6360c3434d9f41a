"""Validate ensembles, and choose the pool of workers that can run all their members."""

from collections.abc import Sequence

from smart_filter_shared.catalog.model_card import (
    MEMBERS_PARAMETER,
    STRONGER_PARAMETER,
    WEIGHTS_PARAMETER,
    ModelCard,
)
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.errors import FieldError, InvalidRecipe
from smart_filter_shared.ids import Capability
from smart_filter_shared.model_registry.published import RegisteredModel


def choose_capability(
    known: Sequence[RegisteredModel], card: ModelCard, given: Parameters, *, tells_apart: bool
) -> Capability:
    """Return the capability that can run a model, with its members if it is an ensemble.

    Models without a separate pool run on every worker of their stage, so an ensemble runs in the
    pool of its one member that has one.
    tells_apart: whether the recipe needs persons to be separated.
    Raises InvalidRecipe when no pool can run all members, or when the members do not fit.
    """
    names = member_names(card, given)
    if not names:
        return card.capability
    _check_weights(card, given, names)
    joined = [_member(known, card, name) for name in names]
    own = [member for member in joined if not member.everywhere]
    if len(own) > 1:
        listed = " and ".join(member.name for member in own)
        detail = f"{listed} run in separate pools; an ensemble can have one such member"
        raise _parameter_error(card, MEMBERS_PARAMETER, detail)
    if tells_apart and not any(member.instances for member in joined):
        able = ", ".join(one.name for one in _list_joinable(known, card) if one.instances)
        raise _parameter_error(
            card, MEMBERS_PARAMETER, f"no member separates persons; these models do: {able}"
        )
    _check_stronger_model(known, card, given, tells_apart=tells_apart)
    return own[0].capability if own else card.capability


def member_names(card: ModelCard, given: Parameters) -> list[str]:
    """Return the models whose mattes an ensemble combines; empty for any other model."""
    listed = card.completed(given).get(MEMBERS_PARAMETER)
    return [name.strip() for name in listed.split(",")] if isinstance(listed, str) else []


def is_ensemble(card: ModelCard) -> bool:
    """Return whether a model combines the mattes of others."""
    return card.parameter(MEMBERS_PARAMETER) is not None


def _check_weights(card: ModelCard, given: Parameters, names: Sequence[str]) -> None:
    """Raise InvalidRecipe for a repeated member, or when not every member has one weight."""
    if len(set(names)) < len(names):
        raise _parameter_error(
            card, MEMBERS_PARAMETER, "names a model twice; a model always agrees with itself"
        )
    listed = card.completed(given).get(WEIGHTS_PARAMETER)
    weights = listed.split(",") if isinstance(listed, str) and listed else []
    if weights and (len(weights) != len(names) or not any(float(one) for one in weights)):
        detail = (
            f"gives {len(weights)} weights for {len(names)} members; give one for each, not all 0"
        )
        raise _parameter_error(card, WEIGHTS_PARAMETER, detail)


def _check_stronger_model(
    known: Sequence[RegisteredModel], card: ModelCard, given: Parameters, *, tells_apart: bool
) -> None:
    """Raise InvalidRecipe for a stronger model that is unknown or cannot run the recipe."""
    name = given.get(STRONGER_PARAMETER)
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
        raise _parameter_error(
            card, STRONGER_PARAMETER, f"{name!r} cannot be the stronger model; these can: {listed}"
        )


def _member(known: Sequence[RegisteredModel], card: ModelCard, name: str) -> ModelCard:
    joinable = _list_joinable(known, card)
    for one in joinable:
        if one.name == name:
            return one
    listed = ", ".join(one.name for one in joinable)
    raise _parameter_error(
        card, MEMBERS_PARAMETER, f"{name!r} cannot be a member; these can: {listed}"
    )


def _list_joinable(known: Sequence[RegisteredModel], card: ModelCard) -> list[ModelCard]:
    return [
        one.card
        for one in known
        if one.card.task == card.task and one.offered and not is_ensemble(one.card)
    ]


def _parameter_error(card: ModelCard, parameter: str, detail: str) -> InvalidRecipe:
    return InvalidRecipe([FieldError(f"/{card.task}/params/{parameter}", detail)])
