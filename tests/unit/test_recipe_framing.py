"""How a recipe says where people stand in the picture, and how they are joined to it."""

import pytest

from smart_filter_shared.errors import Contradiction, InvalidRecipe
from smart_filter_shared.recipe import (
    Crop,
    Edge,
    Framing,
    Length,
    Look,
    Outline,
    Recipe,
    Shadow,
    ShadowKind,
    from_json,
)
from smart_filter_shared.recipe.fields import parse


def parsed(**fields: str) -> Recipe:
    return parse({name: [value] for name, value in fields.items()}, offered={})


def percent(value: float) -> Length:
    return Length(value, percent=True)


def px(value: float) -> Length:
    return Length(value, percent=False)


def test_nothing_said_is_the_photo_as_it_is() -> None:
    recipe = parsed()

    assert recipe.framing == Framing()
    assert recipe.look == Look()
    assert recipe.edge == Edge.BALANCED
    assert not recipe.framing.asks_for_people


def test_a_row_of_an_older_version_is_read_with_defaults() -> None:
    stored = Recipe().as_json()
    old = {name: stored[name] for name in stored if name not in {"edge", *Framing().as_json()}}

    assert from_json(old, seed=1, metadata={}).framing == Framing()


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
    [
        ("original", None),
        ("center", (0.5, 0.5)),
        ("30%", (0.3, 0.3)),
        ("0% 100%", (0, 1)),
    ],
)
def test_position_is_two_shares(text: str, position: tuple[float, float] | None) -> None:
    assert parsed(position=text).framing.position == position


def test_prints_are_at_300_dots_an_inch() -> None:
    assert parsed(size="print:10x15").framing.size.paper == (1181, 1772)


def test_sizes_by_name_bound_the_pixels() -> None:
    assert parsed(size="hd").framing.size.megapixels == 4
    assert parsed(size="full").framing.size == Framing().size


@pytest.mark.parametrize(
    ("text", "outline"),
    [
        ("none", None),
        ("2%", Outline(percent(2))),
        ("12px rgb(10 20 30 / 50%)", Outline(px(12), "rgb(10 20 30 / 50%)")),
    ],
)
def test_outline_is_a_width_and_a_colour(text: str, outline: Outline | None) -> None:
    assert parsed(outline=text).look.outline == outline


def test_shadow_is_a_kind_and_how_dark() -> None:
    assert parsed(shadow="contact:0.3").look.shadow == Shadow(ShadowKind.CONTACT, 0.3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("edge", "sharp"),
        ("crop", "yes"),
        ("margin", "51%"),
        ("margin", "501px"),
        ("margin", "-1px"),
        ("margin", "1px 2px 3px"),
        ("margin", "1e3px"),
        ("scale", "9%"),
        ("scale", "101%"),
        ("scale", "0.5"),
        ("position", "left"),
        ("position", "101%"),
        ("position", "10% 20% 30%"),
        ("roi", "0% 0% 0% 100%"),
        ("roi", "10px 10px 10px 20px"),
        ("roi", "0% 0% 101% 100%"),
        ("roi", "0% 0% 100%"),
        ("size", "0x0"),
        ("size", "8x800"),
        ("size", "20000x100"),
        ("size", "8000x8000"),
        ("size", "1700x100"),
        ("size", "print:poster"),
        ("aspect", "0:1"),
        ("aspect", "11:1"),
        ("aspect", "square"),
        ("shadow", "auto:0.5"),
        ("shadow", "drop:2"),
        ("outline", "0px"),
        ("outline", "11%"),
        ("outline", "2% nope"),
        ("light_wrap", "1.1"),
        ("harmonise", "-0.1"),
    ],
)
def test_what_cannot_be_is_named_with_what_can(name: str, value: str) -> None:
    with pytest.raises(InvalidRecipe) as raised:
        parsed(crop="true", **{name: value}) if name != "crop" else parsed(crop=value)

    assert [error.pointer for error in raised.value.errors] == [f"/{name}"]
    assert len(raised.value.errors[0].detail) > 20


def test_all_contradictions_are_named_in_one_answer() -> None:
    with pytest.raises(Contradiction) as raised:
        parsed(
            background="transparent",
            format="jpg",
            margin="10px",
            size="1000x1000",
            aspect="4:5",
        )

    named = {error.pointer for error in raised.value.errors}
    assert named == {"/background", "/format", "/margin", "/crop", "/size", "/aspect"}


def test_effects_on_a_new_background_contradict_keeping_the_old_one() -> None:
    with pytest.raises(Contradiction) as raised:
        parsed(
            background="keep",
            shadow="drop",
            outline="1%",
            harmonise="0.5",
            light_wrap="0",
            scale="50%",
        )

    named = [error.pointer for error in raised.value.errors]
    assert named == ["/shadow", "/outline", "/harmonise", "/scale", "/background"]
    assert str(raised.value).startswith(
        "/shadow, /outline, /harmonise, /scale, /background: shadow, outline, harmonise and scale "
        "need a new background"
    )
    assert str(raised.value).count("need a new background") == 1


def test_the_whole_photo_is_shown_where_no_region_was_asked_for() -> None:
    assert Framing().as_json()["roi"] == "0% 0% 100% 100%"
    assert parsed(roi="0% 0% 100% 100%").framing.roi is None
    assert from_json({**Recipe().as_json(), "roi": ""}, seed=1, metadata={}).framing.roi is None


def test_a_size_to_the_nearest_pixel_agrees_with_its_shape() -> None:
    assert parsed(size="1080x1350", aspect="4:5").framing.size.exact == (1080, 1350)
    assert parsed(size="1000x667", aspect="3:2").framing.aspect == (3, 2)
    assert parsed(crop="faces").framing.crop == Crop.FACES
