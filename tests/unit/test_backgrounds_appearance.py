"""Colours and brightness of a picture, and the moods that they make."""

import numpy as np
import pytest

from smart_filter_shared.presets import PICTURE, Mood, Preset
from smart_filter_workers.backgrounds import appearance, impressions
from smart_filter_workers.results import Srgb8


def plain(*colour: int, size: tuple[int, int] = (60, 90)) -> Srgb8:
    return np.full((*size, 3), colour, np.uint8)


def levels(text: str) -> list[int]:
    return [int(text[at : at + 2], 16) for at in (1, 3, 5)]


def test_picture_of_one_colour_has_that_colour() -> None:
    seen = appearance.of(plain(200, 30, 60))

    assert seen.palette == ("#c81e3c",)
    assert seen.brightness == pytest.approx(
        (0.2126 * 200 + 0.7152 * 30 + 0.0722 * 60) / 255, abs=1e-3
    )


def test_colours_come_by_their_shares() -> None:
    picture = np.concatenate([plain(20, 60, 200), plain(20, 60, 200), plain(250, 240, 220)])

    palette = appearance.of(picture).palette

    assert [levels(one) for one in palette[:2]] == [[20, 60, 200], [250, 240, 220]]


def test_small_things_of_another_colour_are_seen() -> None:
    picture = plain(120, 120, 120, size=(96, 96))
    picture[10:20, 10:20] = (250, 20, 20)

    assert "#fa1414" in appearance.of(picture).palette


def test_noise_makes_five_colours_at_the_most_and_always_the_same() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (80, 80, 3), np.uint8)

    first, again = appearance.of(noise), appearance.of(noise.copy())

    assert len(first.palette) == appearance.PALETTE_COLOURS
    assert first == again


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (300, 2)])
def test_any_shape_has_a_palette(size: tuple[int, int]) -> None:
    assert appearance.of(plain(1, 2, 3, size=size)).palette == ("#010203",)


def test_place_of_colours_is_remembered() -> None:
    picture = np.concatenate([plain(10, 20, 60), plain(240, 230, 200)])
    seen = appearance.of(picture)
    preset = Preset(
        *("site/x", "X", PICTURE, (), (), seen.palette, seen.brightness), impression=seen.impression
    )

    lightness = impressions.of(preset).lab[..., 0]

    assert lightness[0].max() < 0.3
    assert lightness[-1].min() > 0.9


@pytest.mark.parametrize(
    ("palette", "brightness", "first"),
    [
        (["#ff5d73", "#ffb627", "#2ec4b6"], 0.7, Mood.JOYFUL),
        (["#f3ece0", "#e8dfd0"], 0.9, Mood.TENDER),
        (["#8a8f86", "#777a70"], 0.5, Mood.CALM),
        (["#2a2d30", "#111111"], 0.1, Mood.SERIOUS),
        (["#5a0f18", "#10204f"], 0.15, Mood.TENSE),
    ],
)
def test_light_and_colours_make_a_mood(palette: list[str], brightness: float, first: Mood) -> None:
    assert appearance.moods(palette, brightness)[0] == first
