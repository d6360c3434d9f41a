"""How well a design goes with people: each term alone."""

from dataclasses import replace

import numpy as np
import pytest

from smart_filter_shared.presets import PRESETS, Mood, Preset
from smart_filter_tests.sitting import some_sitters
from smart_filter_workers.backgrounds import scoring
from smart_filter_workers.backgrounds.sitters import Sitters
from smart_filter_workers.results import Terms

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


def test_people_in_black_stand_out_from_white_and_not_from_black() -> None:
    sitters = some_sitters(hair="#101010", clothes="#202020")

    assert contrast("#f4f4f4", sitters) > 0.95
    assert contrast("#1a1a1a", sitters) < 0.3


def test_where_only_the_hair_melts_contrast_is_less_than_where_nothing_does() -> None:
    dark_hair = some_sitters(hair="#101010", clothes="#f0f0f0")

    assert contrast("#151515", dark_hair) < 0.8 * contrast("#8a2f2f", dark_hair)


def test_the_worst_third_of_the_outline_is_where_a_coat_melts() -> None:
    in_white = some_sitters(hair="#101010", clothes="#f0f0f0")

    white, grey = (
        scoring.beside([plain(one)], in_white).worst[0] for one in ("#f4f4f4", "#707070")
    )

    assert white < 0.05
    assert grey > 0.25


def test_hues_stand_out_where_lightness_is_the_same() -> None:
    in_green = some_sitters(hair=None, clothes="#3f8f3f")

    assert contrast("#a86a92", in_green) > contrast("#5a8a4f", in_green)


def test_people_who_fill_the_photo_stand_out_from_all_designs_alike() -> None:
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


@pytest.mark.parametrize("colour", ["#3f8fc0", "#c05a3f", "#5fae6a"])
def test_neutral_clothes_go_with_every_colour(colour: str) -> None:
    in_grey = some_sitters(hair=None, clothes="#77797c")

    assert harmony(colour, in_grey) > 0.8


def test_a_hue_that_goes_with_the_clothes_is_better_than_none() -> None:
    in_blue = some_sitters(hair=None, clothes="#4a6fb8")

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


def test_the_score_is_the_weighted_sum_of_the_terms() -> None:
    assert sum(scoring.WEIGHTS.values()) == pytest.approx(1)
    assert scoring.score(Terms(1, 0, 0, 0)) == scoring.WEIGHTS["mood"]
    assert scoring.score(Terms(1, 1, 1, 1)) == pytest.approx(1)
