"""Scene orientation: which way up a photo without faces is, by a network trained here.

Face orientation: the quarter turns that make a photo's best face upright.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_shared.results import Face
from smart_filter_workers.networks.faces.blazeface import BlazeFace
from smart_filter_workers.networks.faces.centerface import CenterFace
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Bytes, Floats, Srgb8

WEIGHTS: Final = WeightsFile(
    "orientation.onnx", "ed82bd0489029ce5c0704adc127004895d603535a697a54d6215f6dc02925246"
)
SIZE_PX: Final = 64
QUARTER_TURNS: Final = 4
INPUT_NAME: Final = "scene"
# Key in the file's metadata of the cut, as JSON.
THRESHOLD_KEY: Final = "sure_above"

LONGEST_SIDE_PX: Final = 256
CLOSER_SIDE_PX: Final = 640


class SceneNetwork:
    """The network, by ONNX Runtime; any thread may call it.

    content: the file's bytes, whose digest was checked.  Raises SetupFailed when it does not load,
    or has no cut.
    """

    def __init__(self, content: bytes) -> None:
        self._session, self.sure_above = onnx_network.open_trained(
            content, THRESHOLD_KEY, float, what="a scene network"
        )

    def __call__(self, scenes: Bytes) -> Floats:
        """Return the probability of each turn to upright, (N, QUARTER_TURNS) float32, sum 1.

        scenes: (N, SIZE_PX, SIZE_PX, 3) uint8 sRGB, from `resize_scene`; turns are
        counter-clockwise quarters.
        """
        (shares,) = self._session.run(None, {INPUT_NAME: scenes.astype(np.float32)})
        return np.asarray(shares, dtype=np.float32)

    def turn(self, picture: Srgb8) -> int | None:
        """Return the counter-clockwise quarter turns of a picture; None when not sure.

        picture: (H, W, 3) uint8 sRGB.
        """
        (shares,) = self(resize_scene(picture)[np.newaxis])
        best = int(shares.argmax())
        return best if shares[best] >= self.sure_above else None


def resize_scene(picture: Srgb8) -> Bytes:
    """Return a picture stretched for the network: (SIZE_PX, SIZE_PX, 3) uint8 sRGB.

    Stretching hides whether the picture is wide or high, which would reveal how the camera was
    held.
    """
    return resize(picture, width=SIZE_PX, height=SIZE_PX)


@dataclass(frozen=True, slots=True)
class ScoreLimits:
    """Thresholds for a detector's scores of upright and turned faces.

    upright_above: a face with this score is upright for certain: skip the other turns.
    closer_above: score of a turned face that triggers a closer look.
    sure_above: its least score there.  min_lead: its least lead over the upright one.
    """

    upright_above: float
    closer_above: float
    sure_above: float
    min_lead: float


# Of 80 small or dim upright faces in training photos 77 are above `sure_above` in the closer look,
# and so are two of 22 false turned faces.
CENTERFACE_LIMITS: Final = ScoreLimits(
    upright_above=0.75, closer_above=0.3, sure_above=0.6, min_lead=0.1
)
# The least score of a face is that of MediaPipe's graph of this network, the others CenterFace's.
BLAZEFACE_LIMITS: Final = ScoreLimits(
    upright_above=0.75, closer_above=0.6, sure_above=0.6, min_lead=0.1
)


class FaceOrientation:
    """Finds the turn of photos by a face detector; any thread may call it."""

    def __init__(self, detect: CenterFace | BlazeFace, limits: ScoreLimits) -> None:
        self._detect = detect
        self._detect_closer = detect.closer(longest_side_px=CLOSER_SIDE_PX)
        self._limits = limits

    @classmethod
    def by_centerface(cls, weights: Path) -> Self:
        """Load CenterFace from the weights folder."""
        limits = CENTERFACE_LIMITS
        return cls(
            CenterFace(weights, longest_side_px=LONGEST_SIDE_PX, threshold=limits.closer_above),
            limits,
        )

    @classmethod
    def by_blazeface(cls, weights: Path) -> Self:
        """Load BlazeFace from the weights folder."""
        limits = BLAZEFACE_LIMITS
        return cls(
            BlazeFace(weights, longest_side_px=LONGEST_SIDE_PX, threshold=limits.closer_above),
            limits,
        )

    def __call__(self, picture: Srgb8, found_faces: Sequence[Face]) -> int | None:
        """Return the counter-clockwise quarter turns of a picture; None when no face decides.

        picture: (H, W, 3) uint8 sRGB; found_faces: its faces without a turn.  The single best face
        decides, not the number of faces.
        """
        if best_upright_score(found_faces) >= self._limits.upright_above:
            return 0
        turned = [np.ascontiguousarray(np.rot90(picture, turns)) for turns in (1, 2, 3)]
        scores = [best_upright_score(faces) for faces in self._detect(turned)]
        best = int(np.argmax(scores))
        if scores[best] < self._limits.closer_above:
            return 0 if best_upright_score(found_faces) >= self._limits.closer_above else None
        upright, other = (
            best_upright_score(faces) for faces in self._detect_closer([picture, turned[best]])
        )
        if other >= self._limits.sure_above and other >= upright + self._limits.min_lead:
            return best + 1
        return (
            0
            if max(upright, best_upright_score(found_faces)) >= self._limits.closer_above
            else None
        )


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
