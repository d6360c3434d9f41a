"""Pose: find the bodies in a picture, and draw the silhouette of each, by LiteRT.

Source: Bazarevsky, Grishchenko, Raveendran, Zhu, Zhang & Grundmann 2020, "BlazePose: on-device
real-time body pose tracking". The network files, and the constants for reading their outputs
(pose_detection_cpu.pbtxt, pose_detection_to_roi.pbtxt, pose_landmarks_to_roi.pbtxt), ship with the
package mediapipe.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_workers.networks.boxes import Box, box_iou
from smart_filter_workers.networks.runtimes import network_input
from smart_filter_workers.networks.runtimes.handling import mediapipe_detector
from smart_filter_workers.networks.runtimes.litert import LiteRtNetwork
from smart_filter_workers.networks.runtimes.network_input import sigmoid
from smart_filter_workers.networks.squares import Square
from smart_filter_workers.results import Floats, Srgb8

DETECTION_WEIGHTS: Final = WeightsFile(
    "pose_detection.tflite", "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c"
)
SILHOUETTE_WEIGHTS: Final = WeightsFile(
    "pose_landmark_full.tflite", "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f"
)
DETECTION_SIZE_PX: Final = 224
DETECTION_HANDLING: Final = mediapipe_detector(DETECTION_SIZE_PX)
# Cells along a side of each of the detector's grids, and anchors in each cell.
ANCHOR_GRIDS: Final = ((28, 2), (14, 2), (7, 6))
# Two heads that overlap more than this (IoU) are one body, averaged by score.
SAME_BODY_IOU: Final = 0.3
SILHOUETTE_SIZE_PX: Final = 256
# Values of a point after x and y: depth, and logits that it is visible, and inside the square.
_VISIBLE: Final = 3
# Indices of the points that locate a body: the middle of its hips, and one on the circle around it.
MIDDLE_OF_HIPS, ON_CIRCLE = 33, 34
# Side of the network's input square, in diameters of that circle, as in its training.
BODY_MARGIN: Final = 1.25


@dataclass(frozen=True, slots=True)
class Body:
    """A body proposed by the detector, in pixels of the picture.

    score: 0..1; head: the box of its head; square: contains the whole body, turned with it.
    """

    score: float
    head: Box
    square: Square


@dataclass(frozen=True, slots=True)
class BodyPoints:
    """The 33 points of a body, in the order of the network.

    at: (33, 2) float32, x and y in pixels of the picture, also outside of it; visible: (33,)
    float32, 0..1, the network's belief that nothing hides a point.
    Source: Bazarevsky et al. 2020, figure 3: 11 and 12 are the shoulders, 23 and 24 the hips, 25
    and 26 the knees, 27 and 28 the ankles; the left one first.
    """

    at: Floats
    visible: Floats


@dataclass(frozen=True, slots=True)
class Silhouette:
    """The network's output for one body in a square.

    coverage: (256, 256) float32, 0..1, of the square's crop; presence: how sure the network is,
    0..1, that the square shows a person; square: the square for a closer look, by the points that
    it found; points: these.
    """

    coverage: Floats
    presence: float
    square: Square
    points: BodyPoints


class PoseDetector:
    """Finds bodies in a picture; any thread may call it.

    threshold: bodies with a lower score, 0..1, are left out.
    """

    def __init__(self, weights: Path, *, threshold: float) -> None:
        self._network = LiteRtNetwork(weights / DETECTION_WEIGHTS.name)
        self._anchors = _anchors()
        self._threshold = threshold

    def __call__(self, picture: Srgb8) -> list[Body]:
        """Return the bodies in a picture, (H, W, 3) uint8 sRGB; best score first."""
        height, width = picture.shape[:2]
        placed = network_input.prepare(picture, DETECTION_HANDLING)
        outputs = self._network(placed.values)
        scores = sigmoid(outputs["Identity_1"][0, :, 0])
        likely = np.flatnonzero(scores > self._threshold)
        likely = likely[np.argsort(-scores[likely], kind="stable")]
        values, anchors = outputs["Identity"][0, likely], self._anchors[likely]
        # Center and four key points are x and y from the anchor; the box's size is absolute.
        centers, sizes = values[:, :2] + anchors, values[:, 2:4]
        points = values[:, 4:8].reshape(-1, 2, 2) + anchors[:, np.newaxis]
        corner = np.array([placed.left, placed.top], np.float32)
        per_input = np.array([width / placed.width, height / placed.height], np.float32)
        starts, ends = centers - sizes / 2, centers + sizes / 2
        heads = np.concatenate([(starts - corner) * per_input, (ends - corner) * per_input], axis=1)
        return _merge_overlapping(scores[likely], heads, (points - corner) * per_input)


class SilhouetteNetwork:
    """Draws the silhouette of the body in a square; any thread may call it."""

    def __init__(self, weights: Path) -> None:
        self._network = LiteRtNetwork(weights / SILHOUETTE_WEIGHTS.name)

    def __call__(self, picture: Srgb8, square: Square) -> Silhouette:
        """Return the silhouette in a square of a picture, (H, W, 3) uint8 sRGB."""
        cut = square.cut(picture, SILHOUETTE_SIZE_PX, black_beyond=True)
        outputs = self._network(cut[np.newaxis])
        points = outputs["Identity"].reshape(39, 5)
        at = square.to_picture(points[:, :2], SILHOUETTE_SIZE_PX)
        visible = sigmoid(points[:MIDDLE_OF_HIPS, _VISIBLE])
        return Silhouette(
            coverage=sigmoid(outputs["Identity_2"][0, :, :, 0]),
            presence=float(outputs["Identity_1"][0, 0]),
            square=_square_around(at[MIDDLE_OF_HIPS], at[ON_CIRCLE]),
            points=BodyPoints(at[:MIDDLE_OF_HIPS], visible),
        )


def _anchors() -> Floats:
    """Return (2254, 2) float32: the x and y of each anchor in pixels of the input."""
    grids = []
    for cells, on_each in ANCHOR_GRIDS:
        rows, columns = np.mgrid[0:cells, 0:cells]
        centers = (np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5) / cells
        grids.append(np.repeat(centers, on_each, axis=0))
    return (np.concatenate(grids) * DETECTION_SIZE_PX).astype(np.float32)


def _merge_overlapping(scores: Floats, heads: Floats, points: Floats) -> list[Body]:
    """Return each body once: the mean, by score, of the detections that overlap the best one.

    scores: (N,), best first; heads: (N, 4); points: (N, 2, 2).
    Source: Bazarevsky et al. 2019, "BlazeFace", section 3.4 (blending).
    """
    bodies: list[Body] = []
    while len(scores):
        alike = box_iou(heads[0], heads) > SAME_BODY_IOU
        alike[0] = True  # also if its box is empty
        weights = scores[alike] / scores[alike].sum()
        left, top, right, bottom = (float(value) for value in weights @ heads[alike])
        hips, on_circle = np.tensordot(weights, points[alike], axes=1)
        square = _square_around(hips, on_circle)
        bodies.append(Body(float(scores[0]), (left, top, right, bottom), square))
        scores, heads, points = scores[~alike], heads[~alike], points[~alike]
    return bodies


def _square_around(hips: Floats, on_circle: Floats) -> Square:
    """Return the square around a body, turned so that the head is at its top."""
    across, down = float(on_circle[0] - hips[0]), float(on_circle[1] - hips[1])
    return Square(
        center=(float(hips[0]), float(hips[1])),
        side=max(1.0, 2 * BODY_MARGIN * math.hypot(across, down)),
        angle=math.pi / 2 + math.atan2(down, across),
    )
