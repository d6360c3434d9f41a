from collections.abc import Mapping
from dataclasses import replace

import pytest

from smart_filter_api.submission import deadline_policy
from smart_filter_api.submission.deadline_policy import RunOption
from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.errors import Contradiction, DeadlineInfeasible
from smart_filter_shared.eta.estimate import CompletionEstimate
from smart_filter_shared.eta.snapshot import Pool, QueueSnapshot
from smart_filter_shared.eta.stage_times import StageTime
from smart_filter_shared.ids import Capability
from smart_filter_shared.model_registry import stage_plan
from smart_filter_shared.model_registry.published_models import PublishedModel
from smart_filter_shared.model_registry.stage_plan import StagePlan
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.recipe import Edge, Output, PersonSelection, Recipe
from smart_filter_tests import recipes

MODELS = {"people": 1.0, "coarse": 0.6, "selfie": 0.4, "outlines": 0.2, "rough": 0.1}
QUALITY = {"coarse": 0.75, "selfie": 0.85, "outlines": 0.8, "rough": 0.3}


def a_card(task: TaskName, name: str, *, default: bool = True) -> ModelCard:
    """Return a card; `people` separates persons, `rough` has too low a quality to replace it."""
    card = recipes.a_card(task, name, default=default, able=name == "people")
    return replace(card, quality={"iou": QUALITY.get(name, 0.9)})


CARDS = [
    *(a_card(TaskName.SEGMENTATION, name, default=name == "people") for name in MODELS),
    *(a_card(task, f"the-{task}") for task in TaskName if task != TaskName.SEGMENTATION),
]
PUBLISHED = [PublishedModel(card, offered=True) for card in CARDS]
SNAPSHOT = QueueSnapshot(
    pools=[Pool(frozenset(card.capability for card in CARDS), 2)],
    paces={
        Capability(f"segmentation.{name}"): StageTime(seconds, spread=0.1)
        for name, seconds in MODELS.items()
    },
)


def estimate(
    recipe: Recipe, plans: Mapping[StageName, StagePlan], *, position: int
) -> CompletionEstimate:
    """Return ETAs with these segmentation times, and 0.5 s for the edge."""
    edge = {Edge.FAST: 0.0, Edge.BALANCED: 0.5, Edge.BEST: 2.0}[recipe.edge]
    seconds = edge + SNAPSHOT.pace(plans[StageName.SEGMENTATION].capability).seconds
    return CompletionEstimate(position, seconds / 2, seconds, seconds / 2, seconds)


def chosen(recipe: Recipe, snapshot: QueueSnapshot = SNAPSHOT, *, position: int = 11) -> RunOption:
    plans = stage_plan.plan_stages(PUBLISHED, recipe)
    options = (
        RunOption(
            variant, variant_plans, degraded, estimate(variant, variant_plans, position=position)
        )
        for variant, variant_plans, degraded in deadline_policy.list_variants(
            recipe, plans, published=PUBLISHED, snapshot=snapshot
        )
    )
    return deadline_policy.choose_option(options, deadline_ms=recipe.deadline_ms)


def model_of(choice: RunOption) -> str:
    return choice.plans[StageName.SEGMENTATION].models[TaskName.SEGMENTATION]


@pytest.mark.parametrize(
    ("deadline_ms", "model", "degraded"),
    [
        (None, "people", ()),
        (1500, "people", ()),
        (1000, "people", ("edge=fast",)),
        (700, "selfie", ("edge=fast", "segmentation.model=selfie")),
        (500, "selfie", ("edge=fast", "segmentation.model=selfie")),
        (200, "outlines", ("edge=fast", "segmentation.model=outlines")),
    ],
)
def test_quality_is_reduced_no_more_than_the_deadline_requires(
    deadline_ms: int | None, model: str, degraded: tuple[str, ...]
) -> None:
    choice = chosen(Recipe(deadline_ms=deadline_ms))

    assert (model_of(choice), choice.degraded) == (model, degraded)
    assert choice.recipe.edge == (Edge.FAST if degraded else Edge.BALANCED)


@pytest.mark.parametrize(
    ("position", "reason"),
    [(11, "; 10 jobs wait before it; retry later or extend"), (1, "; no job waits before it; ext")],
)
def test_deadline_that_no_model_can_meet_is_refused_with_the_estimate(
    position: int, reason: str
) -> None:
    with pytest.raises(DeadlineInfeasible) as raised:
        chosen(Recipe(deadline_ms=150), position=position)

    assert "150 ms" in str(raised.value)
    assert "100 ms (p50) to 200 ms (p90)" in str(raised.value)
    assert reason in str(raised.value)

    assert raised.value.code == "unavailable"
    assert raised.value.retry_after_seconds == pytest.approx(0.1)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(deadline_ms=900, models={**Recipe().models, TaskName.SEGMENTATION: "people"}),
        Recipe(deadline_ms=900, params={TaskName.SEGMENTATION: {"threshold": 0.1}}),
        Recipe(deadline_ms=900, persons=PersonSelection.LARGEST),
        Recipe(deadline_ms=900, outputs=(Output.PERSONS,)),
        Recipe(deadline_ms=900, outputs=(Output.IMAGE, Output.DEBUG)),
    ],
    ids=["by name", "with parameters", "needs persons", "persons' files", "needs an explanation"],
)
def test_model_that_the_recipe_needs_is_not_replaced(recipe: Recipe) -> None:
    with pytest.raises(DeadlineInfeasible):
        chosen(recipe)


def test_model_without_workers_is_no_substitute() -> None:
    without = frozenset(card.capability for card in CARDS if card.name != "selfie")
    snapshot = QueueSnapshot(pools=[Pool(without, 2)], paces=SNAPSHOT.paces)

    assert model_of(chosen(Recipe(deadline_ms=500), snapshot)) == "outlines"


def test_deadline_before_the_start_time_is_a_contradiction() -> None:
    with pytest.raises(Contradiction) as raised:
        deadline_policy.refuse_contradiction(Recipe(deadline_ms=1000), starts_in_seconds=1.0)

    assert [error.pointer for error in raised.value.errors] == ["/deadline_ms", "/run_at"]
    deadline_policy.refuse_contradiction(Recipe(deadline_ms=1000), starts_in_seconds=0.9)
    deadline_policy.refuse_contradiction(Recipe(), starts_in_seconds=1e9)
