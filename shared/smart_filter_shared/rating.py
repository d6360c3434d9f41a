"""How well the people in a photo look into the camera, by smiles and open eyes.

The weights are those of Image Printability Rating; every term is part of the answer, so
that anybody can compute the score again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class SmileLevel(StrEnum):
    """How much somebody smiles."""

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
EYES_A_FACE = 2


@dataclass(frozen=True, slots=True)
class Rating:
    """The rating of one photo, with every term that made it.

    score: SMILE_SHARE × avg_smiling_score + EYES_SHARE × open_eye_ratio, in 0..1.
    avg_smiling_score: mean of LEVEL_WEIGHTS over the faces, in 0.2..1.
    open_eye_ratio: open eyes over twice the faces, in 0..1.
    """

    score: float
    avg_smiling_score: float
    open_eye_ratio: float
    faces: int
    open_eyes: int


def rate(levels: Sequence[SmileLevel], open_eyes: int) -> Rating:
    """Rate the faces of one photo.

    levels: one a face, at least one.  open_eyes: how many eyes are known to be open, at
    most two a face.  Raises ValueError when either does not hold.
    """
    if not levels or not 0 <= open_eyes <= EYES_A_FACE * len(levels):
        raise ValueError(f"{len(levels)} faces with {open_eyes} open eyes cannot be rated")
    average = sum(LEVEL_WEIGHTS[level] for level in levels) / len(levels)
    ratio = open_eyes / (EYES_A_FACE * len(levels))
    return Rating(
        score=SMILE_SHARE * average + EYES_SHARE * ratio,
        avg_smiling_score=average,
        open_eye_ratio=ratio,
        faces=len(levels),
        open_eyes=open_eyes,
    )
