"""Rate how well the people in a photo look into the camera, by smiles and open eyes.

There are two ratings. `score` is the formula of Image Printability Rating, whose every term is part
of the answer; an eye that is not seen counts as closed there. `points` is what people see and what
albums are ranked by: an eye behind dark glasses is neither open nor closed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from smart_filter_wire.findings import Eyes


class SmileLevel(StrEnum):
    """The level of a smile."""

    NONE = "none"
    MILD = "mild"
    MODERATE = "moderate"
    HUGE = "huge"


LEVEL_WEIGHTS: Mapping[SmileLevel, float] = {
    SmileLevel.NONE: 0.2,
    SmileLevel.MILD: 0.5,
    SmileLevel.MODERATE: 0.7,
    SmileLevel.HUGE: 1.0,
}
SMILE_SHARE = 0.8
EYES_SHARE = 0.2
EYES_PER_FACE = 2


@dataclass(frozen=True, slots=True)
class Rating:
    """The rating of one photo, with every term.

    score: SMILE_SHARE × avg_smiling_score + EYES_SHARE × open_eye_ratio, in 0..1.
    avg_smiling_score: mean of LEVEL_WEIGHTS over the faces, in 0.2..1.
    open_eye_ratio: open eyes divided by twice the number of faces, in 0..1.
    known_eyes: number of eyes that are open or closed.
    points: 0 to 100, the score with `open_eyes / known_eyes` for the ratio; by smiles alone where
        no eye is known.
    """

    score: float
    avg_smiling_score: float
    open_eye_ratio: float
    faces: int
    open_eyes: int
    known_eyes: int
    points: int


def rate(levels: Sequence[SmileLevel], eyes: Sequence[Eyes]) -> Rating:
    """Rate the faces of one photo.

    levels, eyes: one for each face, at least one.  Raises ValueError for other numbers.
    """
    if not levels or len(levels) != len(eyes):
        raise ValueError(f"{len(levels)} smiles with {len(eyes)} pairs of eyes cannot be rated")
    states = [is_open for pair in eyes for is_open in (pair.left_open, pair.right_open)]
    open_eyes, known_eyes = states.count(True), len(states) - states.count(None)
    average = sum(LEVEL_WEIGHTS[level] for level in levels) / len(levels)
    ratio = open_eyes / len(states)
    known_ratio = open_eyes / known_eyes if known_eyes else average
    return Rating(
        score=SMILE_SHARE * average + EYES_SHARE * ratio,
        avg_smiling_score=average,
        open_eye_ratio=ratio,
        faces=len(levels),
        open_eyes=open_eyes,
        known_eyes=known_eyes,
        points=round(100 * (SMILE_SHARE * average + EYES_SHARE * known_ratio)),
    )
