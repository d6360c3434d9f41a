from dataclasses import replace

import numpy as np
import pytest

from smart_filter_shared.presets import PRESETS, Mood, Preset, named
from smart_filter_tests.sitting import feeling_of, some_sitters
from smart_filter_workers.backgrounds import library, misfits, scoring, side_light
from smart_filter_workers.backgrounds.choose import choose
from smart_filter_workers.backgrounds.sitters import Sitters
from smart_filter_workers.results import Chosen, Srgb8

BY_NAME = {preset.name: preset for preset in PRESETS}
SOME_CLOTHES = ["#15151a", "#f2f2f0", "#7d7f83", "#a3182c", "#2f4f9a", "#4f8f4a", "#d8b13a"]


def chosen(mood: Mood, *, clothes: str = "#5b5d61", seed: int = 0) -> Chosen:
    return choose(feeling_of(mood), some_sitters(clothes=clothes), seed=seed)


@pytest.mark.parametrize("mood", Mood)
@pytest.mark.parametrize("clothes", SOME_CLOTHES)
def test_choice_goes_with_the_mood_and_stands_out(mood: Mood, clothes: str) -> None:
    apart = scoring.beside(PRESETS, some_sitters(clothes=clothes)).apart
    by_name = dict(zip(BY_NAME, apart, strict=True))
    names = [str(chosen(mood, clothes=clothes, seed=seed).name) for seed in range(5)]

    wanted = feeling_of(mood).wanted
    assert all(scoring.suits(BY_NAME[name], wanted) > 0 for name in names)
    assert sum(wanted in BY_NAME[name].moods for name in names) >= 4
    # Variety never costs contrast.
    assert min(by_name[name] for name in names) > np.median(apart)


def test_choice_names_its_keywords_and_the_best_five_with_itself_first() -> None:
    choice = chosen(Mood.CALM)

    assert (choice.kind, choice.keywords) == ("preset", BY_NAME[str(choice.name)].tags)
    assert len(choice.candidates) == 5
    assert choice.candidates[0].name == choice.name
    scores = [one.score for one in choice.candidates]
    assert scores == sorted(scores, reverse=True)
    assert scores == pytest.approx(
        [scoring.score(one.terms) for one in choice.candidates], abs=0.002
    )


@pytest.mark.parametrize(
    ("sitters", "mood", "name", "end"),
    [
        # Neither hair nor clothes have a colour that is sure.
        (
            some_sitters(hair="#f0f0f0", clothes="#9a7a5a"),
            Mood.CALM,
            "midnight",
            ": calm, so Midnight",
        ),
        (
            some_sitters(hair=None, clothes="#e08a3a"),
            Mood.SERIOUS,
            "indigo-wall",
            "darker than the orange clothes, its blue opposite their orange",
        ),
        (some_sitters(light=-0.8), Mood.SERIOUS, "studio", "with light from the left as on them"),
    ],
    ids=["unsure colours", "opposite hues", "light from the left"],
)
def test_reason_ends_with_sure_colours_and_light(
    sitters: Sitters, mood: Mood, name: str, end: str
) -> None:
    assert choose(feeling_of(mood), sitters, seed=0, among=[BY_NAME[name]]).reason.endswith(end)


IN_DAYLIGHT = some_sitters()
IN_THE_DARK = replace(IN_DAYLIGHT, in_the_dark=True)
IN_BLACK_AND_WHITE = replace(some_sitters(hair="#202020", clothes="#707070"), monochrome=True)


@pytest.mark.parametrize("mood", Mood)
@pytest.mark.parametrize("sitters", [IN_DAYLIGHT, IN_THE_DARK, IN_BLACK_AND_WHITE])
def test_no_unfit_design_is_among_the_best(mood: Mood, sitters: Sitters) -> None:
    for seed in range(5):
        best = choose(feeling_of(mood), sitters, seed=seed).candidates

        assert all(misfits.suits(named(one.name)[0], sitters) for one in best)


def right_over_left(drawing: Srgb8) -> float:
    half = drawing.shape[1] // 2
    return float(drawing[:, -half:].mean() - drawing[:, :half].mean())


@pytest.mark.parametrize("light", [-0.9, 0.9])
@pytest.mark.parametrize("name", ["studio", "studio-green", "moonrise"])
def test_light_is_brought_to_the_side_of_the_peoples(name: str, light: float) -> None:
    drawing = library.draw(name, seed=4, width=80, height=100)
    assert abs(right_over_left(drawing)) > 2

    assert light * right_over_left(side_light.agreeing(drawing, light=light)) > 0


def test_a_narrow_picture_is_left_as_it_is() -> None:
    line = np.zeros((5, 1, 3), np.uint8)

    assert side_light.agreeing(line, light=1.0) is line


def plain(colour: str) -> Preset:
    """Return a background of one colour, which no file knows."""
    levels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    luma = float(np.dot(levels, [0.2126, 0.7152, 0.0722]))
    return Preset(colour, colour, "picture", (), (Mood.CALM,), (colour,), luma)


def harmony(colour: str, sitters: Sitters) -> float:
    return float(scoring.beside([plain(colour)], sitters).harmony[0])


def test_lime_behind_a_red_dress_is_worse_than_blush_teal_or_white() -> None:
    in_red = some_sitters(clothes="#b01828")

    lime = harmony("#9be015", in_red)

    assert lime < 0.4
    for better in ("#f0c8c8", "#8fc4c4", "#f0f0f0", "#2a2a33"):
        assert harmony(better, in_red) > lime + 0.25
