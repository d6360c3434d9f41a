"""A recipe: its fields, its defaults, and the stages it needs."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_filter_shared import parameters
from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_shared.errors import Contradiction, InvalidRecipe
from smart_filter_shared.filters import FILTERS
from smart_filter_shared.recipe import (
    Background,
    BackgroundKind,
    Crop,
    Edge,
    Effort,
    Files,
    Filter,
    Format,
    Framing,
    Length,
    Look,
    Outline,
    Output,
    Recipe,
    Shadow,
    ShadowKind,
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


def refused(**fields: str | list[str]) -> list[str]:
    """Return the fields that a refusal names."""
    with pytest.raises(InvalidRecipe) as refusal:
        parsed(**fields)
    return pointers(refusal.value)


def sent(text: str) -> dict[str, str]:
    """Return fields written as `name=value name=value`."""
    return dict(field.split("=", 1) for field in text.split())


def percent(value: float) -> Length:
    return Length(value, percent=True)


def px(value: float) -> Length:
    return Length(value, percent=False)


def test_fields_sent_empty_are_the_defaults_of_the_contract() -> None:
    recipe = parsed()

    assert recipe == Recipe()
    assert (recipe.background.kind, recipe.outputs) == (BackgroundKind.AUTO, (Output.IMAGE,))
    assert (recipe.format, recipe.quality, recipe.require_person) == (Format.AUTO, 90, False)
    assert recipe.files == Files(
        matte_bits=8, max_bytes=None, keep_metadata=False, effort=Effort.FAST
    )
    assert (recipe.framing, recipe.look, recipe.edge) == (Framing(), Look(), Edge.BALANCED)
    assert not recipe.framing.asks_for_people


# The value of each field that is out of its range or of another form.
WRONG = {
    "background": "|red|color:|color:nope|color:lab(1e308 1e308 1e308)|preset:nope|blur:2|blur:"
    "|blur:x|keep:1|url|url:|url:example.org/a.jpg|url:ftp://example.org/a.jpg|url:https://0x7f.1/"
    "|auto:|AUTO|keywords|keywords:|keywords:,|keywords:<b>|keywords:#|keywords:#ff88"
    "|keywords:#ggg|keywords:-|preset:rainbow+sky|preset:+linen|preset:rainbow+"
    "|keywords:a,b,c,d,e,f,g,h,i,j,k,l,m|keywords:" + "x" * 41,
    "quality": "0|101|9.5|٣|1e1",
    "seed": f"-1|{2**53}",
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
    "edge": "sharp",
    "crop": "yes",
    "margin": "51%|501px|-1px|1px 2px 3px|1e3px",
    "scale": "9%|101%|0.5",
    "position": "left|101%|10% 20% 30%",
    "roi": "0% 0% 0% 100%|10px 10px 10px 20px|0% 0% 101% 100%|0% 0% 100%",
    "size": "0x0|8x800|20000x100|8000x8000|1700x100|print:poster",
    "aspect": "0:1|11:1|square",
    "shadow": "auto:0.5|drop:2",
    "outline": "0px|11%|2% nope",
    "light_wrap": "1.1",
    "harmonise": "-0.1",
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in WRONG for value in WRONG[name].split("|")]
)
def test_wrong_value_is_named(name: str, value: str) -> None:
    others = {"crop": "true"} if name == "margin" else {}

    with pytest.raises(InvalidRecipe) as refusal:
        parsed(**others, **{name: value})

    assert pointers(refusal.value) == ["/" + name.replace(".", "/")]
    assert refusal.value.code == "invalid_recipe"
    assert len(refusal.value.errors[0].detail) > 20


@pytest.mark.parametrize("value", ["a,b", ["image", "nope"], "image,"])
def test_wrong_output_is_named(value: str | list[str]) -> None:
    assert set(refused(outputs=value)) == {"/outputs"}


def test_unknown_names_and_wrong_values_are_all_named_at_once() -> None:
    named = refused(
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
    assert refused(quality=["1", "2"]) == ["/quality"]


def test_metadata_is_bounded_in_number() -> None:
    assert refused(**{f"metadata__k{index}": "v" for index in range(17)})


@pytest.mark.parametrize("text", [None, " ", "x" * 121])
def test_caption_needs_a_text_that_fits(text: str | None) -> None:
    sent = {} if text is None else {"filters__caption__text": text}

    assert refused(filters="caption", **sent) == ["/filters/caption/text"]


def test_background_file_that_was_not_sent_is_named() -> None:
    with pytest.raises(InvalidRecipe) as refusal:
        parse({"background": ["file"]}, offered=OFFERED)

    assert pointers(refusal.value) == ["/background_file"]


def test_background_file_with_another_background_is_a_contradiction() -> None:
    with pytest.raises(Contradiction) as refusal:
        parse({"background": ["keep"]}, offered=OFFERED, with_background_file=True)

    assert pointers(refusal.value) == ["/background", "/background_file"]


PNG_OF_EXACT_SIZE = ["/max_bytes", "/size", "/format"]


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
            ["/matte_bits", "/outputs", "/max_bytes", "/keep_metadata", "/outputs"],
        ),
        ("filters=hat outputs=matte", ["/filters", "/outputs"]),
        ("max_bytes=50kB size=800x600 format=png", PNG_OF_EXACT_SIZE),
        ("max_bytes=50kB size=print:10x15 format=png", PNG_OF_EXACT_SIZE),
        ("max_bytes=50kB size=800x600 background=transparent", PNG_OF_EXACT_SIZE),
        ("max_bytes=50kB size=print:10x15 background=transparent", PNG_OF_EXACT_SIZE),
        ("max_bytes=50kB size=800x600 outputs=cutout format=jpg", PNG_OF_EXACT_SIZE),
        ("max_bytes=50kB size=print:10x15 outputs=cutout format=jpg", PNG_OF_EXACT_SIZE),
        (
            "background=keep shadow=drop outline=1% harmonise=0.5 light_wrap=0 scale=50%",
            ["/shadow", "/outline", "/harmonise", "/scale", "/background"],
        ),
        (
            "background=transparent format=jpg margin=10px size=1000x1000 aspect=4:5",
            ["/format", "/background", "/margin", "/crop", "/size", "/aspect"],
        ),
    ],
)
def test_fields_that_contradict_each_other_are_all_named(fields: str, named: list[str]) -> None:
    with pytest.raises(Contradiction) as refusal:
        parsed(**sent(fields))

    assert pointers(refusal.value) == named


def test_contradiction_names_the_way_out() -> None:
    with pytest.raises(Contradiction) as refusal:
        parsed(**sent("max_bytes=50kB size=800x600 format=png"))

    assert "webp or avif, which have quality to lower" in refusal.value.errors[0].detail


def test_contradiction_of_many_fields_reads_as_one_sentence() -> None:
    with pytest.raises(Contradiction) as refusal:
        parsed(**sent("background=keep shadow=drop outline=1% harmonise=0.5 scale=50%"))

    assert str(refusal.value).startswith(
        "/shadow, /outline, /harmonise, /scale, /background: shadow, outline, harmonise and scale "
        "need a new background"
    )
    assert str(refusal.value).count("need a new background") == 1


@pytest.mark.parametrize(
    "fields",
    [
        "background=transparent outputs=cutout format=jpg",
        "background=keep outputs=image,cutout format=jpg",
        *(f"background={one} format=avif" for one in ("keep", "transparent", "color:#ff000080")),
        "max_bytes=50kB size=800x600",
        "max_bytes=50kB size=800x600 background=transparent format=webp",
        "max_bytes=50kB size=hd format=png",
        "max_bytes=50kB size=800x600 outputs=image,matte format=jpg",
        # Both agree to the nearest pixel.
        "size=1080x1350 aspect=4:5",
        "size=1000x667 aspect=3:2",
        # The least and the most.
        "scale=10%",
        "crop=true margin=50%",
        "crop=true margin=500px",
    ],
)
def test_fields_that_go_together_are_accepted(fields: str) -> None:
    asked = sent(fields)

    recipe = parsed(**asked)

    assert recipe.files.max_bytes == (50_000 if "max_bytes" in asked else None)
    assert recipe.format == asked.get("format", "auto")


@pytest.mark.parametrize("asked", ["persons=largest", "outputs=image,debug", "outputs=persons"])
def test_field_that_the_model_lacks_names_the_models_that_have_it(asked: str) -> None:
    with pytest.raises(Contradiction, match="people"):
        parsed(segmentation__model="selfie", **sent(asked))


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("keep", BackgroundKind.KEEP, None),
        ("transparent", BackgroundKind.TRANSPARENT, None),
        ("color:#f80", BackgroundKind.COLOR, "#f80"),
        ("color: rgb(1 2 3 / 50%)", BackgroundKind.COLOR, "rgb(1 2 3 / 50%)"),
        ("color:RebeccaPurple", BackgroundKind.COLOR, "RebeccaPurple"),
        ("blur:0.5", BackgroundKind.BLUR, "0.5"),
        ("file", BackgroundKind.FILE, None),
        ("url:https://a.org:8080/a,b?c=d:e", BackgroundKind.URL, "https://a.org:8080/a,b?c=d:e"),
        ("keywords:rainbow,texture", BackgroundKind.KEYWORDS, "rainbow,texture"),
        ("keywords:#f80, paper #FF8800", BackgroundKind.KEYWORDS, "#f80,paper #FF8800"),
        ("keywords: dark  blue , Été,", BackgroundKind.KEYWORDS, "dark blue,Été"),
        ("preset:rainbow+linen", BackgroundKind.PRESET, "rainbow+linen"),
    ],
)
def test_background_is_read_and_comes_back_from_the_database(
    text: str, kind: BackgroundKind, value: str | None
) -> None:
    recipe = parsed(background=text)

    assert recipe.background == Background(kind, value)
    assert from_json(recipe.as_json(), seed=1, metadata={}).background == recipe.background


def test_background_file_is_the_default_when_it_was_sent() -> None:
    recipe = parse({}, offered=OFFERED, with_background_file=True)

    assert recipe.background == Background(BackgroundKind.FILE)


def test_outputs_come_by_comma_or_repeated_and_count_once() -> None:
    assert parsed(outputs=["image,matte", "matte"]).outputs == (Output.IMAGE, Output.MATTE)


def test_metadata_is_kept_as_it_is() -> None:
    assert parsed(metadata__note="Ω ✓").metadata == {"note": "Ω ✓"}


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
    ("text", "expected"),
    [("all", Whom.ALL), ("largest", Whom.LARGEST), ("2", (2,)), ("3,1", (1, 3)), ("2, 2", (2,))],
)
def test_persons_are_read(text: str, expected: object) -> None:
    assert parsed(persons=text).persons == expected


def test_values_of_files_are_read() -> None:
    asked = "matte_bits=16 max_bytes=200000 keep_metadata=true effort=small outputs=image,matte"

    assert parsed(**sent(asked)).files == Files(
        16, 200_000, keep_metadata=True, effort=Effort.SMALL
    )


@pytest.mark.parametrize(
    ("text", "max_bytes"),
    [
        ("10000", 10_000),
        ("200kB", 200_000),
        ("200KB", 200_000),
        ("200 kb", 200_000),
        ("1.5MB", 1_500_000),
        ("25000B", 25_000),
    ],
)
def test_sizes_are_in_thousands(text: str, max_bytes: int) -> None:
    assert parsed(max_bytes=text).files.max_bytes == max_bytes


@pytest.mark.parametrize(
    ("text", "margin"),
    [
        ("30px", (px(30),) * 4),
        ("30", (px(30),) * 4),
        ("5% 10%", (percent(5), percent(10), percent(5), percent(10))),
        ("1px 2% 3px 4%", (px(1), percent(2), px(3), percent(4))),
    ],
)
def test_margins_are_ordered_as_in_css(text: str, margin: tuple[Length, ...]) -> None:
    assert parsed(crop="true", margin=text).framing.margin == margin


@pytest.mark.parametrize(
    ("text", "position"),
    [("original", None), ("center", (0.5, 0.5)), ("30%", (0.3, 0.3)), ("0% 100%", (0, 1))],
)
def test_position_is_two_shares(text: str, position: tuple[float, float] | None) -> None:
    assert parsed(position=text).framing.position == position


def test_size_is_a_paper_a_name_or_pixels() -> None:
    # A print has 300 dots an inch.
    assert parsed(size="print:10x15").framing.size.paper == (1181, 1772)
    assert parsed(size="hd").framing.size.megapixels == 4
    assert parsed(size="full").framing.size == Framing().size
    assert parsed(size="1080x1350").framing.size.exact == (1080, 1350)
    assert parsed(aspect="3:2").framing.aspect == (3, 2)
    assert parsed(crop="faces").framing.crop == Crop.FACES


@pytest.mark.parametrize(
    ("text", "outline"),
    [
        ("none", None),
        ("2%", Outline(percent(2))),
        ("12px rgb(10 20 30 / 50%)", Outline(px(12), "rgb(10 20 30 / 50%)")),
    ],
)
def test_outline_is_a_width_and_a_color(text: str, outline: Outline | None) -> None:
    assert parsed(outline=text).look.outline == outline


def test_shadow_is_a_kind_and_how_dark() -> None:
    assert parsed(shadow="contact:0.3").look.shadow == Shadow(ShadowKind.CONTACT, 0.3)


def test_whole_photo_is_shown_without_a_region() -> None:
    assert Framing().as_json()["roi"] == "0% 0% 100% 100%"
    assert parsed(roi="0% 0% 100% 100%").framing.roi is None
    assert from_json({**Recipe().as_json(), "roi": ""}, seed=1, metadata={}).framing.roi is None


def test_filters_come_by_comma_or_repeated_and_keep_their_order() -> None:
    recipe = parsed(filters=["hat,grade", "caption"], filters__caption__text="Hi")

    assert [one.name for one in recipe.filters] == ["hat", "grade", "caption"]


def test_filter_keeps_the_values_sent_and_has_defaults_for_the_rest() -> None:
    (hat,) = parsed(filters="hat", filters__hat__kind="crown", filters__hat__who="1,3").filters

    assert hat == Filter("hat", {"kind": "crown", "who": "1,3"})
    assert hat.parameters == {"kind": "crown", "who": "1,3", "colour": "auto"}


def test_every_default_of_a_filter_may_be_sent() -> None:
    for card in FILTERS:
        for parameter in card.parameters:
            assert parameter.read(str(parameter.default)) == parameter.default


WITHOUT_PEOPLE = "prepare composite"
CUT_OUT = "prepare segmentation composite"
RATED = "prepare segmentation face smile"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", f"{RATED} composite"),
        ("background=keep", WITHOUT_PEOPLE),
        ("background=keywords:sea", f"{RATED} composite"),
        ("background=color:red", CUT_OUT),
        ("background=color:red outputs=matte", CUT_OUT),
        ("background=color:red outputs=cutout", CUT_OUT),
        ("background=keep outputs=image,cutout", CUT_OUT),
        ("background=keep outputs=persons", CUT_OUT),
        ("background=keep outputs=zip", CUT_OUT),
        ("background=keep outputs=thumbnail", WITHOUT_PEOPLE),
        ("background=keep outputs=faces", RATED),
        ("background=keep outputs=rating", RATED),
        ("background=keep outputs=printability", f"{RATED} composite"),
        ("background=keep aspect=1:1", CUT_OUT),
        ("background=keep size=preview", WITHOUT_PEOPLE),
        ("background=keep require_person=true", CUT_OUT),
        ("background=keep filters=hat,glasses,sticker", WITHOUT_PEOPLE),
        ("background=keep filters=caption filters.caption.text=Hi", WITHOUT_PEOPLE),
        ("background=keep filters=grade filters.grade.look=mono", WITHOUT_PEOPLE),
        # These go by smiles.
        ("background=keep filters=grade", f"{RATED} composite"),
        ("background=keep filters=sparkle", f"{RATED} composite"),
    ],
)
def test_job_runs_the_smallest_set_of_stages(fields: str, expected: str) -> None:
    assert " ".join(stages(parsed(**sent(fields)))) == expected


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


def test_files_and_filters_survive_the_database() -> None:
    filters = parsed(
        filters="hat,grade", filters__hat__kind="crown", filters__grade__strength="0.25"
    ).filters
    files = Files(16, 123_456, keep_metadata=True, effort=Effort.SMALL)
    recipe = Recipe(files=files, filters=filters, seed=1)

    assert from_json(recipe.as_json(), seed=1, metadata={}) == recipe


def test_row_of_an_older_version_has_the_defaults() -> None:
    stored = Recipe().as_json()
    added = {"edge", "filters", *Framing().as_json(), *Files().as_json()}
    old = {name: stored[name] for name in stored if name not in added}

    assert from_json(old, seed=1, metadata={}) == Recipe(seed=1)


@given(st.dictionaries(st.text(max_size=20), st.lists(st.text(max_size=30), max_size=3)))
def test_arbitrary_fields_give_a_recipe_or_the_error_for_it(fields: dict[str, list[str]]) -> None:
    with contextlib.suppress(InvalidRecipe):
        assert isinstance(parse(fields, offered=OFFERED), Recipe)
