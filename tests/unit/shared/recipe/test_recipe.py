import datetime as dt
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_filter_shared.catalog.filters import FILTERS
from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.recipe import (
    Background,
    BackgroundKind,
    Crop,
    Effort,
    Files,
    Filter,
    Framing,
    Length,
    Outline,
    Output,
    PersonSelection,
    Provenance,
    Recipe,
    Shadow,
    ShadowKind,
    from_json,
    required_stages,
)
from smart_filter_shared.recipe.fields import parse
from smart_filter_tests.recipes import OFFERED, parse_fields, split_fields


def percent(value: float) -> Length:
    return Length(value, percent=True)


def px(value: float) -> Length:
    return Length(value, percent=False)


NOON = dt.datetime(2030, 1, 31, 12, tzinfo=dt.UTC)


def test_empty_fields_have_the_declared_defaults() -> None:
    recipe = parse_fields()

    assert recipe == Recipe()
    assert not recipe.framing.asks_for_people


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
def test_background_is_parsed_and_restored_from_the_database(
    text: str, kind: BackgroundKind, value: str | None
) -> None:
    recipe = parse_fields(background=text)

    assert recipe.background == Background(kind, value)
    assert from_json(recipe.as_json(), seed=1, metadata={}).background == recipe.background


def test_uploaded_background_file_is_the_default() -> None:
    recipe = parse({}, offered=OFFERED, with_background_file=True)

    assert recipe.background == Background(BackgroundKind.FILE)


def test_parameters_of_the_chosen_model_are_parsed_by_their_kinds() -> None:
    recipe = parse_fields(
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
    ("name", "text", "path", "expected"),
    [
        ("outputs", ["image,matte", "matte"], "outputs", (Output.IMAGE, Output.MATTE)),
        ("persons", "all", "persons", PersonSelection.ALL),
        ("persons", "largest", "persons", PersonSelection.LARGEST),
        ("persons", "main", "persons", PersonSelection.MAIN),
        ("persons", "front", "persons", PersonSelection.FRONT),
        ("persons", "2", "persons", (2,)),
        ("persons", "3,1", "persons", (1, 3)),
        ("persons", "2, 2", "persons", (2,)),
        ("max_bytes", "10000", "files.max_bytes", 10_000),
        ("max_bytes", "200kB", "files.max_bytes", 200_000),
        ("max_bytes", "200 kb", "files.max_bytes", 200_000),
        ("max_bytes", "1.5MB", "files.max_bytes", 1_500_000),
        ("max_bytes", "25000B", "files.max_bytes", 25_000),
        # As Python writes it.
        ("keep_metadata", "True", "files.keep_metadata", True),
        ("provenance", "c2pa", "files.provenance", Provenance.C2PA),
        ("margin", "30px", "framing.margin", (px(30),) * 4),
        ("margin", "30", "framing.margin", (px(30),) * 4),
        (
            *("margin", "5% 10%", "framing.margin"),
            (percent(5), percent(10), percent(5), percent(10)),
        ),
        ("margin", "1px 2% 3px 4%", "framing.margin", (px(1), percent(2), px(3), percent(4))),
        ("position", "original", "framing.position", None),
        ("position", "center", "framing.position", (0.5, 0.5)),
        ("position", "30%", "framing.position", (0.3, 0.3)),
        ("position", "0% 100%", "framing.position", (0, 1)),
        # A print has 300 dots per inch.
        ("size", "print:10x15", "framing.size.paper", (1181, 1772)),
        ("size", "hd", "framing.size.megapixels", 4),
        ("size", "full", "framing.size", Framing().size),
        ("size", "auto", "framing.size", Framing().size),
        ("size", "1080x1350", "framing.size.exact", (1080, 1350)),
        ("aspect", "3:2", "framing.aspect", (3, 2)),
        ("crop", "faces", "framing.crop", Crop.FACES),
        ("roi", "0% 0% 100% 100%", "framing.roi", None),
        ("outline", "none", "look.outline", None),
        ("outline", "2%", "look.outline", Outline(percent(2))),
        (
            *("outline", "12px rgb(10 20 30 / 50%)", "look.outline"),
            Outline(px(12), "rgb(10 20 30 / 50%)"),
        ),
        ("shadow", "contact:0.3", "look.shadow", Shadow(ShadowKind.CONTACT, 0.3)),
        ("run_at", "2030-01-31T12:00:00Z", "run_at", NOON),
        ("run_at", "2030-01-31T14:00:00+02:00", "run_at", NOON),
    ],
)
def test_field_is_parsed_and_restored_from_the_database(
    name: str, text: str | list[str], path: str, expected: object
) -> None:
    others = {"crop": "true"} if name == "margin" else {}

    recipe = parse_fields(**others, **{name: text})

    assert attrgetter(path)(recipe) == expected
    assert from_json(recipe.as_json(), seed=None, metadata={}) == recipe


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("quality", 80, "80"),
        ("quality", 80.0, "80"),
        ("require_person", True, "true"),
        ("matte_bits", 8, "8"),
        ("max_bytes", 200_000, "200000"),
        ("crop", True, "true"),
        ("persons", 2, "2"),
        ("light_wrap", 0.25, "0.25"),
        ("metadata.year", 2026, "2026"),
        ("segmentation.params.threshold", 1, "1"),
        ("segmentation.params.threshold", 1e-05, "0.00001"),
        ("segmentation.params.steps", 4, "4"),
        ("segmentation.params.mirrored", False, "false"),
    ],
)
def test_value_of_json_equals_its_text_in_a_form(name: str, value: Scalar, text: str) -> None:
    assert parse({name: value}, offered=OFFERED) == parse({name: [text]}, offered=OFFERED)


def test_number_of_json_may_have_many_digits() -> None:
    digits = 1.2345678901234568e-05

    recipe = parse({"segmentation.params.threshold": digits}, offered=OFFERED)

    assert recipe.params[TaskName.SEGMENTATION] == {"threshold": digits}


def test_filters_are_separated_by_comma_or_repeated_and_keep_their_order() -> None:
    recipe = parse_fields(filters=["hat,grade", "caption"], filters__caption__text="Hi")

    assert [filter_.name for filter_ in recipe.filters] == ["hat", "grade", "caption"]


def test_filter_keeps_the_values_sent_and_has_defaults_for_the_rest() -> None:
    (hat,) = parse_fields(
        filters="hat", filters__hat__kind="crown", filters__hat__who="1,3"
    ).filters

    assert hat == Filter("hat", {"kind": "crown", "who": "1,3"})
    assert hat.parameters == {"kind": "crown", "who": "1,3", "color": "auto"}


def test_every_default_of_a_filter_can_be_sent() -> None:
    for card in FILTERS:
        for parameter in card.parameters:
            assert parameter.read_value(str(parameter.default)) == parameter.default


# The minimum and maximum of each field.
AT_LIMIT = {
    "quality": "1|100",
    "deadline_ms": f"1|{7 * 24 * 3600 * 1000}",
    "background": "blur:0|blur:1|keywords:a,b,c,d,e,f,g,h,i,j,k,l|keywords:" + "x" * 40,
    "persons": "1",
    "margin": "50% 500px",
    "scale": "10%|100%",
    "position": "0% 100%",
    # Pixels and percents cannot be compared, as in the last one.
    "roi": "0% 0% 100% 99%|10px 10px 11px 11px|10px 0% 5% 100%",
    "size": "16x16|16383x2000|5000x10000|1600x160|print:a4",
    "aspect": "10:1|1:10",
    "outline": "10% white|200px white",
    "shadow": "none|drop:0|contact:1",
    "light_wrap": "0|1",
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in AT_LIMIT for value in AT_LIMIT[name].split("|")]
)
def test_value_at_its_limit_is_accepted(name: str, value: str) -> None:
    assert str(parse_fields(crop="true", **{name: value}).as_json()[name]) == value


def test_seed_and_metadata_at_their_limits_are_accepted() -> None:
    metadata = {str(index): "x" * 256 for index in range(16)}

    recipe = parse_fields(
        seed=str(2**53 - 1), **{f"metadata.{name}": value for name, value in metadata.items()}
    )

    assert (recipe.seed, recipe.metadata) == (2**53 - 1, metadata)


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
        ("background=keep size=hd", WITHOUT_PEOPLE),
        ("background=keep crop=true", CUT_OUT),
        ("background=keep size=100x100", CUT_OUT),
        ("background=keep size=print:a4", CUT_OUT),
        ("background=keep require_person=true", CUT_OUT),
        ("background=keep filters=hat,glasses,sticker", WITHOUT_PEOPLE),
        ("background=keep filters=caption filters.caption.text=Hi", WITHOUT_PEOPLE),
        ("background=keep filters=grade filters.grade.look=mono", WITHOUT_PEOPLE),
        # These need smiles.
        ("background=keep filters=grade", f"{RATED} composite"),
        ("background=keep filters=sparkle", f"{RATED} composite"),
    ],
)
def test_job_runs_the_smallest_set_of_stages(fields: str, expected: str) -> None:
    assert " ".join(required_stages(parse_fields(**split_fields(fields)))) == expected


@given(
    background=st.sampled_from("auto transparent color:#12345678 blur:.5 file".split()),
    outputs=st.lists(
        st.sampled_from(sorted(set(Output) - {Output.SHEET})), min_size=1, unique=True
    ),
    quality=st.integers(1, 100),
    person=st.booleans(),
    priority=st.sampled_from(["standard", "interactive", "batch"]),
    persons=st.sampled_from(["all", "largest", "main", "front", "2", "1, 3"]),
)
def test_recipe_is_restored_from_the_database(
    background: str, outputs: list[str], quality: int, priority: str, persons: str, *, person: bool
) -> None:
    recipe = parse_fields(
        background=background,
        outputs=outputs,
        quality=str(quality),
        require_person=str(person).lower(),
        priority=priority,
        persons=persons,
        segmentation__params__threshold="0.25",
        segmentation__params__mirrored="true",
        run_at="2030-01-31T12:00:00+01:00",
        deadline_ms="90000",
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
        harmonize="1",
        seed="5",
        metadata__a="b",
    )

    assert from_json(recipe.as_json(), seed=5, metadata={"a": "b"}) == recipe


@pytest.mark.parametrize(
    "part", [{"outputs": ["hologram"]}, {"quality": "high"}, {"face": "auto"}, {"background": "x"}]
)
def test_malformed_row_is_not_a_recipe(part: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        from_json({**Recipe().as_json(), **part}, seed=1, metadata={})


def test_files_and_filters_are_parsed_and_restored() -> None:
    asked = "matte_bits=16 max_bytes=200000 keep_metadata=true effort=small outputs=image,matte"

    recipe = parse_fields(
        **split_fields(asked),
        filters="hat,grade",
        filters__hat__kind="crown",
        filters__grade__strength="0.25",
        seed="5",
    )

    assert recipe.files == Files(200_000, matte_bits=16, keep_metadata=True, effort=Effort.SMALL)
    assert from_json(recipe.as_json(), seed=5, metadata={}) == recipe
