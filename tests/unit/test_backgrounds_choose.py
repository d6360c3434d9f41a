"""How a background is chosen from smiles and eyes, and how the choice is explained."""

import pytest

from smart_filter_shared.presets import PRESETS, Mood
from smart_filter_shared.rating import SmileLevel
from smart_filter_workers.backgrounds.choose import CONTRAST, choose
from smart_filter_workers.results import Chosen, Eyes, Smile

OPEN, SHUT = Eyes(left_open=True, right_open=True), Eyes(left_open=False, right_open=False)
UNKNOWN = Eyes(left_open=None, right_open=None)
BY_NAME = {preset.name: preset for preset in PRESETS}
MID_TONE = 0.45  # a background may be lighter or darker


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
    fitting = {preset.name for preset in PRESETS if Mood.JOYFUL in preset.moods}

    names = {chosen(SmileLevel.HUGE, brightness=-1, seed=seed).name for seed in range(len(fitting))}

    assert names == fitting


def test_the_same_seed_chooses_the_same() -> None:
    assert chosen(SmileLevel.MILD, seed=2**53 - 1) == chosen(SmileLevel.MILD, seed=2**53 - 1)


@pytest.mark.parametrize("brightness", [0.25, 0.85])
def test_a_background_as_bright_as_the_people_is_left_out_and_told(brightness: float) -> None:
    for seed in range(60):
        choice = chosen(SmileLevel.NONE, brightness=brightness, seed=seed)

        preset = BY_NAME[str(choice.name)]
        assert abs(preset.brightness - brightness) >= CONTRAST
        side = "lighter" if preset.brightness > brightness else "darker"
        assert (
            f", which is {side} than the people ({preset.brightness:.2f} against {brightness:.2f})"
        ) in choice.reason


def test_without_any_contrast_something_is_chosen_all_the_same() -> None:
    alike = [BY_NAME["rainbow"], BY_NAME["confetti"]]
    between = sum(preset.brightness for preset in alike) / 2

    choice = choose(
        [Smile(SmileLevel.HUGE, 0.9)], [OPEN], people=1, brightness=between, seed=0, among=alike
    )

    assert choice.name == "rainbow"
    assert "than the people" not in choice.reason


@pytest.mark.parametrize("mood", Mood)
@pytest.mark.parametrize("brightness", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_people_of_any_brightness_have_many_backgrounds_to_stand_out_from(
    mood: Mood, brightness: float
) -> None:
    fitting = [preset for preset in PRESETS if mood in preset.moods]

    assert sum(abs(preset.brightness - brightness) >= CONTRAST for preset in fitting) >= 10


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
