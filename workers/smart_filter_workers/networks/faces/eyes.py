"""Eyes: their contours, and patches that tell whether they are open.

Source: Ablavatski et al. 2020, "Real-time pupil tracking from monocular video"; the network
file ships with the package mediapipe.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_workers.networks.coordinates import Square
from smart_filter_workers.networks.faces.face_mesh import Mesh, square_around_eye
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.networks.runtimes.litert import LiteRtNetwork
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8

WEIGHTS: Final = WeightsFile(
    "iris_landmark.tflite", "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f"
)
SIZE_PX: Final = 64
# Side of the network's input squares, in widths of the eye, as in its training.
MARGIN: Final = 2.3
CONTOUR_POINTS: Final = 71
IRIS_POINTS: Final = 5
LID_POINTS: Final = 16
# Indices of the same points in a mirror image: lids from the other corner, iris from the other
# side.
MIRRORED_LIDS: Final = (*range(8, -1, -1), *range(15, 8, -1))
MIRRORED_IRIS: Final = (0, 3, 2, 1, 4)

PATCH_WEIGHTS: Final = WeightsFile(
    "eyes.onnx", "6504179215293fe7ee97e29881423aa3826288a9ffa4e5b8d05fbe249644baf6"
)
PATCH_PX: Final = 32
# Side of a patch in lengths of the eye: in the crops of CEW, most of the network's training set,
# the eye fills a little over half.
PATCH_MARGIN: Final = 1 / 0.58
INPUT_NAME: Final = "patch"
# Key in the file's metadata of the cuts, as JSON.
THRESHOLDS_KEY: Final = "cuts"


@dataclass(frozen=True, slots=True)
class EyeContour:
    """The shape of one eye.

    lids: (16, 2) float32, pixels of the picture: 0 to 8 the lower lid from corner to corner,
    9 to 15 the upper one between the same corners.
    iris: (5, 2) float32, pixels of the picture: its center, then one side, the top, the other side,
    the bottom.
    """

    lids: Floats
    iris: Floats


class EyeContourNetwork:
    """Draws lids and iris in more detail than the mesh; any thread may call it."""

    def __init__(self, weights: Path) -> None:
        self._network = LiteRtNetwork(weights / WEIGHTS.name)

    def __call__(
        self, picture: Srgb8, mesh: Mesh, eye: tuple[int, int]
    ) -> tuple[EyeContour, EyeContour]:
        """Return the contours of the eye, and of its mirror image.

        picture: (H, W, 3) uint8 sRGB; eye: RIGHT_EYE or LEFT_EYE.  The network was trained on eyes
        of one side. Where it is sure both contours agree, and their mean is better than either.
        """
        square = square_around_eye(mesh.points, eye, side=MARGIN)
        cut = square.cut(picture, SIZE_PX)
        plain, other = self._draw(cut), _unmirror(self._draw(cut[:, ::-1]))
        return _to_picture(plain, square), _to_picture(other, square)

    def _draw(self, cut: Floats) -> EyeContour:
        outputs = self._network(np.ascontiguousarray(cut)[np.newaxis])
        contour = outputs["output_eyes_contours_and_brows"].reshape(CONTOUR_POINTS, 3)
        iris = outputs["output_iris"].reshape(IRIS_POINTS, 3)
        return EyeContour(lids=contour[:LID_POINTS, :2], iris=iris[:, :2])


def _unmirror(eye: EyeContour) -> EyeContour:
    """Return the contour of a mirror image, mirrored back, with its points in the usual order."""
    flip, width = np.array([-1, 1], np.float32), np.array([SIZE_PX, 0], np.float32)
    return EyeContour(
        lids=eye.lids[list(MIRRORED_LIDS)] * flip + width,
        iris=eye.iris[list(MIRRORED_IRIS)] * flip + width,
    )


def _to_picture(eye: EyeContour, square: Square) -> EyeContour:
    return EyeContour(
        lids=square.to_picture(eye.lids, SIZE_PX), iris=square.to_picture(eye.iris, SIZE_PX)
    )


@dataclass(frozen=True, slots=True)
class EyeThresholds:
    """Scores below and above which an eye counts as shut and open; in between it is unknown."""

    shut_below: float
    open_above: float

    def judge(self, openness: float) -> bool | None:
        """Return whether an eye is open; None where that is uncertain."""
        if openness > self.open_above:
            return True
        return False if openness < self.shut_below else None


class EyePatchNetwork:
    """The network, by ONNX Runtime; any thread may call it.

    content: the file's bytes, whose digest was checked.  Raises SetupFailed when it does not load,
    or has no cuts.
    """

    def __init__(self, content: bytes) -> None:
        self._session, self.cuts = onnx_network.open_trained(
            content, THRESHOLDS_KEY, _read_cuts, what="an eye patch network"
        )

    def __call__(self, patches: Floats) -> Floats:
        """Return how open each eye looks, (N,) float32 in 0..1, all in one pass.

        patches: (N, SIZE_PX, SIZE_PX) float32, from `crop_eye`; N at least 1.  The result is the
        mean over patches and their mirror images, because eyes come from both sides.
        """
        both = np.concatenate([patches, patches[:, :, ::-1]])[..., np.newaxis]
        (scores,) = self._session.run(None, {INPUT_NAME: np.ascontiguousarray(both)})
        return np.asarray(scores.reshape(2, -1).mean(axis=0), dtype=np.float32)


def crop_eye(picture: Srgb8, square: Square) -> Floats:
    """Return the square around an eye as a crop: (SIZE_PX, SIZE_PX) float32 gray (luma) in 0..1.

    picture: (H, W, 3) uint8 sRGB.
    """
    part, there = square.near(picture)
    gray = cv2.cvtColor(there.cut(part, PATCH_PX), cv2.COLOR_RGB2GRAY)
    return np.asarray(gray, dtype=np.float32)


def _read_cuts(cuts: Mapping[str, float]) -> EyeThresholds:
    return EyeThresholds(float(cuts["shut_below"]), float(cuts["open_above"]))
