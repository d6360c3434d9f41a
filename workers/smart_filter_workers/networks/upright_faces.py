"""Upright faces: by how many quarters a photo must be turned for its surest face to stand."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_workers.networks.centerface import CenterFace
from smart_filter_workers.results import Face, Srgb8

LONGEST_SIDE_PX: Final = 320
CLOSER_SIDE_PX: Final = 640
# Who stands upright so surely does so: the other turns are not even looked at.
UPRIGHT_ABOVE: Final = 0.75
# What is worth a closer look, and how sure that must be, of itself and before upright. Of 80
# upright faces in training photos that are small or dim, 77 are above when seen closer, and of
# 22 things that were taken for turned faces two are.
CLOSER_ABOVE: Final = 0.3
SURE_ABOVE: Final = 0.6
AHEAD_BY: Final = 0.1


class UprightFaces:
    """Turns photos by CenterFace; any thread may call it.

    weights: the weights folder.
    """

    def __init__(self, weights: Path) -> None:
        self._detect = CenterFace(weights, longest_side_px=LONGEST_SIDE_PX, threshold=CLOSER_ABOVE)
        self._detect_closer = self._detect.closer(longest_side_px=CLOSER_SIDE_PX)

    def __call__(self, picture: Srgb8, found: Sequence[Face]) -> int | None:
        """Return by how many quarters, counter-clockwise, to turn a picture; None: no face tells.

        picture: (H, W, 3) uint8 sRGB; found: its faces as it stands.  The single best face
        decides, not how many there are.
        """
        if surest(found) >= UPRIGHT_ABOVE:
            return 0
        turned = [np.ascontiguousarray(np.rot90(picture, turns)) for turns in (1, 2, 3)]
        scores = [surest(faces) for faces in self._detect(turned)]
        best = int(np.argmax(scores))
        if scores[best] < CLOSER_ABOVE:
            return 0 if surest(found) >= CLOSER_ABOVE else None
        upright, other = (surest(faces) for faces in self._detect_closer([picture, turned[best]]))
        if other >= SURE_ABOVE and other >= upright + AHEAD_BY:
            return best + 1
        return 0 if max(upright, surest(found)) >= CLOSER_ABOVE else None


def surest(faces: Sequence[Face]) -> float:
    """Return the highest score, 0..1, of a single face, less the more it lies on its side.

    The detector is nearly as sure of faces that lie on their side, and says by their
    landmarks that they do.
    """
    return max((face.score * max(0.0, _uprightness(face)) for face in faces), default=0.0)


def _uprightness(face: Face) -> float:
    """Return the cosine of the angle between "down" and the way from the eyes to the mouth."""
    right_eye, left_eye, _, right_mouth, left_mouth = face.landmarks
    right = right_mouth[0] + left_mouth[0] - right_eye[0] - left_eye[0]
    down = right_mouth[1] + left_mouth[1] - right_eye[1] - left_eye[1]
    return down / max(math.hypot(right, down), 1e-6)
