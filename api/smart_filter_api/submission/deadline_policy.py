"""Fit jobs to their deadlines: reduce a recipe that would miss its deadline, or reject the job.

The reductions are a faster edge, then models that measurably take less time, the slowest of them
first; less time never gets a better model than more time. A model that the recipe names is never
replaced.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.errors import Contradiction, DeadlineInfeasible, FieldError, InvalidRecipe
from smart_filter_shared.eta.estimate import CompletionEstimate
from smart_filter_shared.eta.snapshot import QueueSnapshot
from smart_filter_shared.model_registry import stage_plan
from smart_filter_shared.model_registry.published_models import PublishedModel
from smart_filter_shared.model_registry.stage_plan import StagePlan
from smart_filter_shared.pipeline import LEADING_TASK, StageName, TaskName
from smart_filter_shared.recipe import (
    AUTO,
    CHOOSABLE_TASKS,
    Edge,
    Output,
    PersonSelection,
    Recipe,
    Subject,
)

# The edges that take less time than each, the slowest first.
_FASTER_EDGES: Mapping[Edge, tuple[Edge, ...]] = {
    Edge.BEST: (Edge.BALANCED, Edge.FAST),
    Edge.BALANCED: (Edge.FAST,),
    Edge.FAST: (),
    Edge.HARD: (),
}
# A substitute takes at most this share of the model's time; a smaller gain is not worth another
# result.
_MAX_TIME_SHARE = 0.75
# A substitute has at least this share of each quality figure that both model cards state.
_MIN_QUALITY_SHARE = 0.75


@dataclass(frozen=True, slots=True)
class RunOption:
    """One way to run a job: recipe, stage plans, reduced fields and completion estimate."""

    recipe: Recipe
    plans: Mapping[StageName, StagePlan]
    degraded: tuple[str, ...]
    estimate: CompletionEstimate


def refuse_contradiction(recipe: Recipe, *, starts_in_seconds: float) -> None:
    """Reject a job whose start time is after its deadline.  Raises Contradiction."""
    if recipe.deadline_ms is not None and starts_in_seconds * 1000 >= recipe.deadline_ms:
        remedy = "the deadline passes before the job may start; omit one of them or extend it"
        raise Contradiction([FieldError("/deadline_ms", remedy), FieldError("/run_at", remedy)])


def list_variants(
    recipe: Recipe,
    plans: Mapping[StageName, StagePlan],
    *,
    published: Sequence[PublishedModel],
    snapshot: QueueSnapshot,
) -> Iterator[tuple[Recipe, Mapping[StageName, StagePlan], tuple[str, ...]]]:
    """Yield a recipe with its plans, then lighter ones, each with the fields that it reduces."""
    yield recipe, plans, ()
    for lighter, degraded in _lighter_recipes(recipe, plans, published, snapshot):
        try:
            lighter_plans = stage_plan.plan_stages(published, lighter)
        except InvalidRecipe:
            continue
        yield lighter, lighter_plans, degraded


def choose_option(options: Iterable[RunOption], *, deadline_ms: int | None) -> RunOption:
    """Return the first option whose 90th percentile estimate meets a deadline.

    options: at least one, with the requested recipe first; the rest are read only as needed.
    Raises DeadlineInfeasible when even the fastest option would miss the deadline.
    """
    best: RunOption | None = None
    for option in options:
        if best is None or option.estimate.p90_seconds < best.estimate.p90_seconds:
            best = option
        if deadline_ms is None or best.estimate.p90_seconds <= deadline_ms / 1000:
            return best
    assert best is not None, "the requested recipe is an option"
    estimate = best.estimate
    ahead = estimate.position - 1
    reason = (
        f"{ahead} jobs wait before it; retry later or" if ahead > 0 else "no job waits before it;"
    )
    raise DeadlineInfeasible(
        f"the deadline of {deadline_ms} ms would be missed: the fastest way to run the job ends in"
        f" {_format_ms(estimate.p50_seconds)} (p50) to {_format_ms(estimate.p90_seconds)} (p90);"
        f" {reason} extend the deadline",
        retry_after_seconds=estimate.p50_seconds,
    )


def _format_ms(seconds: float) -> str:
    return f"{math.ceil(1000 * seconds)} ms"


def _lighter_recipes(
    recipe: Recipe,
    plans: Mapping[StageName, StagePlan],
    published: Sequence[PublishedModel],
    snapshot: QueueSnapshot,
) -> Iterator[tuple[Recipe, tuple[str, ...]]]:
    """Yield lighter and lighter recipes, each with the fields that it reduces."""
    degraded: tuple[str, ...] = ()
    if StageName.COMPOSITE in plans:
        for edge in _FASTER_EDGES[recipe.edge]:
            recipe = dataclasses.replace(recipe, edge=edge)
            degraded = (f"edge={edge}",)
            yield recipe, degraded
    # Only leading models: the times of a stage's other models are not measured separately.
    for task in (choosable for choosable in CHOOSABLE_TASKS if choosable in LEADING_TASK.values()):
        given_up = degraded
        chosen = recipe
        for card in _substitutes(recipe, task, plans, published, snapshot):
            chosen = dataclasses.replace(recipe, models={**recipe.models, task: card.name})
            given_up = (*degraded, f"{task}.model={card.name}")
            yield chosen, given_up
        recipe, degraded = chosen, given_up


def _substitutes(
    recipe: Recipe,
    task: TaskName,
    plans: Mapping[StageName, StagePlan],
    published: Sequence[PublishedModel],
    snapshot: QueueSnapshot,
) -> list[ModelCard]:
    """Return the models that may replace the default model of a task, the slowest first."""
    if recipe.models[task] != AUTO or recipe.params.get(task) or recipe.subject == Subject.ANY:
        return []
    offered = [model.card for model in published if model.offered and model.card.task == task]
    usual = next((card for card in offered if card.default), None)
    if usual is None or usual.stage not in plans:
        return []
    most = snapshot.pace(usual.capability).duration(None).mean
    lighter = [
        (mean, card)
        for card in offered
        if (mean := snapshot.pace(card.capability).duration(None).mean) <= _MAX_TIME_SHARE * most
        and _supports_recipe(card, recipe)
        and _has_similar_quality(card, usual)
        and snapshot.serves(card.capability)
    ]
    ordered = [card for _, card in sorted(lighter, key=lambda pair: -pair[0])]
    # A model that takes longer than a better one is never worth its time.
    return [
        card
        for place, card in enumerate(ordered)
        if all(_is_better(card, faster) for faster in ordered[place + 1 :])
    ]


def _is_better(card: ModelCard, faster: ModelCard) -> bool:
    """Return whether a card states more quality, over the figures that both state, if any."""
    shared = card.quality.keys() & faster.quality.keys()
    return (
        not shared or sum(card.quality[measure] - faster.quality[measure] for measure in shared) > 0
    )


def _supports_recipe(card: ModelCard, recipe: Recipe) -> bool:
    if card.task != TaskName.SEGMENTATION:
        return True
    apart = recipe.persons != PersonSelection.ALL or Output.PERSONS in recipe.outputs
    return (card.instances or not apart) and (card.explains or Output.DEBUG not in recipe.outputs)


def _has_similar_quality(card: ModelCard, usual: ModelCard) -> bool:
    return all(
        card.quality[figure] >= _MIN_QUALITY_SHARE * value
        for figure, value in usual.quality.items()
        if figure in card.quality
    )
