"""What a recipe says of files: how large, how small, what they tell."""

import pytest

from smart_filter_shared.errors import Contradiction, InvalidRecipe
from smart_filter_shared.recipe import Effort, Files, Recipe, from_json, stages
from smart_filter_shared.recipe.fields import parse


def parsed(**fields: str) -> Files:
    return parse({name: [value] for name, value in fields.items()}, offered={}).files


def test_files_are_made_fast_and_of_any_size_unless_told_otherwise() -> None:
    assert parsed() == Files(matte_bits=8, max_bytes=None, keep_metadata=False, effort=Effort.FAST)


def test_every_value_is_read() -> None:
    asked = {"matte_bits": "16", "max_bytes": "200000", "keep_metadata": "true", "effort": "small"}

    assert parsed(**asked, outputs="image,matte") == Files(
        16, 200_000, keep_metadata=True, effort=Effort.SMALL
    )


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        ("10000", 10_000),
        ("200kB", 200_000),
        ("200KB", 200_000),
        ("200 kb", 200_000),
        ("1.5MB", 1_500_000),
        ("25000B", 25_000),
    ],
)
def test_sizes_are_in_thousands(text: str, bytes_: int) -> None:
    assert parsed(max_bytes=text).max_bytes == bytes_


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("max_bytes", text) for text in ("9999", "9.9kB", "-1", "0", "2000MB", "200 KiB", "k")),
        *(("max_bytes", text) for text in ("nan", "1e6", "10000.0000", "", "9" * 30)),
        *(("matte_bits", text) for text in ("1", "08", "16.0", "")),
        *(("keep_metadata", text) for text in ("yes", "1", "")),
        *(("effort", text) for text in ("best", "")),
    ],
)
def test_wrong_values_are_named(name: str, text: str) -> None:
    with pytest.raises(InvalidRecipe) as caught:
        parsed(**{name: text})

    assert [error.pointer for error in caught.value.errors] == [f"/{name}"]


def test_what_is_stored_comes_back() -> None:
    recipe = Recipe(files=Files(16, 123_456, keep_metadata=True, effort=Effort.SMALL), seed=1)

    assert from_json(recipe.as_json(), seed=1, metadata={}) == recipe


def test_recipe_of_an_older_version_has_the_defaults() -> None:
    stored = Recipe().as_json()
    old = {name: stored[name] for name in stored if name not in Files().as_json()}

    assert from_json(old, seed=1, metadata={}).files == Files()


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ("persons", "prepare segmentation composite"),
        ("zip", "prepare segmentation composite"),
        ("thumbnail", "prepare composite"),
    ],
)
def test_outputs_run_the_stages_that_they_need(outputs: str, expected: str) -> None:
    recipe = parse({"outputs": [outputs], "background": ["keep"]}, offered={})

    assert " ".join(stages(recipe)) == expected


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"matte_bits": "16"}, {"/matte_bits", "/outputs"}),
        ({"max_bytes": "20kB", "outputs": "matte"}, {"/max_bytes", "/outputs"}),
        (
            {"max_bytes": "20kB", "keep_metadata": "true", "outputs": "zip", "matte_bits": "16"},
            {"/max_bytes", "/keep_metadata", "/matte_bits", "/outputs"},
        ),
    ],
)
def test_what_would_have_no_effect_is_named(fields: dict[str, str], named: set[str]) -> None:
    with pytest.raises(Contradiction) as caught:
        parsed(**fields)

    assert {error.pointer for error in caught.value.errors} == named


@pytest.mark.parametrize("size", ["800x600", "print:10x15"])
@pytest.mark.parametrize(
    "others",
    [
        {"format": "png"},
        {"background": "transparent"},
        {"outputs": "cutout", "format": "jpg"},
    ],
)
def test_png_of_an_exact_size_has_nothing_to_lower(size: str, others: dict[str, str]) -> None:
    with pytest.raises(Contradiction) as caught:
        parsed(max_bytes="50kB", size=size, **others)

    assert [error.pointer for error in caught.value.errors] == ["/max_bytes", "/size", "/format"]
    assert "webp or avif, which have quality to lower" in caught.value.errors[0].detail


@pytest.mark.parametrize(
    "asked",
    [
        {"size": "800x600"},
        {"size": "800x600", "background": "transparent", "format": "webp"},
        {"size": "hd", "format": "png"},
        {"size": "800x600", "outputs": "image,matte", "format": "jpg"},
    ],
)
def test_a_limit_goes_with_what_can_give_way(asked: dict[str, str]) -> None:
    assert parsed(max_bytes="50kB", **asked).max_bytes == 50_000
