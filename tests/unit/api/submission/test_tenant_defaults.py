import pytest

from smart_filter_api.intake import json_body
from smart_filter_api.submission import tenant_defaults
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.recipe.fields import Fields, parse
from smart_filter_tests.recipes import OFFERED

DEFAULTS = {"quality": 70, "filters": [{"name": "hat", "params": {"kind": "crown"}}]}


def parse_offered(fields: Fields) -> Recipe:
    return parse(fields, offered=OFFERED)


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
    recipe = tenant_defaults.apply_defaults(DEFAULTS, json_body.read_fields(sent), parse_offered)

    assert recipe.quality == quality
    assert [filter_.name for filter_ in recipe.filters] == names
