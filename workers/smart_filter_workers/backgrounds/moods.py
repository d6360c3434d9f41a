"""What the faces in a photo say: one of seven moods, and in words what it was read from.

From the emotions of the faces where a model has read them; else from smiles, eyes and the
number of people, which tell four: nobody is sad or tense for not smiling.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from smart_filter_shared.presets import Mood
from smart_filter_shared.rating import EYES_A_FACE, SmileLevel, rate
from smart_filter_workers.results import Emotions, Smiles

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

# Shares of raters, as FERPlus gives them (Barsoum et al. 2016). A third who see surprise,
# sadness or anger are more than a slip; fewer would put a sad background behind a thoughtful
# face. Half who see happiness see a smile, a quarter the hint of one.
STRONG_FROM: Final = 0.35
HAPPY_FROM: Final = 0.5
FRIENDLY_FROM: Final = 0.25
# What each strong mood is the sum of.
STRONG: Final[Mapping[Mood, tuple[str, ...]]] = {
    Mood.SURPRISED: ("surprise",),
    Mood.SAD: ("sadness",),
    Mood.TENSE: ("anger", "disgust", "fear", "contempt"),
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


def read(smiles: Smiles | None, *, people: int) -> Feeling:
    """Return the mood of a photo; None: no face was looked at.

    people: how many the matte tells apart, at least one; where more faces are seen, they count.
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
    known = [one for one in smiles.emotions if one is not None]
    if known:
        mean = {name: sum(one.get(name, 0) for one in known) / len(known) for name in known[0]}
        mood = by_emotions(mean, looking=looking)
        most, share = max(mean.items(), key=lambda item: item[1])
        return Feeling(mood, f"{told}, mostly {_NOUNS.get(most, most)} ({share:.2f} of 1)")
    return Feeling(by_smiles(rating.avg_smiling_score, people=people, looking=looking), told)


def by_emotions(shares: Emotions, *, looking: bool) -> Mood:
    """Return the mood of emotions, their shares summing to 1.

    shares: by FERPlus's names: neutral, happiness, surprise, sadness, anger, disgust, fear,
    contempt; what is missing is none.  looking: whether eyes are open.
    """
    happy = shares.get("happiness", 0.0)
    strong = {mood: sum(shares.get(one, 0.0) for one in names) for mood, names in STRONG.items()}
    mood = max(strong, key=lambda one: strong[one])
    if strong[mood] >= STRONG_FROM and strong[mood] > happy:
        return mood
    if happy >= HAPPY_FROM:
        return Mood.JOYFUL
    if happy >= FRIENDLY_FROM:
        return Mood.TENDER
    return Mood.SERIOUS if looking else Mood.CALM


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


_NOUNS: Final = {"happiness": "happy", "surprise": "surprised", "sadness": "sad"} | {
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "afraid",
    "contempt": "contemptuous",
}


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
