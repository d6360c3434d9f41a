import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_shared.errors import Contradiction, InvalidRecipe, NotAvailable
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.recipe.fields import parse
from smart_filter_tests.recipes import (
    OFFERED,
    error_fields,
    parse_fields,
    refused_fields,
    split_fields,
)

# A value of each field that is out of range or malformed.
WRONG = {
    "background": "|red|color:|color:nope|color:lab(1e308 1e308 1e308)|preset:nope|blur:2|blur:"
    "|blur:x|blur:1e-1|keep:1|url|url:|url:example.org/a.jpg|url:ftp://example.org/a.jpg|url:https://0x7f.1/"
    "|auto:|AUTO|keywords|keywords:|keywords:,|keywords:<b>|keywords:#|keywords:#ff88"
    "|keywords:#ggg|keywords:-|preset:rainbow+sky|preset:+linen|preset:rainbow+"
    "|keywords:a,b,c,d,e,f,g,h,i,j,k,l,m|keywords:" + "x" * 41,
    "outputs": "nope|image,nope",
    "quality": "0|101|9.5|٣|1e1",
    "seed": f"-1|{2**53}",
    "deadline_ms": f"0|{7 * 24 * 3600 * 1000 + 1}",
    "require_person": "yes",
    "format": "gif",
    "priority": "urgent",
    "run_at": "tomorrow|2030-01-01T00:00:00",
    "metadata.note": "x" * 257 + "|nul\0",
    "persons": "|0|-1|1,,2|some|1;2|" + "1," * 200 + "1",
    "segmentation.params.threshold": "1.5|nan|1e|٣",
    "segmentation.params.steps": "2.5|1_0|" + "9" * 30,
    "segmentation.params.mirrored": "yes",
    "segmentation.params.mode": "medium",
    "segmentation.params.box": "1,2,3|1,2,3,4" + "0" * 20,
    "segmentation.params.nosuch": "1",
    "max_bytes": "9999|9.9kB|-1|0|2000MB|200 KiB|k|nan|1e6|10000.0000||" + "9" * 30,
    "matte_bits": "1|08|16.0|",
    "keep_metadata": "yes|1|",
    "effort": "best|",
    "provenance": "C2PA|true|",
    "edge": "sharp",
    "mask": "file|alpha",
    "filename": "a\0b|{nosuch}|{|{name!r}||" + "x" * 101,
    "grow": "-4|4|1.5|1px",
    "crop": "yes",
    "margin": "51%|501px|-1px|1px 2px 3px|1e3px",
    "scale": "9%|101%|0.5",
    "position": "left|101%|10% 20% 30%",
    "roi": "0% 0% 0% 100%|10px 10px 10px 20px|0% 0% 101% 100%|0% 0% 100%",
    "size": "0x0|15x100|16384x2000|8000x8000|5000x10001|1700x100|161x16|print:poster",
    "aspect": "0:1|11:1|1:11|square",
    "shadow": "auto:0.5|none:0.5|drop:2",
    "outline": "0px|201px|11%|2% nope",
    "light_wrap": "1.1",
    "harmonize": "-0.1",
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in WRONG for value in WRONG[name].split("|")]
)
def test_wrong_value_is_named(name: str, value: str) -> None:
    others = {"crop": "true"} if name == "margin" else {}

    with pytest.raises(InvalidRecipe) as refusal:
        parse_fields(**others, **{name: value})

    assert error_fields(refusal.value) == ["/" + name.replace(".", "/")]
    assert refusal.value.code == "invalid_recipe"
    assert len(refusal.value.errors[0].detail) > 20


@pytest.mark.parametrize(
    ("name", "value", "detail"),
    [
        ("quality", True, "true is not an integer from 1 to 100"),
        ("quality", 9.5, "9.5 is not an integer from 1 to 100"),
        ("quality", 10**400, f"1{'0' * 59}… is not an integer from 1 to 100"),
        (
            *("filename", 5),
            "5 is not a name of 1 to 100 characters; a name can hold {name}, {n} and {background}",
        ),
        (
            *("filename", "{name}-{foo}"),
            "'{foo}' is unknown; a name can hold {name}, {n} and {background}",
        ),
        ("require_person", 1, "1 is neither true nor false"),
        ("segmentation.params.threshold", 1.5, "1.5 is not a number from 0 to 1"),
        ("segmentation.params.threshold", False, "false is not a number from 0 to 1"),
        ("segmentation.params.threshold", float("nan"), "NaN is not a number from 0 to 1"),
    ],
)
def test_wrong_value_of_json_is_shown_as_json(name: str, value: Scalar, detail: str) -> None:
    with pytest.raises(InvalidRecipe) as refusal:
        parse({name: value}, offered=OFFERED)

    assert [error.detail for error in refusal.value.errors] == [detail]


@pytest.mark.parametrize(
    ("name", "value", "suggested"),
    [
        ("segmentation.model", "selfi", "selfie"),
        ("segmentation.params.threshhold", "0.5", "threshold"),
        ("segmentation.modle", "auto", "segmentation.model"),
        ("filters.hatt.kind", "party", "hat"),
        ("outputs", "image,mate", "matte"),
        ("format", "JPG", "jpg"),
        ("priority", "interactiv", "interactive"),
        ("background", "Color:red", "color:red"),
        ("background", "presets:rainbow", "preset:rainbow"),
        ("background", "rainbow", "preset:rainbow"),
        ("background", "#ff0000", "color:#ff0000"),
        ("background", "preset:rainbo", "rainbow"),
        ("background", "colour:red", "color:red"),
        ("background", "color:tael", "teal"),
        ("background", "color:DarkOrnage", "darkorange"),
        ("background", "color:ff8800", "#ff8800"),
        ("background", "color:none", "transparent"),
        ("background", "https://example.org/a.jpg", "url:https://…"),
        ("outline", "2% tomatoe", "tomato"),
        ("shadow", "dropp", "drop"),
        ("persons", "larges", "largest"),
        ("size", "hdd", "hd"),
        ("aspect", "4x5", "4:5"),
    ],
)
def test_misspelled_name_or_value_suggests_the_nearest(
    name: str, value: str, suggested: str
) -> None:
    with pytest.raises(InvalidRecipe) as refusal:
        parse({name: value}, offered=OFFERED)

    (error,) = refusal.value.errors
    assert error.detail.endswith(f"did you mean {suggested}?")


def test_nothing_is_suggested_for_a_value_that_is_far_from_all() -> None:
    with pytest.raises(InvalidRecipe) as refusal:
        parse({"format": "quicktime"}, offered=OFFERED)

    assert "did you mean" not in str(refusal.value)


def test_unknown_names_and_wrong_values_are_all_named_together() -> None:
    named = refused_fields(
        colour="red",
        quality="0",
        edge="nice",
        face__model="nope",
        filters="hat,cape",
        filters__hat__kind="bowler",
        filters__hat__size="9",
        filters__hat__who="0",
        filters__cape__kind="red",
        filters__glasses__kind="round",
    )

    assert set(named) == {
        *("/colour", "/quality", "/edge", "/face/model", "/filters"),
        *("/filters/hat/kind", "/filters/hat/size", "/filters/hat/who"),
        *("/filters/cape/kind", "/filters/glasses/kind"),
    }


def test_field_given_twice_is_refused() -> None:
    assert refused_fields(quality=["1", "2"]) == ["/quality"]


@pytest.mark.parametrize("text", [None, " ", "x" * 121])
def test_caption_needs_a_text_that_fits(text: str | None) -> None:
    sent = {} if text is None else {"filters__caption__text": text}

    assert refused_fields(filters="caption", **sent) == ["/filters/caption/text"]


def test_missing_background_file_is_named() -> None:
    with pytest.raises(InvalidRecipe) as refusal:
        parse({"background": "file"}, offered=OFFERED)

    assert error_fields(refusal.value) == ["/background_file"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ("background=transparent format=jpg", ["/format", "/background"]),
        ("background=color:#ff000080 format=jpg", ["/format", "/background"]),
        ("background=color:transparent format=jpg", ["/format", "/background"]),
        (
            "segmentation.params.threshold=0.5 segmentation.params.steps=0",
            ["/segmentation/params/threshold", "/segmentation/params/steps"],
        ),
        ("matte_bits=16", ["/matte_bits", "/outputs"]),
        ("max_bytes=20kB outputs=matte", ["/max_bytes", "/outputs"]),
        (
            "max_bytes=20kB keep_metadata=true outputs=zip matte_bits=16",
            ["/max_bytes", "/keep_metadata", "/outputs", "/matte_bits", "/outputs"],
        ),
        ("provenance=c2pa outputs=matte,zip,persons", ["/provenance", "/outputs"]),
        ("provenance=c2pa format=avif", ["/provenance", "/format"]),
        ("provenance=c2pa max_bytes=1MB", ["/provenance", "/max_bytes"]),
        ("filters=hat outputs=matte", ["/filters", "/outputs"]),
        ("mask=upload grow=1", ["/grow", "/mask"]),
        *(
            (f"size={size} aspect={aspect}", ["/size", "/aspect"])
            for size, aspect in (
                ("1000x668", "3:2"),
                ("668x1000", "2:3"),
                ("1000x1500", "3:2"),
                ("1000x1001", "2:1"),
            )
        ),
        (
            "background=keep shadow=drop outline=1% harmonize=0.5 light_wrap=0 scale=50%",
            ["/scale", "/shadow", "/outline", "/harmonize", "/background"],
        ),
        (
            "background=transparent format=jpg margin=10px size=1000x1000 aspect=4:5",
            ["/format", "/background", "/margin", "/crop", "/size", "/aspect"],
        ),
    ],
)
def test_fields_that_contradict_each_other_are_all_named(fields: str, named: list[str]) -> None:
    with pytest.raises(Contradiction) as refusal:
        parse_fields(**split_fields(fields))

    assert error_fields(refusal.value) == named


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        ("size=800x600 format=png", "jpg, webp or avif"),
        ("size=print:10x15 background=transparent", "webp or avif"),
        ("size=800x600 background=transparent format=png", "webp or avif"),
        ("size=800x600 outputs=cutout format=jpg", "webp or avif"),
    ],
)
def test_png_of_an_exact_size_has_nothing_to_reduce(fields: str, remedy: str) -> None:
    with pytest.raises(Contradiction) as refusal:
        parse_fields(max_bytes="50kB", **split_fields(fields))

    assert error_fields(refusal.value) == ["/max_bytes", "/size", "/format"]
    assert f": choose {remedy}, whose quality" in refusal.value.errors[0].detail


@pytest.mark.parametrize(
    "fields",
    [
        "background=transparent outputs=cutout format=jpg",
        "background=keep outputs=image,cutout format=jpg",
        *(
            f"background={background} format=avif"
            for background in ("keep", "transparent", "color:#ff000080")
        ),
        "max_bytes=50kB size=800x600",
        "max_bytes=50kB size=800x600 background=transparent format=webp",
        "max_bytes=50kB size=hd format=png",
        "max_bytes=50kB size=800x600 outputs=image,matte format=jpg",
        # Either side is within a pixel of the shape.
        "size=1080x1350 aspect=4:5",
        "size=1000x667 aspect=3:2",
        "size=904x100 aspect=9:1",
        "size=100x904 aspect=1:9",
        "size=200x904 aspect=2:9",
    ],
)
def test_compatible_fields_are_accepted(fields: str) -> None:
    asked = split_fields(fields)

    recipe = parse_fields(**asked)

    assert recipe.files.max_bytes == (50_000 if "max_bytes" in asked else None)
    assert recipe.format == asked.get("format", "auto")


@pytest.mark.parametrize("asked", ["persons=largest", "outputs=image,debug", "outputs=persons"])
def test_field_that_the_model_lacks_names_the_models_that_have_it(asked: str) -> None:
    with pytest.raises(Contradiction) as refusal:
        parse_fields(segmentation__model="selfie", **split_fields(asked))

    assert error_fields(refusal.value) == ["/" + asked.partition("=")[0], "/segmentation/model"]
    assert {error.detail.partition("; ")[2] for error in refusal.value.errors} == {
        "models that can: people"
    }


FAULTS = {(TaskName.FACE, "retina"): "its weights are missing"}


def test_known_model_without_a_worker_is_unavailable() -> None:
    with pytest.raises(NotAvailable) as refusal:
        parse({"face.model": "retina"}, offered=OFFERED, faults=FAULTS)

    assert error_fields(refusal.value) == ["/face/model"]
    assert refusal.value.errors[0].detail == (
        "no pool of workers offers retina (its weights are missing); use one of auto, centerface"
    )


def test_wrong_value_outweighs_an_unavailable_model() -> None:
    with pytest.raises(InvalidRecipe) as refusal:
        parse({"face.model": "retina", "quality": "0"}, offered=OFFERED, faults=FAULTS)

    assert refusal.value.code == "invalid_recipe"
    assert error_fields(refusal.value) == ["/quality", "/face/model"]


@given(st.dictionaries(st.text(max_size=20), st.lists(st.text(max_size=30), max_size=3)))
def test_arbitrary_fields_give_a_recipe_or_an_invalid_recipe_error(
    fields: dict[str, list[str]],
) -> None:
    with contextlib.suppress(InvalidRecipe):
        assert isinstance(parse(fields, offered=OFFERED), Recipe)


def test_number_of_metadata_fields_is_bounded() -> None:
    assert refused_fields(**{f"metadata__k{index}": "v" for index in range(17)})
