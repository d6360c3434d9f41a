"""What smiles, eyes, emotions and the number of people say."""

import pytest

from smart_filter_shared.presets import Mood
from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.sitting import OPEN, SHUT, feeling, some_smiles
from smart_filter_workers.backgrounds import moods
from smart_filter_workers.results import Emotions, Eyes, Smiles

UNKNOWN = Eyes(left_open=None, right_open=None)


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
    read = moods.read(some_smiles(*levels, eyes=eyes), people=max(1, len(levels)))

    assert read.mood == mood


def test_without_the_smile_stage_people_are_calm() -> None:
    assert moods.read(None, people=3).mood == Mood.CALM


def test_two_who_smile_alike_are_tender_where_one_is_joyful() -> None:
    one, two = feeling(SmileLevel.MODERATE), feeling(SmileLevel.MODERATE, SmileLevel.MODERATE)

    assert (one.mood, two.mood) == (Mood.JOYFUL, Mood.TENDER)


def test_a_group_is_joyful_when_most_smile() -> None:
    levels = [SmileLevel.MODERATE] * 3 + [SmileLevel.NONE]

    assert feeling(*levels).mood == Mood.JOYFUL
    assert feeling(*levels[1:]).mood == Mood.TENDER


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
def test_emotions_make_the_mood_when_they_are_known(shares: Emotions, mood: Mood) -> None:
    smiles = Smiles((some_smiles(SmileLevel.NONE)).smiles, (OPEN,), (shares,))

    assert moods.read(smiles, people=1).mood == mood


def test_neutral_faces_with_eyes_shut_are_calm() -> None:
    assert moods.by_emotions({"neutral": 1.0}, looking=False) == Mood.CALM


def test_emotions_of_several_faces_are_their_mean_and_unknown_ones_are_left_out() -> None:
    faces = some_smiles(*[SmileLevel.NONE] * 3)
    smiles = Smiles(faces.smiles, faces.eyes, ({"sadness": 1.0}, None, {"neutral": 1.0}))

    assert moods.read(smiles, people=3).mood == Mood.SAD


def test_the_emotion_that_was_seen_most_is_told() -> None:
    smiles = Smiles(some_smiles(SmileLevel.NONE).smiles, (OPEN,), ({"surprise": 0.75},))

    assert moods.read(smiles, people=1).read_from.endswith("mostly surprised (0.75 of 1)")


def test_all_seven_moods_can_be_read() -> None:
    shares = ["happiness", "surprise", "sadness", "anger", "neutral"]

    seen = {moods.by_emotions({one: 1.0}, looking=True) for one in shares}
    seen |= {moods.by_emotions({"neutral": 1.0}, looking=False)}
    seen |= {moods.by_emotions({"neutral": 0.7, "happiness": 0.3}, looking=True)}

    assert seen == set(Mood)


@pytest.mark.parametrize(
    ("levels", "people", "told"),
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
        (
            [SmileLevel.NONE, SmileLevel.HUGE],
            1,
            "2 people, 1 smiling broadly, 1 not smiling (0.60 of 1), 4 of 4 eyes open",
        ),
        ([], 2, "2 people, no face to be seen"),
    ],
)
def test_what_was_seen_is_told_with_its_numbers(
    levels: list[SmileLevel], people: int, told: str
) -> None:
    assert feeling(*levels, people=people).read_from == told
