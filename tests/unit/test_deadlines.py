from collections.abc import Mapping
from dataclasses import replace

import pytest

from smart_filter_api import deadlines
from smart_filter_api.deadlines import Choice
from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_shared.errors import Contradiction, Overdue
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import models
from smart_filter_shared.jobs.forecast import Forecast
from smart_filter_shared.jobs.models import Plan
from smart_filter_shared.jobs.outlook import Outlook, Pool
from smart_filter_shared.jobs.paces import Pace
from smart_filter_shared.jobs.published import Published
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Edge, Output, Recipe, Whom
from smart_filter_tests import recipes

MODELS = {"people": 1.0, "selfie": 0.4, "outlines": 0.2, "rough": 0.1}


def a_card(task: TaskName, name: str, *, default: bool = True) -> ModelCard:
    """Return a card; `people` tells persons apart, and `rough` cuts out badly."""
    card = recipes.a_card(task, name, default=default, able=name == "people")
    return replace(card, quality={"iou": 0.3 if name == "rough" else 0.9})


CARDS = [
    *(a_card(TaskName.SEGMENTATION, name, default=name == "people") for name in MODELS),
    *(a_card(task, f"the-{task}") for task in TaskName if task != TaskName.SEGMENTATION),
]
KNOWN = [Published(card, offered=True) for card in CARDS]
OUTLOOK = Outlook(
    pools=[Pool(frozenset(card.capability for card in CARDS), 2)],
    paces={
        Capability(f"segmentation.{name}"): Pace(seconds, spread=0.1)
        for name, seconds in MODELS.items()
    },
)


def foresee(recipe: Recipe, plans: Mapping[StageName, Plan]) -> Forecast:
    """Foresee what segmentation takes, half a second for the edge, and ten jobs ahead."""
    edge = {Edge.FAST: 0.0, Edge.BALANCED: 0.5, Edge.BEST: 2.0}[recipe.edge]
    seconds = edge + OUTLOOK.pace(plans[StageName.SEGMENTATION].capability).seconds
    return Forecast(11, seconds / 2, seconds, seconds / 2, seconds)


def chosen(recipe: Recipe, outlook: Outlook = OUTLOOK) -> Choice:
    plans = models.choose(KNOWN, recipe)
    return deadlines.choose(recipe, plans, known=KNOWN, outlook=outlook, foresee=foresee)


def model_of(choice: Choice) -> str:
    return choice.plans[StageName.SEGMENTATION].models[TaskName.SEGMENTATION]


@pytest.mark.parametrize(
    ("deadline_ms", "model", "degraded"),
    [
        (None, "people", ()),
        (1500, "people", ()),
        (1000, "people", ("edge=fast",)),
        (500, "selfie", ("edge=fast", "segmentation.model=selfie")),
        (200, "outlines", ("edge=fast", "segmentation.model=outlines")),
    ],
)
def test_no_more_is_given_up_than_the_deadline_asks_for(
    deadline_ms: int | None, model: str, degraded: tuple[str, ...]
) -> None:
    choice = chosen(Recipe(deadline_ms=deadline_ms))

    assert (model_of(choice), choice.degraded) == (model, degraded)
    assert choice.recipe.edge == (Edge.FAST if degraded else Edge.BALANCED)


def test_deadline_that_no_model_can_meet_is_refused_with_the_estimate() -> None:
    with pytest.raises(Overdue, match=r"150 ms.*half take 0\.1 s.*0\.2 s; come") as raised:
        chosen(Recipe(deadline_ms=150))

    assert raised.value.code == "unavailable"
    assert raised.value.retry_after_seconds == pytest.approx(0.1)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(deadline_ms=900, models={**Recipe().models, TaskName.SEGMENTATION: "people"}),
        Recipe(deadline_ms=900, params={TaskName.SEGMENTATION: {"threshold": 0.1}}),
        Recipe(deadline_ms=900, persons=Whom.LARGEST),
        Recipe(deadline_ms=900, outputs=(Output.PERSONS,)),
        Recipe(deadline_ms=900, outputs=(Output.IMAGE, Output.DEBUG)),
    ],
    ids=["by name", "with parameters", "needs persons", "persons' files", "needs an explanation"],
)
def test_model_that_the_recipe_needs_is_not_replaced(recipe: Recipe) -> None:
    with pytest.raises(Overdue):
        chosen(recipe)


def test_model_without_workers_is_no_substitute() -> None:
    without = frozenset(card.capability for card in CARDS if card.name != "selfie")
    outlook = Outlook(pools=[Pool(without, 2)], paces=OUTLOOK.paces)

    assert model_of(chosen(Recipe(deadline_ms=500), outlook)) == "outlines"


def test_deadline_before_the_job_may_run_contradicts_that() -> None:
    with pytest.raises(Contradiction) as raised:
        deadlines.refuse_contradiction(Recipe(deadline_ms=1000), starts_in_seconds=1.0)

    assert [one.pointer for one in raised.value.errors] == ["/deadline_ms", "/run_at"]
    deadlines.refuse_contradiction(Recipe(deadline_ms=1000), starts_in_seconds=0.9)
    deadlines.refuse_contradiction(Recipe(), starts_in_seconds=1e9)
