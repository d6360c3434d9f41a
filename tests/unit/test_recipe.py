"""A recipe: its fields, its defaults, and which stages it needs."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_filter_shared import parameters
from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_shared.errors import Contradiction, InvalidRecipe
from smart_filter_shared.recipe import (
    Background,
    BackgroundKind,
    Format,
    Output,
    Recipe,
    Whom,
    from_json,
    stages,
)
from smart_filter_shared.recipe.fields import parse


def a_card(task: TaskName, name: str, *, default: bool = True, able: bool = True) -> ModelCard:
    """Return the card of a model with a parameter of each kind; able: to do all there is."""
    return ModelCard(
        name=name,
        version="1",
        task=task,
        family=name,
        title=name,
        source="the tests",
        licence="Apache-2.0",
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


def parsed(**fields: str | list[str]) -> Recipe:
    """Parse fields whose names have `__` for a dot; the file that `file` means came along."""
    given_fields = {
        name.replace("__", "."): [value] if isinstance(value, str) else value
        for name, value in fields.items()
    }
    with_file = fields.get("background") == "file"
    return parse(given_fields, offered=OFFERED, with_background_file=with_file)


def pointers(error: InvalidRecipe) -> list[str]:
    return [one.pointer for one in error.errors]


def test_empty_form_is_the_contracts_defaults() -> None:
    recipe = parsed()

    assert recipe == Recipe()
    assert (recipe.background.kind, recipe.outputs) == (BackgroundKind.AUTO, (Output.IMAGE,))
    assert (recipe.format, recipe.quality, recipe.require_person) == (Format.AUTO, 90, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("keep", Background(BackgroundKind.KEEP)),
        ("transparent", Background(BackgroundKind.TRANSPARENT)),
        ("color:#f80", Background(BackgroundKind.COLOR, "#f80")),
        ("color: rgb(1 2 3 / 50%)", Background(BackgroundKind.COLOR, "rgb(1 2 3 / 50%)")),
        ("blur:0.5", Background(BackgroundKind.BLUR, "0.5")),
        ("file", Background(BackgroundKind.FILE)),
        (
            "url:https://example.org:8080/a,b?c=d:e",
            Background(BackgroundKind.URL, "https://example.org:8080/a,b?c=d:e"),
        ),
        ("color:RebeccaPurple", Background(BackgroundKind.COLOR, "RebeccaPurple")),
    ],
)
def test_background_is_read(text: str, expected: Background) -> None:
    assert parsed(background=text).background == expected


def test_background_that_came_along_is_the_default() -> None:
    recipe = parse({}, offered=OFFERED, with_background_file=True)

    assert recipe.background == Background(BackgroundKind.FILE)


def test_background_that_did_not_come_along_is_named() -> None:
    with pytest.raises(InvalidRecipe) as raised:
        parse({"background": ["file"]}, offered=OFFERED)

    assert pointers(raised.value) == ["/background_file"]


def test_background_beside_another_one_is_a_contradiction() -> None:
    with pytest.raises(Contradiction) as raised:
        parse({"background": ["keep"]}, offered=OFFERED, with_background_file=True)

    assert pointers(raised.value) == ["/background", "/background_file"]


@pytest.mark.parametrize(
    "text",
    "|red|color:|color:nope|color:lab(1e308 1e308 1e308)|preset:nope|blur:2|blur:|blur:x|keep:1"
    "|url|url:|url:example.org/a.jpg|url:ftp://example.org/a.jpg|url:https://0x7f.1/"
    "|auto:|AUTO|keywords|keywords:|keywords:,|keywords:<b>|keywords:#|keywords:#ff88|keywords:#ggg|keywords:-|preset:rainbow+sky|preset:+linen"
    "|preset:rainbow+".split("|"),
)
def test_wrong_background_is_named(text: str) -> None:
    with pytest.raises(InvalidRecipe) as raised:
        parsed(background=text)

    assert pointers(raised.value) == ["/background"]


@pytest.mark.parametrize("text", ["keywords:" + ",".join("abcdefghijklm"), "keywords:" + 41 * "x"])
def test_too_many_words_and_too_long_ones_are_named(text: str) -> None:
    with pytest.raises(InvalidRecipe) as raised:
        parsed(background=text)

    assert pointers(raised.value) == ["/background"]


@pytest.mark.parametrize(
    ("text", "background"),
    [
        ("keywords:rainbow,texture", Background(BackgroundKind.KEYWORDS, "rainbow,texture")),
        ("keywords:#f80, paper #FF8800", Background(BackgroundKind.KEYWORDS, "#f80,paper #FF8800")),
        ("keywords: dark  blue , Été,", Background(BackgroundKind.KEYWORDS, "dark blue,Été")),
        ("preset:rainbow+linen", Background(BackgroundKind.PRESET, "rainbow+linen")),
    ],
)
def test_words_and_surfaces_are_read_and_kept(text: str, background: Background) -> None:
    recipe = parsed(background=text)

    assert recipe.background == background
    assert from_json(recipe.as_json(), seed=1, metadata={}).background == background


def test_people_are_rated_for_the_choice_by_words() -> None:
    assert stages(parsed(background="keywords:sea")) == stages(parsed(background="auto"))


@pytest.mark.parametrize("value", ["a,b", ["image", "nope"], "image,"])
def test_wrong_output_is_named(value: str | list[str]) -> None:
    with pytest.raises(InvalidRecipe) as raised:
        parsed(outputs=value)

    assert set(pointers(raised.value)) == {"/outputs"}


def test_outputs_come_by_comma_or_repeated_and_count_once() -> None:
    assert parsed(outputs=["image,matte", "matte"]).outputs == (Output.IMAGE, Output.MATTE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quality", "0"),
        ("quality", "101"),
        ("quality", "9.5"),
        ("quality", "٣"),
        ("quality", "1e1"),
        ("seed", "-1"),
        ("seed", str(2**53)),
        ("require_person", "yes"),
        ("format", "gif"),
        ("priority", "urgent"),
        ("run_at", "tomorrow"),
        ("run_at", "2030-01-01T00:00:00"),
        ("metadata.note", "x" * 257),
        ("metadata.note", "nul\0"),
    ],
)
def test_value_out_of_range_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidRecipe) as raised:
        parse({name: [value]}, offered=OFFERED)

    assert pointers(raised.value) == ["/" + name.replace(".", "/")]
    assert raised.value.code == "invalid_recipe"


def test_unknown_names_and_wrong_values_are_all_named_at_once() -> None:
    with pytest.raises(InvalidRecipe) as raised:
        parsed(colour="red", quality="0", edge="nice", face__model="nope")

    assert set(pointers(raised.value)) == {"/colour", "/quality", "/edge", "/face/model"}


@pytest.mark.parametrize("background", ["transparent", "color:#ff000080", "color:transparent"])
def test_transparency_contradicts_jpg(background: str) -> None:
    with pytest.raises(Contradiction) as raised:
        parsed(background=background, format="jpg")

    assert pointers(raised.value) == ["/format", "/background"]


@pytest.mark.parametrize(
    ("background", "outputs"), [("transparent", "cutout"), ("keep", "image,cutout")]
)
def test_cutout_and_jpg_contradict_nothing(background: str, outputs: str) -> None:
    recipe = parsed(background=background, outputs=outputs, format="jpg")

    assert Output.CUTOUT in recipe.outputs


@pytest.mark.parametrize("background", ["keep", "transparent", "color:#ff000080"])
def test_avif_goes_with_every_background(background: str) -> None:
    assert parsed(background=background, format="avif").format == Format.AVIF


def test_field_given_twice_is_refused() -> None:
    with pytest.raises(InvalidRecipe):
        parsed(quality=["1", "2"])


def test_metadata_is_bounded_in_number() -> None:
    with pytest.raises(InvalidRecipe):
        parse({f"metadata.k{index}": ["v"] for index in range(17)}, offered=OFFERED)


def test_metadata_is_kept_as_it_is() -> None:
    assert parsed(metadata__note="Ω ✓").metadata == {"note": "Ω ✓"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "prepare segmentation face smile composite"),
        ({"background": "keep"}, "prepare composite"),
        ({"background": "color:red"}, "prepare segmentation composite"),
        ({"background": "color:red", "outputs": "matte"}, "prepare segmentation composite"),
        ({"background": "color:red", "outputs": "cutout"}, "prepare segmentation composite"),
        ({"background": "keep", "outputs": "image,cutout"}, "prepare segmentation composite"),
        ({"background": "keep", "outputs": "faces"}, "prepare segmentation face smile"),
        ({"background": "keep", "outputs": "rating"}, "prepare segmentation face smile"),
        (
            {"background": "keep", "outputs": "printability"},
            "prepare segmentation face smile composite",
        ),
        ({"background": "keep", "aspect": "1:1"}, "prepare segmentation composite"),
        ({"background": "keep", "size": "preview"}, "prepare composite"),
        ({"background": "keep", "require_person": "true"}, "prepare segmentation composite"),
    ],
)
def test_job_runs_the_smallest_set_of_stages(fields: dict[str, str], expected: str) -> None:
    assert " ".join(stages(parsed(**fields))) == expected


@given(
    background=st.sampled_from("auto transparent color:#12345678 blur:.5 file".split()),
    outputs=st.lists(st.sampled_from(sorted(Output)), min_size=1, unique=True),
    quality=st.integers(1, 100),
    person=st.booleans(),
    priority=st.sampled_from(["standard", "interactive", "batch"]),
    persons=st.sampled_from(["all", "largest", "2", "1, 3"]),
)
def test_recipe_survives_the_database(
    background: str, outputs: list[str], quality: int, priority: str, persons: str, *, person: bool
) -> None:
    recipe = parsed(
        background=background,
        outputs=outputs,
        quality=str(quality),
        require_person=str(person).lower(),
        priority=priority,
        persons=persons,
        segmentation__params__threshold="0.25",
        segmentation__params__mirrored="true",
        run_at="2030-01-31T12:00:00+01:00",
        edge="best",
        crop="faces",
        margin="5% 12.5px",
        scale="33.3333%",
        position="0% 62.5%",
        roi="1% 20px 99.5% 12345.125px",
        size="print:10x15",
        aspect="4:5",
        shadow="drop:0.35",
        outline="1.5% rgb(1 2 3 / 50%)",
        light_wrap="0.25",
        harmonise="1",
        seed="5",
        metadata__a="b",
    )

    assert from_json(recipe.as_json(), seed=5, metadata={"a": "b"}) == recipe


def test_parameters_of_the_chosen_model_are_read_by_their_kinds() -> None:
    recipe = parsed(
        segmentation__model="selfie",
        segmentation__params__threshold="0.5",
        segmentation__params__steps="4",
        segmentation__params__mirrored="true",
        segmentation__params__mode="slow",
        segmentation__params__box="1,2,3,4",
    )

    assert recipe.params[TaskName.SEGMENTATION] == {
        "threshold": 0.5,
        "steps": 4,
        "mirrored": True,
        "mode": "slow",
        "box": "1,2,3,4",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", "1.5"),
        ("threshold", "nan"),
        ("threshold", "1e"),
        ("threshold", "٣"),
        ("steps", "2.5"),
        ("steps", "1_0"),
        ("steps", "9" * 30),
        ("mirrored", "yes"),
        ("mode", "medium"),
        ("box", "1,2,3"),
        ("box", "1,2,3,4" + "0" * 20),
        ("nosuch", "1"),
    ],
)
def test_wrong_parameter_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidRecipe) as caught:
        parse({f"segmentation.params.{name}": [value]}, offered=OFFERED)

    assert pointers(caught.value) == [f"/segmentation/params/{name}"]


def test_parameters_that_must_ascend_are_named_when_they_do_not() -> None:
    with pytest.raises(Contradiction) as caught:
        parsed(segmentation__params__threshold="0.5", segmentation__params__steps="0")

    assert pointers(caught.value) == [
        "/segmentation/params/threshold",
        "/segmentation/params/steps",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("all", Whom.ALL), ("largest", Whom.LARGEST), ("2", (2,)), ("3,1", (1, 3)), ("2, 2", (2,))],
)
def test_persons_are_read(text: str, expected: object) -> None:
    assert parsed(persons=text).persons == expected


@pytest.mark.parametrize("text", ["", "0", "-1", "1,,2", "some", "1;2", "1," * 200 + "1"])
def test_wrong_persons_are_named(text: str) -> None:
    with pytest.raises(InvalidRecipe) as caught:
        parsed(persons=text)

    assert pointers(caught.value) == ["/persons"]


@pytest.mark.parametrize("asked", ["persons=largest", "outputs=image,debug", "outputs=persons"])
def test_what_a_model_cannot_do_names_those_that_can(asked: str) -> None:
    with pytest.raises(Contradiction, match="people"):
        parsed(segmentation__model="selfie", **dict([asked.split("=")]))


@given(st.dictionaries(st.text(max_size=20), st.lists(st.text(max_size=30), max_size=3)))
def test_whatever_is_sent_gives_a_recipe_or_the_error_for_it(
    fields: dict[str, list[str]],
) -> None:
    with contextlib.suppress(InvalidRecipe):
        assert isinstance(parse(fields, offered=OFFERED), Recipe)
