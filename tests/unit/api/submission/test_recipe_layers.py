from collections.abc import Mapping, Sequence

import pytest

from smart_filter_api.caches import RecipeLayer
from smart_filter_api.intake import json_body
from smart_filter_api.submission import recipe_parser
from smart_filter_shared.errors import Contradiction, InvalidRecipe
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.recipe.fields import Fields, parse
from smart_filter_tests.recipes import OFFERED

DEFAULTS = {"quality": 70, "filters": [{"name": "hat", "params": {"kind": "crown"}}]}


def parse_offered(fields: Fields) -> Recipe:
    return parse(fields, offered=OFFERED)


def merge(layers: Sequence[Mapping[str, object]], **sent: object) -> Recipe:
    named = [RecipeLayer(fields, f" (layer {index})") for index, fields in enumerate(layers)]
    return recipe_parser.merge_layers(named, json_body.read_fields(sent), parse_offered)


@pytest.mark.parametrize(
    ("sent", "quality", "names"),
    [
        ({}, 70, ["hat"]),
        ({"quality": 80}, 80, ["hat"]),
        ({"quality": None}, 70, ["hat"]),
        ({"filters": ["grade"]}, 70, ["grade"]),
        ({"filters": []}, 70, []),
    ],
)
def test_field_of_a_request_overrides_its_default(
    sent: dict[str, object], quality: int, names: list[str]
) -> None:
    recipe = merge([DEFAULTS], **sent)

    assert recipe.quality == quality
    assert [filter_.name for filter_ in recipe.filters] == names


def test_stronger_layer_overrides_a_weaker_one() -> None:
    recipe = merge([{"quality": 70, "edge": "best"}, {"quality": 60}, {"quality": 50}])

    assert (recipe.quality, recipe.edge) == (50, "best")


@pytest.mark.parametrize(
    ("layers", "sent", "format_", "background"),
    [
        # The weakest of two layers gives way.
        ([{"format": "jpg"}, {"background": "transparent"}], {}, "auto", "transparent"),
        ([{"background": "transparent"}, {"format": "jpg"}], {}, "jpg", "auto"),
        # A layer gives way to the request.
        ([{}, {"format": "jpg"}], {"background": "transparent"}, "auto", "transparent"),
    ],
)
def test_weaker_field_of_a_contradiction_gives_way(
    layers: list[dict[str, object]], sent: dict[str, object], format_: str, background: str
) -> None:
    recipe = merge(layers, **sent)

    assert (recipe.format, str(recipe.background)) == (format_, background)


def test_error_says_which_layer_it_is_from() -> None:
    with pytest.raises(InvalidRecipe) as refused:
        merge([{"edge": "best"}, {"background": "preset:tenant/gone"}], quality=0)

    details = {error.pointer: error.detail for error in refused.value.errors}
    assert details["/background"].endswith(" (layer 1)")
    assert "layer" not in details["/quality"]


def test_request_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(Contradiction):
        merge([{"edge": "best"}], format="jpg", background="transparent")
