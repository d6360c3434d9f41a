"""What is not put behind people, whatever its score."""

from dataclasses import replace

import pytest

from smart_filter_shared.presets import PRESETS, Mood, named
from smart_filter_tests.sitting import feeling_of, some_sitters
from smart_filter_workers.backgrounds import misfits
from smart_filter_workers.backgrounds.choose import choose
from smart_filter_workers.backgrounds.sitters import Sitters

IN_DAYLIGHT = some_sitters()
IN_THE_DARK = replace(IN_DAYLIGHT, in_the_dark=True)
IN_BLACK_AND_WHITE = replace(some_sitters(hair="#202020", clothes="#707070"), monochrome=True)
NIGHTS = {"starry-night", "aurora", "milky-way", "moonrise", "fairy-lights", "city-night", "neon"}


@pytest.mark.parametrize("mood", Mood)
@pytest.mark.parametrize("sitters", [IN_DAYLIGHT, IN_THE_DARK, IN_BLACK_AND_WHITE])
def test_nothing_unfit_is_among_the_best(mood: Mood, sitters: Sitters) -> None:
    for seed in range(5):
        told = choose(feeling_of(mood), sitters, seed=seed).candidates

        assert all(misfits.suits(named(one.name)[0], sitters) for one in told)


def test_nights_are_for_people_in_the_dark() -> None:
    assert {one.name for one in PRESETS if misfits.shows_night(one)} == NIGHTS
    for name in NIGHTS:
        assert misfits.suits(named(name)[0], IN_THE_DARK)
        assert not misfits.suits(named(name)[0], IN_DAYLIGHT)


def test_a_dark_canvas_is_no_night() -> None:
    assert misfits.suits(named("midnight")[0], IN_DAYLIGHT)


def test_a_frame_is_for_nobody() -> None:
    assert not misfits.suits(named("lemonade")[0], IN_DAYLIGHT)


@pytest.mark.parametrize("name", ["garden", "confetti", "rainbow", "neon", "sorbet", "ochre-wall"])
def test_colourful_designs_are_not_for_black_and_white(name: str) -> None:
    assert not misfits.suits(named(name)[0], IN_BLACK_AND_WHITE)


@pytest.mark.parametrize("mood", Mood)
def test_each_mood_has_something_for_black_and_white(mood: Mood) -> None:
    assert any(mood in one.moods and misfits.suits(one, IN_BLACK_AND_WHITE) for one in PRESETS)


def test_what_is_unfit_is_chosen_when_there_is_nothing_else() -> None:
    only = named("lemonade")[0]

    assert choose(feeling_of(Mood.CALM), IN_DAYLIGHT, seed=0, among=[only]).name == only.name
