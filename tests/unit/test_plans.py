"""Plans: what runs each stage of a recipe, out of what is published."""

from smart_filter_shared import parameters
from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_shared.jobs.models import Plan, Published, choose
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Recipe

SEGMENTATION = TaskName.SEGMENTATION


def published(task: TaskName, *entries: str) -> Published:
    """A default model of a task; with a choice among entries, the first the default."""
    choosing = (
        (parameters.choice("entry", entries[0], "Which", choices=entries),) if entries else ()
    )
    card = ModelCard(
        name="model",
        version="1",
        task=task,
        family="model",
        title="",
        source="",
        licence="Apache-2.0",
        data_terms="",
        default=True,
        parameters=choosing,
    )
    return Published(card, offered=True, fault=None)


def plan(recipe: Recipe) -> Plan:
    known = [published(task, *("a", "b") * (task is SEGMENTATION)) for task in TaskName]
    return choose(known, recipe)[StageName.SEGMENTATION]


def test_entry_that_nobody_chose_is_named_all_the_same() -> None:
    assert plan(Recipe()).parameters == {SEGMENTATION: {"entry": "a"}}


def test_entry_that_was_chosen_is_kept() -> None:
    recipe = Recipe(params={SEGMENTATION: {"entry": "b"}})

    assert plan(recipe).parameters == {SEGMENTATION: {"entry": "b"}}
