"""Infer one of seven moods from the faces in a photo, and describe what it was read from.

The mood is inferred from the faces' emotions if the model has read them. Otherwise it is inferred
from smiles, eyes and the number of people, which distinguish four moods: without a smile a face is
not sad or tense.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.catalog.emotions import EMOTIONS
from smart_filter_shared.presets import Mood
from smart_filter_shared.rating import EYES_PER_FACE, SmileLevel, rate
from smart_filter_shared.results import Emotion, Smiles

# Mean smile of the faces with the rating's weights (none 0.2, mild 0.5, moderate 0.7, huge 1):
# joyful needs all to smile well or some to beam, tender at least a little smile from most.
JOYFUL_FROM: Final = 0.65
TENDER_FROM: Final = 0.4
# Two people with the same moderate smile are close, not merry; a party is merry if most smile.
JOYFUL_COUPLE_FROM: Final = 0.72
JOYFUL_GROUP_FROM: Final = 0.55
COUPLE_SIZE: Final = 2
GROUP_SIZE: Final = 4
# People without a smile look serious if they look into the camera; with eyes shut, at rest.
SERIOUS_FROM: Final = 0.5

# How well a background of a mood suits a face with an emotion, 0 to 1. The mood of a photo is the
# one whose background has the best mean over all raters' votes, which are the shares. An emotion
# that is not listed counts 0.
#   joyful, surprised: their own emotion counts fully. A laugh looks surprised too, so surprise
#   together with happiness is joy, and bright colors do not spoil a surprised face.
#   tender: a half smile, and the face that is almost one. Together with a plain face, a share of
#   happiness is tender from 0.23 and joyful from 0.55: a quarter and half of the raters.
#   serious: the plain face that looks at the camera. It counts only three quarters: a face with a
#   share of 0.36 of a hard emotion, or 0.31 of surprise, is not just plain; with less it is a
#   thoughtful face.
#   sad, tense: their own emotions count fully, the plain face a little, because the earnest ones
#   among such backgrounds would suit it. All four emotions of tense count the same.
MOOD_FITS: Final[Mapping[Mood, Mapping[str, float]]] = {
    Mood.JOYFUL: {"happiness": 1.0, "surprise": 0.5},
    Mood.SURPRISED: {"surprise": 1.0, "happiness": 0.3, "neutral": 0.3},
    Mood.TENDER: {"neutral": 0.6, "happiness": 0.5},
    Mood.SERIOUS: {
        "neutral": 0.75,
        "sadness": 0.2,
        "anger": 0.2,
        "disgust": 0.2,
        "fear": 0.2,
        "contempt": 0.2,
    },
    Mood.SAD: {"sadness": 1.0, "fear": 0.4, "neutral": 0.3},
    Mood.TENSE: {
        "anger": 1.0,
        "disgust": 1.0,
        "fear": 1.0,
        "contempt": 1.0,
        "sadness": 0.4,
        "neutral": 0.3,
    },
}
# Sad or tense people do not get a matching background, such as rain behind tears, but a quiet
# place.
CONSOLING: Final[Mapping[Mood, Mood]] = {Mood.SAD: Mood.CALM, Mood.TENSE: Mood.CALM}
# Descriptions of moods inferred from emotions: never more than a friend would say aloud.
MOOD_PHRASES: Final[Mapping[Mood, str]] = {
    Mood.JOYFUL: "happy",
    Mood.SURPRISED: "surprised",
    Mood.TENDER: "friendly",
    Mood.SERIOUS: "composed",
    Mood.CALM: "at rest",
    Mood.SAD: "pensive",
    Mood.TENSE: "earnest",
}

_SMILE_WORDS: Final = {
    SmileLevel.HUGE: "smiling broadly",
    SmileLevel.MODERATE: "smiling",
    SmileLevel.MILD: "smiling a little",
    SmileLevel.NONE: "not smiling",
}


@dataclass(frozen=True, slots=True)
class InferredMood:
    """A mood, and a sentence without its end that describes what the mood was read from."""

    mood: Mood
    read_from: str

    @property
    def wanted(self) -> Mood:
        """The mood that a background should have: the same one, or a consoling one."""
        return CONSOLING.get(self.mood, self.mood)

    @property
    def wish(self) -> str:
        """The wanted background, in words."""
        return str(self.mood) if self.wanted == self.mood else f"something {self.wanted}"


def infer_mood(
    smiles: Smiles | None, *, people: int, sizes: Sequence[float] | None = None
) -> InferredMood:
    """Return the mood of a photo; smiles None: faces were not read.

    people: number of persons in the matte, 0 for one of an object; a larger number of faces counts
    instead.
    sizes: area of each face, in any unit; None counts all the same.
    """
    people = max(people, len(smiles.smiles) if smiles is not None else 0)
    if not people:
        return InferredMood(Mood.CALM, "an object")
    crowd = "1 person" if people == 1 else f"{people} people"
    if smiles is None or not smiles.smiles:
        return InferredMood(Mood.CALM, f"{crowd}, no visible face")
    levels = [smile.level for smile in smiles.smiles]
    eyes = [open_ for pair in smiles.eyes for open_ in (pair.left_open, pair.right_open)]
    rating = rate(levels, smiles.eyes)
    looking = rating.open_eye_ratio >= SERIOUS_FROM / EYES_PER_FACE
    description = f"{crowd}, {_describe_smiles(levels, people)}, {_describe_eyes(eyes)}"
    shares = mean_emotion([smile.emotion for smile in smiles.smiles], sizes)
    if shares is None:
        mood = mood_from_smiles(rating.avg_smiling_score, people=people, looking=looking)
        return InferredMood(mood, description)
    mood = mood_from_emotions(shares, looking=looking)
    # Several faces may look different: the description is of their mean.
    whole = "" if len(levels) == 1 else " on the whole"
    return InferredMood(mood, f"{description}, looking {MOOD_PHRASES[mood]}{whole}")


def mean_emotion(
    emotions: Sequence[Emotion | None], sizes: Sequence[float] | None = None
) -> Emotion | None:
    """Return the mean emotion of faces, weighted by size; None if no emotion was read.

    A face that fills half of a picture counts more than one in the crowd behind.
    """
    weights = [1.0] * len(emotions) if sizes is None else sizes
    weighted = [pair for pair in zip(emotions, weights, strict=True) if pair[0] is not None]
    if not sum(weight for _, weight in weighted):
        return None
    shares, sized = zip(*weighted, strict=True)
    return tuple(np.average(shares, axis=0, weights=sized).tolist())


def mood_from_emotions(shares: Emotion, *, looking: bool) -> Mood:
    """Return the mood of emotions, whose shares sum to 1.  looking: whether eyes are open."""
    scores = score_moods(shares)
    # The first mood of the table wins a draw, so a draw is never called sad.
    mood = max(scores, key=lambda mood: scores[mood])
    return Mood.CALM if mood == Mood.SERIOUS and not looking else mood


def score_moods(shares: Emotion) -> dict[Mood, float]:
    """Return how well backgrounds of each mood suit emotions, 0 to 1, by MOOD_FITS."""
    by_emotion = dict(zip(EMOTIONS, shares, strict=True))
    return {
        mood: sum(fit * by_emotion[emotion] for emotion, fit in table.items())
        for mood, table in MOOD_FITS.items()
    }


def mood_from_smiles(average: float, *, people: int, looking: bool) -> Mood:
    """Return the mood of smiles, by their mean with the rating's weights, 0.2 to 1."""
    joyful_from = JOYFUL_COUPLE_FROM if people == COUPLE_SIZE else JOYFUL_FROM
    if people >= GROUP_SIZE:
        joyful_from = JOYFUL_GROUP_FROM
    if average >= joyful_from:
        return Mood.JOYFUL
    if average >= TENDER_FROM:
        return Mood.TENDER
    return Mood.SERIOUS if looking else Mood.CALM


def _describe_eyes(eyes: Sequence[bool | None]) -> str:
    closed = eyes.count(False)
    if closed:
        return "all eyes closed" if closed == len(eyes) else f"{closed} of {len(eyes)} eyes closed"
    return "eyes open" if True in eyes else "eyes not seen"


def _describe_smiles(levels: Sequence[SmileLevel], people: int) -> str:
    present = [level for level in _SMILE_WORDS if level in levels]
    if len(present) > 1:
        return ", ".join(f"{levels.count(level)} {_SMILE_WORDS[level]}" for level in present)
    words = _SMILE_WORDS[present[0]]
    if people == 1:
        return words
    if len(levels) < people:
        return f"{len(levels)} with a visible face, {words}"
    return f"{'both' if people == COUPLE_SIZE else 'all'} {words}"
