"""Pose: find the bodies in a picture, and draw the silhouette of each, by LiteRT.

Source: Bazarevsky, Grishchenko, Raveendran, Zhu, Zhang & Grundmann 2020, "BlazePose: on-device
real-time body pose tracking". The network files, and the constants for reading their outputs
(pose_detection_cpu.pbtxt, pose_detection_to_roi.pbtxt, pose_landmarks_to_roi.pbtxt), ship with the
package mediapipe.

MoveNet multi-pose: the boxes of whole persons in a picture, by ONNX Runtime.

The file has only the outputs of the persons' centers and boxes, and weights of eight bits.

Source: Google 2021, "MoveNet.MultiPose model card"; the network is a CenterNet (Zhou, Wang &
Krähenbühl 2019, "Objects as points", section 4) without the key points.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_workers.networks.coordinates import Box, Square, box_iou
from smart_filter_workers.networks.runtimes import network_input
from smart_filter_workers.networks.runtimes.litert import LiteRtNetwork
from smart_filter_workers.networks.runtimes.network_input import mediapipe_detector, sigmoid
from smart_filter_workers.networks.runtimes.onnx_network import OnnxNetwork
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Floats, Srgb8
from smart_filter_workers.weights import files

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

WEIGHTS: Final = WeightsFile(
    "movenet.onnx", "d759933abe35d9234f80327f0a4d86da217f275ba25a87e12a4242a8b0144759"
)
DATA_TERMS: Final = (
    "COCO 2017 key points (labels CC BY 4.0, photos under Flickr's terms) and a data set of"
    " Google's own, not published; Google releases the weights under Apache-2.0"
)
# Both sides of the input are multiples of this; a longer picture is squeezed.
SIDE_MULTIPLE_PX: Final = 32
# A center has the highest score among the cells within this distance.
# Source: the MaxPool of 5 × 5 cells in the original graph.
PEAK_RADIUS: Final = 2


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


@dataclass(frozen=True, slots=True)
class PersonBox:
    """A person: the score, 0..1, and the box in the picture's pixels."""

    score: float
    box: Box


class MoveNet:
    """Finds persons; any thread may call it.

    weights: the weights folder.  longest_side_px: of the network's input.  threshold: the least
    score.  Raises SetupFailed when the file is missing or does not load.
    """

    def __init__(self, weights: Path, *, longest_side_px: int, threshold: float) -> None:
        self._network = OnnxNetwork(files.read_verified(weights, WEIGHTS))
        self._longest_side_px = longest_side_px
        self._threshold = threshold

    def __call__(self, picture: Srgb8) -> list[PersonBox]:
        """Return the persons of a picture, the highest score first.

        picture: (H, W, 3) uint8 sRGB.
        """
        height, width = picture.shape[:2]
        scale = self._longest_side_px / max(height, width)
        seen = resize(picture, width=_side(width * scale), height=_side(height * scale))
        centers, sizes, offsets = self._network(seen[np.newaxis].astype(np.float32))
        boxes = decode_boxes(centers[0, :, :, 0], sizes[0], offsets[0], threshold=self._threshold)
        return [
            PersonBox(score, (left * width, top * height, right * width, bottom * height))
            for score, (left, top, right, bottom) in boxes
        ]


def decode_boxes(
    centers: Floats, sizes: Floats, offsets: Floats, *, threshold: float
) -> list[tuple[float, Box]]:
    """Return the score and box, in shares of the picture, of each center, highest score first.

    centers: (h, w) float32, 0..1; sizes, offsets: (h, w, 2) float32 in cells, rows first.
    """
    side = 2 * PEAK_RADIUS + 1
    highest = cv2.dilate(centers, np.ones((side, side), np.uint8))
    rows, columns = np.nonzero((centers >= highest) & (centers > threshold))
    boxes = []
    for row, column in zip(rows, columns, strict=True):
        x, y = column + offsets[row, column, 1], row + offsets[row, column, 0]
        half_y, half_x = np.maximum(sizes[row, column], 1) / 2
        edges = np.array([x - half_x, y - half_y, x + half_x, y + half_y])
        edges /= np.tile(centers.shape[::-1], 2)
        left, top, right, bottom = (float(edge) for edge in edges.clip(0, 1))
        boxes.append((float(centers[row, column]), (left, top, right, bottom)))
    return sorted(boxes, reverse=True)


def _side(length_px: float) -> int:
    return max(1, round(length_px / SIDE_MULTIPLE_PX)) * SIDE_MULTIPLE_PX
