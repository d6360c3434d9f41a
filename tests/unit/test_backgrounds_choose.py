"""How a background is chosen from smiles and eyes, and how the choice is explained."""

import pytest

from smart_filter_shared.presets import PRESETS, Mood
from smart_filter_shared.rating import SmileLevel
from smart_filter_workers.backgrounds.choose import CONTRAST, choose
from smart_filter_workers.results import Chosen, Eyes, Smile

OPEN, SHUT = Eyes(left_open=True, right_open=True), Eyes(left_open=False, right_open=False)
UNKNOWN = Eyes(left_open=None, right_open=None)
BY_NAME = {preset.name: preset for preset in PRESETS}
MID_TONE = 0.45  # every preset stands out from it


def chosen(
    *levels: SmileLevel,
    eyes: Eyes = OPEN,
    people: int | None = None,
    brightness: float = MID_TONE,
    seed: int = 0,
) -> Chosen:
    return choose(
        [Smile(level, 0.5) for level in levels],
        [eyes] * len(levels),
        people=people if people is not None else max(1, len(levels)),
        brightness=brightness,
        seed=seed,
    )


@pytest.mark.parametrize(
    ("levels", "eyes", "mood"),
    [
        ([SmileLevel.HUGE, SmileLevel.HUGE], OPEN, Mood.JOYFUL),
        ([SmileLevel.MODERATE], SHUT, Mood.JOYFUL),
        ([SmileLevel.HUGE, SmileLevel.MILD], OPEN, Mood.JOYFUL),
        ([SmileLevel.MILD], OPEN, Mood.TENDER),
        ([SmileLevel.NONE, SmileLevel.MODERATE], OPEN, Mood.TENDER),
        ([SmileLevel.NONE], OPEN, Mood.SERIOUS),
        ([SmileLevel.NONE], SHUT, Mood.CALM),
        ([SmileLevel.NONE], UNKNOWN, Mood.CALM),
        ([], OPEN, Mood.CALM),
    ],
)
def test_smiles_and_eyes_make_the_mood(levels: list[SmileLevel], eyes: Eyes, mood: Mood) -> None:
    for seed in range(8):
        choice = chosen(*levels, eyes=eyes, seed=seed)

        assert mood in BY_NAME[str(choice.name)].moods
        assert f": {mood}, so {BY_NAME[str(choice.name)].title}" in choice.reason


@pytest.mark.parametrize("mood", Mood)
def test_every_mood_has_two_presets_at_least(mood: Mood) -> None:
    assert sum(mood in preset.moods for preset in PRESETS) >= 2


def test_every_fitting_preset_is_some_seeds_choice() -> None:
    names = {chosen(SmileLevel.HUGE, seed=seed).name for seed in range(20)}

    assert names == {preset.name for preset in PRESETS if Mood.JOYFUL in preset.moods}


def test_the_same_seed_chooses_the_same() -> None:
    assert chosen(SmileLevel.MILD, seed=2**53 - 1) == chosen(SmileLevel.MILD, seed=2**53 - 1)


@pytest.mark.parametrize(("brightness", "name"), [(0.25, "paper"), (0.85, "studio")])
def test_a_background_as_bright_as_the_people_is_left_out_and_told(
    brightness: float, name: str
) -> None:
    for seed in range(4):
        choice = chosen(SmileLevel.NONE, brightness=brightness, seed=seed)

        assert choice.name == name
        assert f"than the people ({BY_NAME[name].brightness:.2f} against {brightness:.2f})" in (
            choice.reason
        )


def test_without_any_contrast_something_is_chosen_all_the_same() -> None:
    joyful = [preset.brightness for preset in PRESETS if Mood.JOYFUL in preset.moods]
    between = sum(joyful) / len(joyful)
    assert all(abs(one - between) < CONTRAST for one in joyful)

    choice = chosen(SmileLevel.HUGE, brightness=between)

    assert "than the people" not in choice.reason


@pytest.mark.parametrize(
    ("levels", "people", "reason"),
    [
        ([SmileLevel.HUGE] * 2, 2, "2 people, both smiling broadly (1.00 of 1), 4 of 4 eyes open"),
        ([SmileLevel.MILD], 1, "1 person, smiling a little (0.50 of 1), 2 of 2 eyes open"),
        ([SmileLevel.NONE] * 3, 3, "3 people, all not smiling (0.20 of 1), 6 of 6 eyes open"),
        (
            [SmileLevel.NONE, SmileLevel.HUGE],
            2,
            "2 people, 1 smiling broadly, 1 not smiling (0.60 of 1), 4 of 4 eyes open",
        ),
        (
            [SmileLevel.MODERATE],
            3,
            "3 people, 1 with a face to be seen, smiling (0.70 of 1), 2 of 2 eyes open",
        ),
        ([], 2, "2 people, no face to be seen: calm"),
    ],
)
def test_the_reason_is_built_from_the_scores_that_decided(
    levels: list[SmileLevel], people: int, reason: str
) -> None:
    assert chosen(*levels, people=people).reason.startswith(reason)


def test_the_choice_carries_the_presets_keywords() -> None:
    choice = chosen(SmileLevel.HUGE)

    assert choice.kind == "preset"
    assert choice.keywords == BY_NAME[str(choice.name)].tags
