"""Deadlines at the door: what cannot meet one is made lighter, or refused before it costs.

Lighter is an edge of less work, then models that measurably take less, the heaviest of those
first. A model that was asked for by name stays.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from smart_filter_shared.cards import LEADING_TASK, ModelCard, TaskName
from smart_filter_shared.errors import Contradiction, FieldError, InvalidRecipe, Overdue
from smart_filter_shared.jobs import models
from smart_filter_shared.jobs.forecast import Forecast
from smart_filter_shared.jobs.models import Plan
from smart_filter_shared.jobs.outlook import Outlook
from smart_filter_shared.jobs.published import Published
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import AUTO, CHOOSABLE_TASKS, Edge, Output, Recipe, Whom

# A model that takes nearly as long is not worth another result.
_LIGHTER = 0.75
# And one that finds much less of the people is no substitute; by its card, where it says so.
_LEAST_OF_QUALITY = 0.75


@dataclass(frozen=True, slots=True)
class Choice:
    """How a job is run: its recipe, who runs it, what was given up, when it will have ended."""

    recipe: Recipe
    plans: Mapping[StageName, Plan]
    degraded: tuple[str, ...]
    forecast: Forecast


def refuse_contradiction(recipe: Recipe, *, starts_in_seconds: float) -> None:
    """Refuse what may not run before its deadline.  Raises Contradiction."""
    if recipe.deadline_ms is not None and starts_in_seconds * 1000 >= recipe.deadline_ms:
        remedy = "the deadline is over before it may run: leave one out, or give more time"
        raise Contradiction([FieldError("/deadline_ms", remedy), FieldError("/run_at", remedy)])


def choose(
    recipe: Recipe,
    plans: Mapping[StageName, Plan],
    *,
    known: Sequence[Published],
    outlook: Outlook,
    foresee: Callable[[Recipe, Mapping[StageName, Plan]], Forecast],
) -> Choice:
    """Return how a job is run so that nine tenths of such jobs meet its deadline.

    foresee: what is foreseen of a recipe and who runs it.
    Raises Overdue when it cannot, however light.
    """
    first = Choice(recipe, plans, (), foresee(recipe, plans))
    if recipe.deadline_ms is None:
        return first
    seconds = recipe.deadline_ms / 1000
    best = first
    for lighter, degraded in _lighter(recipe, plans, known, outlook):
        if best.forecast.p90_seconds <= seconds:
            return best
        try:
            lighter_plans = models.choose(known, lighter)
        except InvalidRecipe:
            continue
        made = Choice(lighter, lighter_plans, degraded, foresee(lighter, lighter_plans))
        if made.forecast.p90_seconds < best.forecast.p90_seconds:
            best = made
    if best.forecast.p90_seconds <= seconds:
        return best
    raise Overdue(
        f"the deadline of {recipe.deadline_ms} ms would be missed: of such jobs half take"
        f" {best.forecast.p50_seconds:.1f} s now, nine tenths {best.forecast.p90_seconds:.1f} s;"
        " come again later, or give it more time",
        retry_after_seconds=best.forecast.p50_seconds,
    )


def _lighter(
    recipe: Recipe,
    plans: Mapping[StageName, Plan],
    known: Sequence[Published],
    outlook: Outlook,
) -> Iterator[tuple[Recipe, tuple[str, ...]]]:
    """Yield ever lighter recipes, and what each gives up."""
    degraded: tuple[str, ...] = ()
    if StageName.COMPOSITE in plans and recipe.edge != Edge.FAST:
        recipe = dataclasses.replace(recipe, edge=Edge.FAST)
        degraded = ("edge=fast",)
        yield recipe, degraded
    # What a model beside a leading one takes is not known apart.
    for task in (one for one in CHOOSABLE_TASKS if one in LEADING_TASK.values()):
        given_up = degraded
        chosen = recipe
        for card in _substitutes(recipe, task, plans, known, outlook):
            chosen = dataclasses.replace(recipe, models={**recipe.models, task: card.name})
            given_up = (*degraded, f"{task}.model={card.name}")
            yield chosen, given_up
        recipe, degraded = chosen, given_up


def _substitutes(
    recipe: Recipe,
    task: TaskName,
    plans: Mapping[StageName, Plan],
    known: Sequence[Published],
    outlook: Outlook,
) -> list[ModelCard]:
    """Return the models that may stand in for the one that `auto` means, the heaviest first."""
    if recipe.models[task] != AUTO or recipe.params.get(task):
        return []
    offered = [one.card for one in known if one.offered and one.card.task == task]
    usual = next((card for card in offered if card.default), None)
    if usual is None or usual.stage not in plans:
        return []
    most = outlook.pace(usual.capability).of(None).mean
    lighter = [
        (found, card)
        for card in offered
        if (found := outlook.pace(card.capability).of(None).mean) <= _LIGHTER * most
        and _is_able(card, recipe)
        and _is_as_good(card, usual)
        and outlook.serves(card.capability)
    ]
    return [card for _, card in sorted(lighter, key=lambda pair: -pair[0])]


def _is_able(card: ModelCard, recipe: Recipe) -> bool:
    if card.task != TaskName.SEGMENTATION:
        return True
    apart = recipe.persons != Whom.ALL or Output.PERSONS in recipe.outputs
    return (card.instances or not apart) and (card.explains or Output.DEBUG not in recipe.outputs)


def _is_as_good(card: ModelCard, usual: ModelCard) -> bool:
    return all(
        card.quality[figure] >= _LEAST_OF_QUALITY * value
        for figure, value in usual.quality.items()
        if figure in card.quality
    )
