"""Parse recipes from request fields, and read the fields that a refusal names."""

import pytest

from smart_filter_shared.catalog import parameters
from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.errors import InvalidRecipe
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.recipe.fields import parse


def a_card(task: TaskName, name: str, *, default: bool = True, able: bool = True) -> ModelCard:
    """Make the card of a model with a parameter of each kind; able: with every ability."""
    return ModelCard(
        name=name,
        version="1",
        task=task,
        family=name,
        title=name,
        source="the tests",
        license="Apache-2.0",
        data_terms="",
        default=default,
        parameters=(
            parameters.number("threshold", 0.7, "least score", least=0, most=1),
            parameters.integer("steps", 3, "how often", least=0, most=10),
            parameters.boolean("mirrored", False, "whether it looks twice"),
            parameters.choice("mode", "fast", "how", choices=("fast", "slow")),
            parameters.text(
                "box", "", "x,y,w,h", longest=20, pattern=r"(\d+(,\d+){3})?", form="x,y,w,h"
            ),
        ),
        ascending=(("threshold", "steps"),),
        instances=able,
        explains=able,
    )


OFFERED = {
    TaskName.SEGMENTATION: [
        a_card(TaskName.SEGMENTATION, "people"),
        a_card(TaskName.SEGMENTATION, "selfie", default=False, able=False),
    ],
    TaskName.FACE: [a_card(TaskName.FACE, "centerface")],
}


def parse_fields(**fields: str | list[str]) -> Recipe:
    """Parse fields; `__` in names stands for a dot, and the value `file` for an uploaded file."""
    given_fields = {name.replace("__", "."): value for name, value in fields.items()}
    with_file = fields.get("background") == "file"
    return parse(given_fields, offered=OFFERED, with_background_file=with_file)


def error_fields(error: InvalidRecipe) -> list[str]:
    """Return the fields that an error names."""
    return [field.pointer for field in error.errors]


def refused_fields(**fields: str | list[str]) -> list[str]:
    """Return the fields that a refusal names."""
    with pytest.raises(InvalidRecipe) as refusal:
        parse_fields(**fields)
    return error_fields(refusal.value)


def split_fields(text: str) -> dict[str, str]:
    """Return fields written as `name=value name=value`."""
    return dict(field.split("=", 1) for field in text.split())
