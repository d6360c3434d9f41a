"""How well a design goes with people: each term alone."""

from dataclasses import replace

import numpy as np
import pytest

from smart_filter_shared.presets import PRESETS, Mood, Preset
from smart_filter_tests.sitting import some_sitters
from smart_filter_workers.backgrounds import scoring
from smart_filter_workers.backgrounds.sitters import Sitters

BY_NAME = {preset.name: preset for preset in PRESETS}


def plain(colour: str) -> Preset:
    """Return a background of one colour, which no file knows."""
    levels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    luma = float(np.dot(levels, [0.2126, 0.7152, 0.0722]))
    return Preset(colour, colour, "picture", (), (Mood.CALM,), (colour,), luma)


def contrast(colour: str, sitters: Sitters) -> float:
    return float(scoring.beside([plain(colour)], sitters).contrast[0])


def harmony(colour: str, sitters: Sitters) -> float:
    return float(scoring.beside([plain(colour)], sitters).harmony[0])


def test_a_designs_first_mood_suits_best_and_a_near_one_more_than_none() -> None:
    preset = replace(BY_NAME["sunrise"], moods=(Mood.TENDER, Mood.CALM))

    fits = [
        scoring.suits(preset, mood) for mood in (Mood.TENDER, Mood.CALM, Mood.JOYFUL, Mood.TENSE)
    ]

    assert fits == sorted(fits, reverse=True)
    assert (fits[0], fits[-1]) == (1, 0)


def test_contrast_is_of_lightness_of_each_part_and_of_hue() -> None:
    in_black = some_sitters(hair="#101010", clothes="#202020")
    dark_hair = some_sitters(hair="#101010", clothes="#f0f0f0")
    in_green = some_sitters(hair=None, clothes="#3f8f3f")

    assert contrast("#f4f4f4", in_black) > 0.95
    assert contrast("#1a1a1a", in_black) < 0.3
    assert contrast("#151515", dark_hair) < 0.8 * contrast("#8a2f2f", dark_hair)
    assert contrast("#a86a92", in_green) > contrast("#5a8a4f", in_green)


def test_worst_third_of_the_outline_is_where_a_coat_melts() -> None:
    in_white = some_sitters(hair="#101010", clothes="#f0f0f0")

    white, grey = scoring.beside([plain("#f4f4f4"), plain("#707070")], in_white).worst

    assert white < 0.05
    assert grey > 0.25


def test_people_without_an_outline_stand_out_from_all_designs_alike() -> None:
    nowhere = replace(
        some_sitters(),
        outline_lab=np.zeros((0, 3), np.float32),
        outline_at=np.zeros((0, 2), np.float32),
    )

    looks = scoring.beside(PRESETS[:9], nowhere)

    assert len(set(looks.contrast.tolist())) == 1
    assert np.isfinite(looks.contrast).all()


def test_lime_behind_a_red_dress_is_worse_than_blush_teal_or_white() -> None:
    in_red = some_sitters(clothes="#b01828")

    lime = harmony("#9be015", in_red)

    assert lime < 0.4
    for better in ("#f0c8c8", "#8fc4c4", "#f0f0f0", "#2a2a33"):
        assert harmony(better, in_red) > lime + 0.25


def test_of_two_strong_colours_alike_or_opposite_ones_agree_best() -> None:
    in_blue = some_sitters(hair=None, clothes="#5a7fc8")

    alike, opposite, aslant = (harmony(one, in_blue) for one in ("#6a86b8", "#d8b070", "#c86aa8"))

    assert min(alike, opposite) > aslant + 0.1


def test_neutral_clothes_go_with_every_colour_and_blue_ones_with_blue() -> None:
    in_grey = some_sitters(hair=None, clothes="#77797c")
    in_blue = some_sitters(hair=None, clothes="#4a6fb8")

    assert min(harmony(one, in_grey) for one in ("#3f8fc0", "#c05a3f", "#5fae6a")) > 0.8
    assert harmony("#9fb8e0", in_blue) > harmony("#b8b8b8", in_blue)


def test_patterned_clothes_want_a_quiet_background() -> None:
    quiet, busy = BY_NAME["studio-rose"], BY_NAME["pop-art"]
    plain_clothes, patterned = some_sitters(), replace(some_sitters(), pattern=0.2)

    before = scoring.beside([quiet, busy], plain_clothes).harmony
    after = scoring.beside([quiet, busy], patterned).harmony

    assert before[1] - after[1] > 2 * (before[0] - after[0])


def test_chance_is_spread_evenly_and_independent_of_names_and_seeds() -> None:
    drawn = np.array([[scoring.chance(one.name, seed) for one in PRESETS] for seed in range(100)])

    assert drawn.mean() == pytest.approx(0.5, abs=0.02)
    # Correlated names would always win or lose together.
    between = np.corrcoef(drawn.T) - np.eye(len(PRESETS))
    assert abs(between).max() < 0.5
