"""How a background is chosen for people, and how the choice is explained."""

import numpy as np
import pytest

from smart_filter_shared.presets import PRESETS, Mood
from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.sitting import feeling, feeling_of, some_sitters
from smart_filter_workers.backgrounds import scoring
from smart_filter_workers.backgrounds.choose import choose
from smart_filter_workers.results import Chosen

BY_NAME = {preset.name: preset for preset in PRESETS}
SOME_CLOTHES = ["#15151a", "#f2f2f0", "#7d7f83", "#a3182c", "#2f4f9a", "#4f8f4a", "#d8b13a"]


def chosen(mood: Mood, *, clothes: str = "#5b5d61", seed: int = 0) -> Chosen:
    return choose(feeling_of(mood), some_sitters(clothes=clothes), seed=seed)


@pytest.mark.parametrize("mood", Mood)
@pytest.mark.parametrize("clothes", SOME_CLOTHES)
def test_what_is_chosen_goes_with_the_mood_or_one_near_it(mood: Mood, clothes: str) -> None:
    presets = [BY_NAME[str(chosen(mood, clothes=clothes, seed=seed).name)] for seed in range(5)]

    wanted = feeling_of(mood).wanted
    assert all(scoring.suits(preset, wanted) > 0 for preset in presets)
    assert sum(wanted in preset.moods for preset in presets) >= 4


@pytest.mark.parametrize("mood", [Mood.SAD, Mood.TENSE])
def test_who_is_sad_or_tense_gets_something_calm_and_is_not_called_so(mood: Mood) -> None:
    hard, calm = chosen(mood), chosen(Mood.CALM)

    assert hard.candidates == calm.candidates
    assert hard.reason.startswith("1 person: something calm, so ")
    assert str(mood) not in hard.reason


@pytest.mark.parametrize("mood", Mood)
@pytest.mark.parametrize("clothes", SOME_CLOTHES)
def test_variety_never_costs_contrast(mood: Mood, clothes: str) -> None:
    sitters = some_sitters(clothes=clothes)
    apart = dict(zip(BY_NAME, scoring.beside(PRESETS, sitters).apart, strict=True))
    median = np.median(list(apart.values()))

    for seed in range(5):
        assert apart[str(choose(feeling_of(mood), sitters, seed=seed).name)] > median


@pytest.mark.parametrize("mood", Mood)
@pytest.mark.parametrize("hair", ["#141414", "#8a6a4a", "#d8c090"])
def test_nobody_in_white_stands_before_white(mood: Mood, hair: str) -> None:
    in_white = some_sitters(hair=hair, clothes="#f0eee8")

    for seed in range(5):
        assert BY_NAME[str(choose(feeling_of(mood), in_white, seed=seed).name)].brightness < 0.85


def test_similar_photos_get_different_designs() -> None:
    names = {chosen(Mood.JOYFUL, seed=seed).name for seed in range(40)}

    assert len(names) >= 8


def test_the_same_seed_chooses_the_same() -> None:
    assert chosen(Mood.TENDER, seed=2**53 - 1) == chosen(Mood.TENDER, seed=2**53 - 1)


def test_the_best_five_are_told_the_one_that_is_used_first() -> None:
    choice = chosen(Mood.CALM)

    assert len(choice.candidates) == 5
    assert choice.candidates[0].name == choice.name
    scores = [one.score for one in choice.candidates]
    assert scores == sorted(scores, reverse=True)
    for one in choice.candidates:
        assert one.score == pytest.approx(scoring.score(one.terms), abs=0.002)


def test_only_what_may_be_chosen_is() -> None:
    among = [BY_NAME["rainbow"], BY_NAME["confetti"]]

    choice = choose(feeling_of(Mood.SAD), some_sitters(), seed=0, among=among)

    assert {one.name for one in choice.candidates} == {"rainbow", "confetti"}


def test_a_single_background_is_chosen_whatever_it_looks_like() -> None:
    only = BY_NAME["black-marble"]
    in_black = some_sitters(hair="#141518", clothes="#141518")

    assert choose(feeling_of(Mood.JOYFUL), in_black, seed=0, among=[only]).name == only.name


@pytest.mark.parametrize("mood", Mood)
@pytest.mark.parametrize("brightness", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_people_of_any_brightness_have_many_backgrounds_to_stand_out_from(
    mood: Mood, brightness: float
) -> None:
    fitting = [preset for preset in PRESETS if mood in preset.moods]

    assert sum(abs(preset.brightness - brightness) >= 0.15 for preset in fitting) >= 10


def test_the_choice_carries_the_presets_keywords() -> None:
    choice = chosen(Mood.JOYFUL)

    assert choice.kind == "preset"
    assert choice.keywords == BY_NAME[str(choice.name)].tags


def test_the_reason_says_the_mood_the_design_and_what_it_stands_out_from() -> None:
    in_black = some_sitters(hair="#141416", clothes="#1c1c20")

    choice = choose(feeling(SmileLevel.HUGE), in_black, seed=1)

    title = BY_NAME[str(choice.name)].title
    assert choice.reason == (
        f"1 person, smiling broadly (1.00 of 1), 2 of 2 eyes open: joyful, so {title}, "
        "lighter than the black clothes"
    )


def test_the_reason_is_silent_about_hair_and_colours_that_are_not_sure() -> None:
    in_between = some_sitters(hair="#f0f0f0", clothes="#9a7a5a")

    choice = choose(feeling_of(Mood.CALM), in_between, seed=0, among=[BY_NAME["midnight"]])

    assert choice.reason == "1 person: calm, so Midnight"


def test_the_reason_names_hues_that_are_opposites() -> None:
    in_orange = some_sitters(hair=None, clothes="#e08a3a")

    choice = choose(feeling_of(Mood.SERIOUS), in_orange, seed=0, among=[BY_NAME["indigo-wall"]])

    assert choice.reason.endswith("darker than the orange clothes, its blue opposite their orange")
