"""What the faces in a photo say: one of seven moods, and in words what it was read from.

From the emotions of the faces where the model has read them; else from smiles, eyes and the
number of people, which tell four: nobody is sad or tense for not smiling.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.emotions import EMOTIONS
from smart_filter_shared.presets import Mood
from smart_filter_shared.rating import EYES_A_FACE, SmileLevel, rate
from smart_filter_workers.results import Emotion, Smiles

# Mean smile of the faces as the rating weighs it (none 0.2, mild 0.5, moderate 0.7, huge 1):
# joyful needs everybody to smile well or some to beam, tender at least a little from most.
JOYFUL_FROM: Final = 0.65
TENDER_FROM: Final = 0.4
# Two who smile alike and not broadly are close, not merry; a party is merry where most smile.
JOYFUL_COUPLE_FROM: Final = 0.72
JOYFUL_GROUP_FROM: Final = 0.55
COUPLE: Final = 2
GROUP: Final = 4
# Without a smile, people who look into the camera look serious; with eyes shut, at rest.
SERIOUS_FROM: Final = 0.5

# How well a background of a mood goes with a face of an emotion, 0 to 1; the mood of a photo is
# the one whose background fits best on average over all that raters saw, which is what each share
# counts. An emotion that is not named: not at all.
#   joyful, surprised: their own emotion wholly. A laugh looks surprised too, so surprise beside
#     happiness is joy, and a surprised face is not spoilt by colours.
#   tender: half of a smile and the face that is not quite one. Beside a plain face, a share of
#     happiness is tender from 0.23 and joyful from 0.55: a quarter and half of the raters.
#   serious: the plain face that looks at you. It keeps a quarter back: whoever shows 0.36 of
#     something hard, or 0.31 of surprise, is not only plain; with less it is a thoughtful face.
#   sad, tense: their own emotions wholly, the plain face a little, since the earnest among such
#     backgrounds would go with it. Which of the four that make one tense does not matter.
FITS: Final[Mapping[Mood, Mapping[str, float]]] = {
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
# Who is sad or tense is not shown so: no rain behind tears. A quiet place does them good.
CONSOLING: Final[Mapping[Mood, Mood]] = {Mood.SAD: Mood.CALM, Mood.TENSE: Mood.CALM}
# What is said of a mood that emotions make; never more than a friend would say aloud.
LOOKING: Final[Mapping[Mood, str]] = {
    Mood.JOYFUL: "happy",
    Mood.SURPRISED: "surprised",
    Mood.TENDER: "friendly",
    Mood.SERIOUS: "composed",
    Mood.CALM: "at rest",
    Mood.SAD: "pensive",
    Mood.TENSE: "earnest",
}

_WORDS: Final = {
    SmileLevel.HUGE: "smiling broadly",
    SmileLevel.MODERATE: "smiling",
    SmileLevel.MILD: "smiling a little",
    SmileLevel.NONE: "not smiling",
}


@dataclass(frozen=True, slots=True)
class Feeling:
    """A mood, and a sentence without an end that says what it was read from."""

    mood: Mood
    read_from: str

    @property
    def wanted(self) -> Mood:
        """The mood that a background should have: the same, or one that consoles."""
        return CONSOLING.get(self.mood, self.mood)

    @property
    def wish(self) -> str:
        """The background that is wanted, in words."""
        return str(self.mood) if self.wanted == self.mood else f"something {self.wanted}"


def read(smiles: Smiles | None, *, people: int, sizes: Sequence[float] | None = None) -> Feeling:
    """Return the mood of a photo; smiles None: no face was looked at.

    people: how many the matte tells apart, at least one; where more faces are seen, they count.
    sizes: how much of the photo each face covers, in any unit; alike when None.
    """
    people = max(people, len(smiles.smiles) if smiles is not None else 0)
    crowd = "1 person" if people == 1 else f"{people} people"
    if smiles is None or not smiles.smiles:
        return Feeling(Mood.CALM, f"{crowd}, no face to be seen")
    levels = [smile.level for smile in smiles.smiles]
    eyes = [open_ for pair in smiles.eyes for open_ in (pair.left_open, pair.right_open)]
    rating = rate(levels, sum(open_ is True for open_ in eyes))
    looking = rating.open_eye_ratio >= SERIOUS_FROM / EYES_A_FACE
    told = (
        f"{crowd}, {_who_smiles(levels, people)} ({rating.avg_smiling_score:.2f} of 1), "
        f"{rating.open_eyes} of {EYES_A_FACE * len(levels)} eyes open"
    )
    shares = mean_emotion([smile.emotion for smile in smiles.smiles], sizes)
    if shares is None:
        mood = by_smiles(rating.avg_smiling_score, people=people, looking=looking)
        return Feeling(mood, told)
    mood = by_emotions(shares, looking=looking)
    # Several faces need not look alike: it is said of their mean.
    whole = "" if len(levels) == 1 else " on the whole"
    fit = max(fits(shares).values())
    return Feeling(mood, f"{told}, looking {LOOKING[mood]}{whole} ({fit:.2f} of 1)")


def mean_emotion(
    emotions: Sequence[Emotion | None], sizes: Sequence[float] | None = None
) -> Emotion | None:
    """Return the mean of what faces show, by their sizes; None where nothing was read of any.

    A face that fills half of a picture says more of it than one in the crowd behind.
    """
    weights = [1.0] * len(emotions) if sizes is None else sizes
    known = [pair for pair in zip(emotions, weights, strict=True) if pair[0] is not None]
    if not sum(weight for _, weight in known):
        return None
    shares, sized = zip(*known, strict=True)
    return tuple(np.average(shares, axis=0, weights=sized).tolist())


def by_emotions(shares: Emotion, *, looking: bool) -> Mood:
    """Return the mood of emotions, their shares summing to 1.  looking: whether eyes are open."""
    found = fits(shares)
    # Among equals the first of the table: nobody is called sad for a draw.
    mood = max(found, key=lambda one: found[one])
    return Mood.CALM if mood == Mood.SERIOUS and not looking else mood


def fits(shares: Emotion) -> dict[Mood, float]:
    """Return how well backgrounds of each mood fit emotions, 0 to 1, by FITS."""
    named = dict(zip(EMOTIONS, shares, strict=True))
    return {
        mood: sum(fit * named[emotion] for emotion, fit in table.items())
        for mood, table in FITS.items()
    }


def by_smiles(average: float, *, people: int, looking: bool) -> Mood:
    """Return the mood of smiles, their mean as the rating weighs it, 0.2 to 1."""
    joyful_from = JOYFUL_COUPLE_FROM if people == COUPLE else JOYFUL_FROM
    if people >= GROUP:
        joyful_from = JOYFUL_GROUP_FROM
    if average >= joyful_from:
        return Mood.JOYFUL
    if average >= TENDER_FROM:
        return Mood.TENDER
    return Mood.SERIOUS if looking else Mood.CALM


def _who_smiles(levels: Sequence[SmileLevel], people: int) -> str:
    present = [level for level in _WORDS if level in levels]
    if len(present) > 1:
        return ", ".join(f"{levels.count(level)} {_WORDS[level]}" for level in present)
    words = _WORDS[present[0]]
    if people == 1:
        return words
    if len(levels) < people:
        return f"{len(levels)} with a face to be seen, {words}"
    return f"{'both' if people == COUPLE else 'all'} {words}"
