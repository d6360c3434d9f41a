"""Which filters a recipe asks for, and what it tells them."""

import pytest

from smart_filter_shared.errors import Contradiction, InvalidRecipe
from smart_filter_shared.filters import FILTERS
from smart_filter_shared.recipe import Filter, Recipe, from_json, stages
from smart_filter_shared.recipe.fields import parse


def parsed(*filters: str, **fields: str) -> Recipe:
    sent = {name.replace("__", "."): [value] for name, value in fields.items()}
    return parse({"filters": list(filters), **sent}, offered={})


def refused(*filters: str, **fields: str) -> list[str]:
    with pytest.raises(InvalidRecipe) as refusal:
        parsed(*filters, **fields)
    return [error.pointer for error in refusal.value.errors]


def test_nothing_is_drawn_unless_asked_for() -> None:
    assert parsed().filters == ()


def test_filters_come_by_comma_or_repeated_and_keep_their_order() -> None:
    recipe = parsed("hat,grade", "caption", filters__caption__text="Hi")

    assert [one.name for one in recipe.filters] == ["hat", "grade", "caption"]


def test_what_is_set_is_kept_and_the_rest_is_the_default() -> None:
    (hat,) = parsed("hat", filters__hat__kind="crown", filters__hat__who="1,3").filters

    assert hat == Filter("hat", {"kind": "crown", "who": "1,3"})
    assert hat.parameters == {"kind": "crown", "who": "1,3", "colour": "auto"}


def test_unknown_filters_names_and_values_are_all_named() -> None:
    pointers = refused(
        "hat,cape",
        filters__hat__kind="bowler",
        filters__hat__size="9",
        filters__hat__who="0",
        filters__cape__kind="red",
        filters__glasses__kind="round",
    )

    assert set(pointers) == {
        "/filters",
        "/filters/hat/kind",
        "/filters/hat/size",
        "/filters/hat/who",
        "/filters/cape/kind",
        "/filters/glasses/kind",
    }


@pytest.mark.parametrize("text", [None, " ", "x" * 121])
def test_caption_needs_a_text_that_fits(text: str | None) -> None:
    said = {} if text is None else {"filters__caption__text": text}

    assert refused("caption", **said) == ["/filters/caption/text"]


def test_filters_without_an_image_contradict() -> None:
    with pytest.raises(Contradiction) as refusal:
        parsed("hat", outputs="matte")

    assert [error.pointer for error in refusal.value.errors] == ["/filters", "/outputs"]


@pytest.mark.parametrize(
    ("filters", "fields", "expected"),
    [
        ("hat,glasses,sticker", {}, "prepare composite"),
        ("caption", {"filters__caption__text": "Hi"}, "prepare composite"),
        ("grade", {"filters__grade__look": "mono"}, "prepare composite"),
        ("grade", {}, "prepare segmentation face smile composite"),
        ("sparkle", {}, "prepare segmentation face smile composite"),
    ],
)
def test_people_are_rated_only_for_filters_that_go_by_smiles(
    filters: str, fields: dict[str, str], expected: str
) -> None:
    assert " ".join(stages(parsed(filters, background="keep", **fields))) == expected


def test_filters_survive_the_database() -> None:
    recipe = parsed("hat,grade", filters__hat__kind="crown", filters__grade__strength="0.25")

    assert from_json(recipe.as_json(), seed=1, metadata={}).filters == recipe.filters


def test_row_of_an_older_version_asks_for_none() -> None:
    stored = Recipe().as_json()
    del stored["filters"]

    assert from_json(stored, seed=1, metadata={}).filters == ()


def test_every_default_may_be_sent() -> None:
    for card in FILTERS:
        for parameter in card.parameters:
            assert parameter.read(str(parameter.default)) == parameter.default
