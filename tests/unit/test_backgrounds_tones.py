"""Colours of clothes and hair: which there are, and what people call them."""

import numpy as np
import pytest

from smart_filter_tests.sitting import a_tone
from smart_filter_workers.backgrounds import colours, tones


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ("#e05a30", "orange"),
        ("#5b3a29", "brown"),
        ("#8a4a2a", "brown"),
        ("#b01828", "red"),
        ("#5a1a2e", "red"),
        ("#c9ad82", "beige"),
        ("#d8b131", "yellow"),
        ("#3f8f3f", "green"),
        ("#9be015", "green"),
        ("#2fb3b0", "turquoise"),
        ("#2f4f9a", "blue"),
        ("#1a2a52", "blue"),
        ("#7b3fa0", "purple"),
        ("#f0a0c0", "pink"),
        ("#101014", "black"),
        ("#808080", "grey"),
        ("#f5f5f0", "white"),
    ],
)
def test_colours_are_called_what_people_call_them(colour: str, name: str) -> None:
    assert a_tone(colour).name == name


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ("#2f4f9a", "blue"),
        ("#c01828", "red"),
        ("#3f8f3f", "green"),
        ("#808080", "grey"),
        ("#0c0c0e", "black"),
        ("#fbfbfa", "white"),
        ("#e8dcc8", "light"),  # a beige coat, or a white one by lamplight
        ("#6a2420", "dark"),  # a red sari, or a brown one
        ("#1a2030", "dark"),
        ("#9a7a5a", ""),
    ],
)
def test_a_colour_near_the_next_ones_name_is_light_or_dark_or_none(colour: str, name: str) -> None:
    assert a_tone(colour).sure_name == name


def test_what_is_a_lesser_part_has_no_colour_of_its_own() -> None:
    assert a_tone("#2f3f8a", share=0.7).sure_name == "blue"
    assert a_tone("#2f3f8a", share=0.5).sure_name == "dark"
    assert a_tone("#2f3f8a", share=0.3).sure_name == ""


def test_every_colour_of_srgb_has_a_name() -> None:
    levels = ["00", "40", "80", "c0", "ff"]

    names = {a_tone(f"#{r}{g}{b}").name for r in levels for g in levels for b in levels}

    assert len(names) >= 10
    assert all(name.isalpha() for name in names)


def test_a_tone_is_its_colour() -> None:
    lab = colours.oklab(colours.read(["#a3467f"]))[0]

    assert tones.tone(lab, 1.0).lab == pytest.approx(lab.tolist(), abs=1e-5)


def test_dominant_tones_come_by_share_and_scraps_are_left_out() -> None:
    lab = colours.oklab(colours.read(["#b01828", "#f2f2f0", "#2f4f9a"]))

    found = tones.dominant(np.repeat(lab, [30, 65, 5], axis=0))

    assert [(one.name, round(one.share, 2)) for one in found] == [("white", 0.65), ("red", 0.3)]


def test_too_few_pixels_have_no_tone() -> None:
    assert tones.dominant(np.zeros((3, 3), np.float32)) == ()
    assert tones.apart(()) == 0
