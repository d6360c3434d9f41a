"""Face orientation: the quarter turns that make a photo's best face upright."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_workers.networks.centerface import CenterFace
from smart_filter_workers.results import Face, Srgb8

LONGEST_SIDE_PX: Final = 256
CLOSER_SIDE_PX: Final = 640
# A face with this score is upright for certain: skip the other turns.
UPRIGHT_ABOVE: Final = 0.75
# CLOSER_ABOVE: score of a turned face that triggers a closer look. SURE_ABOVE, MIN_LEAD: its least
# score there, and its least lead over the upright one. Of 80 small or dim upright faces in training
# photos 77 are above SURE_ABOVE in the closer look, and so are two of 22 false turned faces.
CLOSER_ABOVE: Final = 0.3
SURE_ABOVE: Final = 0.6
MIN_LEAD: Final = 0.1


class FaceOrientation:
    """Finds the turn of photos by CenterFace; any thread may call it.

    weights: the weights folder.
    """

    def __init__(self, weights: Path) -> None:
        self._detect = CenterFace(weights, longest_side_px=LONGEST_SIDE_PX, threshold=CLOSER_ABOVE)
        self._detect_closer = self._detect.closer(longest_side_px=CLOSER_SIDE_PX)

    def __call__(self, picture: Srgb8, found: Sequence[Face]) -> int | None:
        """Return the counter-clockwise quarter turns of a picture; None when no face decides.

        picture: (H, W, 3) uint8 sRGB; found: its faces without a turn.  The single best face
        decides, not the number of faces.
        """
        if best_upright_score(found) >= UPRIGHT_ABOVE:
            return 0
        turned = [np.ascontiguousarray(np.rot90(picture, turns)) for turns in (1, 2, 3)]
        scores = [best_upright_score(faces) for faces in self._detect(turned)]
        best = int(np.argmax(scores))
        if scores[best] < CLOSER_ABOVE:
            return 0 if best_upright_score(found) >= CLOSER_ABOVE else None
        upright, other = (
            best_upright_score(faces) for faces in self._detect_closer([picture, turned[best]])
        )
        if other >= SURE_ABOVE and other >= upright + MIN_LEAD:
            return best + 1
        return 0 if max(upright, best_upright_score(found)) >= CLOSER_ABOVE else None


def best_upright_score(faces: Sequence[Face]) -> float:
    """Return the highest score, 0..1, of a single face, lowered the more it lies on its side.

    The detector scores lying faces almost as high, but their landmarks show that they lie.
    """
    return max((face.score * max(0.0, _uprightness(face)) for face in faces), default=0.0)


def _uprightness(face: Face) -> float:
    """Return the cosine of the angle between "down" and the line from the eyes to the mouth."""
    right_eye, left_eye, _, right_mouth, left_mouth = face.landmarks
    right = right_mouth[0] + left_mouth[0] - right_eye[0] - left_eye[0]
    down = right_mouth[1] + left_mouth[1] - right_eye[1] - left_eye[1]
    return down / max(math.hypot(right, down), 1e-6)
