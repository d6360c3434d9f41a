"""Rate how well the people in a photo look into the camera, by smiles and open eyes.

The weights come from Image Printability Rating. Every term is part of the answer, so that a
client can recompute the score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


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
    """

    score: float
    avg_smiling_score: float
    open_eye_ratio: float
    faces: int
    open_eyes: int


def rate(levels: Sequence[SmileLevel], open_eyes: int) -> Rating:
    """Rate the faces of one photo.

    levels: one for each face, at least one.  open_eyes: number of eyes known to be open, at most
    two for each face.  Raises ValueError for values out of range.
    """
    if not levels or not 0 <= open_eyes <= EYES_PER_FACE * len(levels):
        raise ValueError(f"{len(levels)} faces with {open_eyes} open eyes cannot be rated")
    average = sum(LEVEL_WEIGHTS[level] for level in levels) / len(levels)
    ratio = open_eyes / (EYES_PER_FACE * len(levels))
    return Rating(
        score=SMILE_SHARE * average + EYES_SHARE * ratio,
        avg_smiling_score=average,
        open_eye_ratio=ratio,
        faces=len(levels),
        open_eyes=open_eyes,
    )
