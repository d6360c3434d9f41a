"""Plan the stages of a job: the capability, models, parameters and weights of each.

An ensemble runs in the pool of workers that can run all its members.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from smart_filter_shared.catalog.model_card import (
    ENTRY_PARAMETER,
    MEMBERS_PARAMETER,
    STRONGER_PARAMETER,
    WEIGHTS_PARAMETER,
    ModelCard,
)
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.errors import FieldError, InvalidRecipe, NotAvailable
from smart_filter_shared.ids import Capability
from smart_filter_shared.model_registry.published_models import PublishedModel
from smart_filter_shared.pipeline import LEADING_TASK, STAGE_OF_TASK, StageName, TaskName
from smart_filter_shared.recipe import (
    AUTO,
    Edge,
    PersonSelection,
    Recipe,
    Subject,
    required_stages,
)
from smart_filter_shared.recipe.contradictions import is_meant


@dataclass(frozen=True, slots=True)
class StagePlan:
    """The capability, models and parameters that run one stage of a job.

    models, parameters: by task.
    digests: by task, the digest of the trained weights; absent for a model's own weights.
    """

    capability: Capability
    models: Mapping[TaskName, str]
    parameters: Mapping[TaskName, Parameters]
    digests: Mapping[TaskName, str] = field(default_factory=dict)


def plan_stages(published: Sequence[PublishedModel], recipe: Recipe) -> dict[StageName, StagePlan]:
    """Return the plan of each stage that a recipe runs.

    published: every published model.
    Raises NotAvailable when no declared pool of workers offers a model, InvalidRecipe when an
    ensemble cannot run its members.
    """
    return {stage: _plan_stage(stage, published, recipe) for stage in required_stages(recipe)}


def with_entry(card: ModelCard, params: Parameters) -> Parameters:
    """Return a recipe's parameters of a model, with the entry (file of weights) filled in.

    The default entry depends on the files in a worker's folder. The row names it, so that every
    attempt runs the same weights on every machine.
    """
    entry = card.parameter(ENTRY_PARAMETER)
    return params if entry is None else {ENTRY_PARAMETER: entry.default, **params}


def is_ensemble(card: ModelCard) -> bool:
    """Return whether a model combines the mattes of others."""
    return card.parameter(MEMBERS_PARAMETER) is not None


def _plan_stage(stage: StageName, published: Sequence[PublishedModel], recipe: Recipe) -> StagePlan:
    chosen = {
        task: _choose_model(published, task, recipe)
        for task, its_stage in STAGE_OF_TASK.items()
        if its_stage == stage
    }
    parameters = {
        task: with_entry(model.card, recipe.params.get(task, {})) for task, model in chosen.items()
    }
    leading = LEADING_TASK[stage]
    return StagePlan(
        _choose_capability(
            published,
            chosen[leading].card,
            parameters[leading],
            tells_apart=recipe.persons != PersonSelection.ALL,
        ),
        models={task: model.card.name for task, model in chosen.items()},
        parameters={task: given for task, given in parameters.items() if given},
        digests={task: model.live for task, model in chosen.items() if model.live is not None},
    )


def _choose_model(
    published: Sequence[PublishedModel], task: TaskName, recipe: Recipe
) -> PublishedModel:
    name, subject = recipe.models.get(task, AUTO), recipe.subject
    of_task = [model for model in published if model.card.task == task]
    meant = [model for model in of_task if is_meant(model.card, name, subject)]
    meant.sort(key=lambda model: model.card.any_subject and not model.card.without_people)
    if name == AUTO and recipe.edge == Edge.BEST and subject != Subject.ANY:
        # Without a worker that has its weights, the usual model does.
        meant = [model for model in of_task if model.card.best_edge and model.served] + meant
    for model in meant:
        if model.offered:
            return model
    names = ", ".join(model.card.name for model in of_task if model.offered) or "none"
    fault = next((model.fault for model in meant if model.fault), None)
    why = f" ({fault})" if fault else ""
    if name == AUTO and task == TaskName.SEGMENTATION and subject == Subject.ANY:
        detail = f"any needs a model that no worker offers{why}; auto takes people"
        raise NotAvailable([FieldError("/subject", detail)])
    detail = (
        f"no pool of workers offers {name}{why}; offered: {names}. "
        f"Start a worker for {STAGE_OF_TASK[task]}"
    )
    raise NotAvailable([FieldError(f"/{task}/model", detail)])


def _choose_capability(
    published: Sequence[PublishedModel], card: ModelCard, given: Parameters, *, tells_apart: bool
) -> Capability:
    """Return the capability that can run a model, with its members if it is an ensemble.

    Models without a separate pool run on every worker of their stage, so an ensemble runs in the
    pool of its one member that has one.
    tells_apart: whether the recipe needs persons to be separated.
    Raises InvalidRecipe when no pool can run all members, or when the members do not fit.
    """
    names = _member_names(card, given)
    if not names:
        return card.capability
    _check_weights(card, given, names)
    joined = [_member(published, card, name) for name in names]
    special = [member for member in joined if not member.everywhere]
    if len(special) > 1:
        listed = " and ".join(member.name for member in special)
        detail = f"{listed} run in separate pools; an ensemble can have one such member"
        raise _parameter_error(card, MEMBERS_PARAMETER, detail)
    if tells_apart and not any(member.instances for member in joined):
        able = ", ".join(
            joinable.name for joinable in _list_joinable(published, card) if joinable.instances
        )
        raise _parameter_error(
            card, MEMBERS_PARAMETER, f"no member separates persons; these models do: {able}"
        )
    _check_stronger_model(published, card, given, tells_apart=tells_apart)
    return special[0].capability if special else card.capability


def _member_names(card: ModelCard, given: Parameters) -> list[str]:
    """Return the models whose mattes an ensemble combines; empty for any other model."""
    listed = card.completed(given).get(MEMBERS_PARAMETER)
    return [name.strip() for name in listed.split(",")] if isinstance(listed, str) else []


def _check_weights(card: ModelCard, given: Parameters, names: Sequence[str]) -> None:
    """Raise InvalidRecipe for a repeated member, or when not every member has one weight."""
    if len(set(names)) < len(names):
        raise _parameter_error(
            card, MEMBERS_PARAMETER, "names a model twice; a model always agrees with itself"
        )
    listed = card.completed(given).get(WEIGHTS_PARAMETER)
    weights = listed.split(",") if isinstance(listed, str) and listed else []
    if weights and (len(weights) != len(names) or not any(float(weight) for weight in weights)):
        detail = (
            f"gives {len(weights)} weights for {len(names)} members; give one for each, not all 0"
        )
        raise _parameter_error(card, WEIGHTS_PARAMETER, detail)


def _check_stronger_model(
    published: Sequence[PublishedModel], card: ModelCard, given: Parameters, *, tells_apart: bool
) -> None:
    """Raise InvalidRecipe for a stronger model that is unknown or cannot run the recipe."""
    name = given.get(STRONGER_PARAMETER)
    if not name:
        return
    able = [
        model.card
        for model in published
        if model.card.task == card.task
        and not is_ensemble(model.card)
        and (model.card.instances or not tells_apart)
    ]
    if name not in {stronger.name for stronger in able}:
        listed = ", ".join(stronger.name for stronger in able)
        raise _parameter_error(
            card, STRONGER_PARAMETER, f"{name!r} cannot be the stronger model; these can: {listed}"
        )


def _member(published: Sequence[PublishedModel], card: ModelCard, name: str) -> ModelCard:
    joinable = _list_joinable(published, card)
    for member in joinable:
        if member.name == name:
            return member
    listed = ", ".join(member.name for member in joinable)
    raise _parameter_error(
        card, MEMBERS_PARAMETER, f"{name!r} cannot be a member; these can: {listed}"
    )


def _list_joinable(published: Sequence[PublishedModel], card: ModelCard) -> list[ModelCard]:
    return [
        model.card
        for model in published
        if model.card.task == card.task and model.offered and not is_ensemble(model.card)
    ]


def _parameter_error(card: ModelCard, parameter: str, detail: str) -> InvalidRecipe:
    return InvalidRecipe([FieldError(f"/{card.task}/params/{parameter}", detail)])
