"""Plans: what runs each stage of a recipe, out of what is published."""

import dataclasses
from typing import Any

import pytest

from smart_filter_shared import parameters
from smart_filter_shared.cards import TaskName
from smart_filter_shared.jobs.models import Plan, Published, choose
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Recipe
from smart_filter_tests.serving import a_card

SEGMENTATION = TaskName.SEGMENTATION


def published(task: TaskName, *entries: str) -> Published:
    """A default model of a task; with a choice among entries, the first the default."""
    choosing = (
        (parameters.choice("entry", entries[0], "Which", choices=entries),) if entries else ()
    )
    return Published(dataclasses.replace(a_card(task), parameters=choosing), offered=True)


def plan(recipe: Recipe) -> Plan:
    known = [published(task, *("a", "b") * (task is SEGMENTATION)) for task in TaskName]
    return choose(known, recipe)[StageName.SEGMENTATION]


@pytest.mark.parametrize(
    ("params", "entry"), [({}, "a"), ({SEGMENTATION: {"entry": "b"}}, "b")], ids=["none", "chosen"]
)
def test_plan_names_the_chosen_entry_or_the_default(params: dict[Any, Any], entry: str) -> None:
    assert plan(Recipe(params=params)).parameters == {SEGMENTATION: {"entry": entry}}
