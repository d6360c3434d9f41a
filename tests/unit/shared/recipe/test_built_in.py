"""The built-in recipes are valid, and say where their figures are from."""

import pytest

from smart_filter_shared.recipe.fields import parse
from smart_filter_shared.tenants import saved_recipes
from smart_filter_shared.tenants.saved_recipes import built_in_recipes
from smart_filter_tests.recipes import OFFERED


@pytest.mark.parametrize("name", built_in_recipes())
def test_built_in_recipe_is_one_that_a_tenant_could_save(name: str) -> None:
    built_in = built_in_recipes()[name]

    recipe = parse(dict(built_in.fields), offered=OFFERED)

    assert saved_recipes.is_name(name)
    assert recipe.framing.size.exact is not None
    assert built_in.source.startswith("https://")


@pytest.mark.parametrize("name", ["amazon-main", "ebay", "etsy", "shopify"])
def test_marketplace_cuts_out_any_thing_and_enlarges_it_twice_at_most(name: str) -> None:
    recipe = parse(dict(built_in_recipes()[name].fields), offered=OFFERED)

    assert (recipe.subject, recipe.framing.max_enlarge) == ("any", 2)


def test_main_image_of_a_marketplace_is_pure_white_and_filled() -> None:
    recipe = parse(dict(built_in_recipes()["amazon-main"].fields), offered=OFFERED)

    assert str(recipe.background) == "color:#ffffff"
    assert recipe.framing.scale == 0.85
    assert min(recipe.framing.size.exact or (0,)) >= 1600
