"""Moods that smiles, eyes, emotions and the number of people make."""

import pytest

from smart_filter_shared.presets import Mood
from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.sitting import (
    OPEN,
    SHUT,
    Shares,
    feeling,
    showing,
    some_smiles,
)
from smart_filter_workers.backgrounds import moods
from smart_filter_workers.results import Eyes

UNKNOWN = Eyes(left_open=None, right_open=None)
NONE, MILD = SmileLevel.NONE, SmileLevel.MILD
MODERATE, HUGE = SmileLevel.MODERATE, SmileLevel.HUGE


@pytest.mark.parametrize(
    ("levels", "eyes", "mood"),
    [
        ([HUGE, HUGE], OPEN, Mood.JOYFUL),
        ([HUGE, MILD], OPEN, Mood.JOYFUL),
        ([MODERATE], OPEN, Mood.JOYFUL),
        ([MODERATE], SHUT, Mood.JOYFUL),
        ([MODERATE] * 2, OPEN, Mood.TENDER),
        ([MODERATE] * 3 + [NONE], OPEN, Mood.JOYFUL),
        ([MODERATE] * 2 + [NONE], OPEN, Mood.TENDER),
        ([MILD], OPEN, Mood.TENDER),
        ([NONE, MODERATE], OPEN, Mood.TENDER),
        ([NONE], OPEN, Mood.SERIOUS),
        ([NONE], SHUT, Mood.CALM),
        ([NONE], UNKNOWN, Mood.CALM),
        ([], OPEN, Mood.CALM),
    ],
)
def test_smiles_and_eyes_make_the_mood(levels: list[SmileLevel], eyes: Eyes, mood: Mood) -> None:
    read = moods.read(some_smiles(*levels, eyes=eyes), people=max(1, len(levels)))

    assert read.mood == mood


@pytest.mark.parametrize(
    ("shares", "mood"),
    [
        ({"happiness": 0.9, "neutral": 0.1}, Mood.JOYFUL),
        ({"happiness": 0.3, "neutral": 0.7}, Mood.TENDER),
        ({"neutral": 0.9, "happiness": 0.1}, Mood.SERIOUS),
        ({"surprise": 0.6, "neutral": 0.4}, Mood.SURPRISED),
        ({"sadness": 0.5, "neutral": 0.5}, Mood.SAD),
        ({"anger": 0.6, "neutral": 0.4}, Mood.TENSE),
        # Which of the hard feelings it is does not matter, and they add up.
        ({"anger": 0.2, "fear": 0.1, "contempt": 0.1, "neutral": 0.6}, Mood.TENSE),
        # A laugh looks surprised, too.
        ({"surprise": 0.4, "happiness": 0.6}, Mood.JOYFUL),
        # A trace of sadness is a thoughtful face.
        ({"sadness": 0.2, "neutral": 0.8}, Mood.SERIOUS),
    ],
)
def test_known_emotions_make_the_mood(shares: Shares, mood: Mood) -> None:
    assert moods.read(showing(shares), people=1).mood == mood


@pytest.mark.parametrize("emotion", ["sadness", "anger", "disgust", "fear", "contempt"])
def test_hard_feelings_are_answered_with_something_calm_and_not_named(emotion: str) -> None:
    read = moods.read(showing({emotion: 1.0}), people=1)

    assert (read.wanted, read.wish) == (Mood.CALM, "something calm")
    unkind = {emotion, "sad", "tense", "angry", "disgust", "afraid", "contempt"}
    assert not [word for word in unkind if word in read.read_from]


@pytest.mark.parametrize(
    ("levels", "people", "text"),
    [
        ([HUGE] * 2, 2, "2 people, both smiling broadly (1.00 of 1), 4 of 4 eyes open"),
        ([MILD], 1, "1 person, smiling a little (0.50 of 1), 2 of 2 eyes open"),
        ([NONE] * 3, 3, "3 people, all not smiling (0.20 of 1), 6 of 6 eyes open"),
        (
            [NONE, HUGE],
            1,
            "2 people, 1 smiling broadly, 1 not smiling (0.60 of 1), 4 of 4 eyes open",
        ),
        (
            [MODERATE],
            3,
            "3 people, 1 with a face to be seen, smiling (0.70 of 1), 2 of 2 eyes open",
        ),
        ([], 2, "2 people, no face to be seen"),
    ],
)
def test_reason_has_the_faces_with_their_numbers(
    levels: list[SmileLevel], people: int, text: str
) -> None:
    assert feeling(*levels, people=people).read_from == text
