"""BlazeFace, full range: box, score and landmarks of each face in a picture, by LiteRT.

Source: Bazarevsky, Kartynnik, Vakunov, Raveendran & Grundmann 2019, "BlazeFace: sub-millisecond
neural face detection on mobile GPUs". The network file, and the constants for reading its outputs
(face_detection_full_range.pbtxt), ship with the package mediapipe.
"""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_shared.results import Face
from smart_filter_workers.networks.coordinates import box_iou
from smart_filter_workers.networks.faces.face_mesh import MESH_WEIGHTS, FaceMesh, read_landmarks
from smart_filter_workers.networks.runtimes import network_input
from smart_filter_workers.networks.runtimes.litert import LiteRtNetwork
from smart_filter_workers.networks.runtimes.network_input import mediapipe_detector, sigmoid
from smart_filter_workers.resampling import shrink
from smart_filter_workers.results import Srgb8

Floats = NDArray[np.floating]

SOURCE: Final = "mediapipe 0.10.21, modules/face_detection; Bazarevsky et al. 2019, BlazeFace"
WEIGHTS: Final = (
    WeightsFile(
        "face_detection_full_range_sparse.tflite",
        "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
    ),
    MESH_WEIGHTS,
)
SIZE_PX: Final = 192
HANDLING: Final = mediapipe_detector(SIZE_PX)
# Least score of a face, and least presence of its mesh, which tells faces from what looks like one.
# Source: the same file, and face_landmark_cpu.pbtxt.
THRESHOLD: Final = 0.6
LEAST_PRESENCE: Final = 0.5
# The network has one anchor in the middle of each cell of 4 × 4 pixels.
CELLS: Final = 48
# The network's two outputs by name: box and six points of each anchor, and its score.
BOXES, SCORES = "Identity", "Identity_1"
# Two boxes that overlap more than this (IoU) are one face. Source: the same file.
SAME_FACE_IOU: Final = 0.3
# Tiles overlap by a third of their side, so that a face up to that size is whole in one of them.
# Larger faces are found in the whole picture.
STRIDE_PX: Final = 128
# The box of a face that the edge of a tile cuts ends within this many pixels of the edge.
CUT_PX: Final = 2.0


class BlazeFace:
    """A face detector, callable from any thread; the face mesh confirms each face.

    weights: the weights folder; longest_side_px: tiles are cut from the picture at this size;
    threshold: faces with a lower score, 0..1, are left out.
    """

    def __init__(self, weights: Path, *, longest_side_px: int, threshold: float) -> None:
        self._network = LiteRtNetwork(weights / WEIGHTS[0].name)
        self._mesh = FaceMesh(weights)
        self._longest_side_px = longest_side_px
        self._threshold = threshold

    def closer(self, *, longest_side_px: int) -> "BlazeFace":
        """Return a detector for another picture size that shares this one's network."""
        other = copy(self)
        other._longest_side_px = longest_side_px  # noqa: SLF001 - it is one of its own
        return other

    def __call__(self, pictures: Sequence[Srgb8]) -> list[tuple[Face, ...]]:
        """Return the faces in each picture, best score first, in its pixels.

        pictures: (H, W, 3) uint8 sRGB each, of any sizes.
        """
        return [tuple(self._find(picture)) for picture in pictures]

    def _find(self, picture: Srgb8) -> Iterator[Face]:
        height, width = picture.shape[:2]
        looks = [self._look(shrink(picture, longest_side=SIZE_PX)).stretched(width, height)]
        large = shrink(picture, longest_side=self._longest_side_px)
        if max(large.shape) > SIZE_PX:
            looks += [look.stretched(width, height) for look in self._look_at_tiles(large)]
        scores = np.concatenate([look.scores for look in looks])
        places = np.concatenate([look.places for look in looks])
        order = np.argsort(-scores, kind="stable")
        scores, places = scores[order], places[order]
        boxes = places[:, :2].clip(0, (width, height)).reshape(-1, 4).astype(np.float32)
        left_over = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
        while len(left_over):
            best, rest = left_over[0], left_over[1:]
            face = _to_face(float(scores[best]), boxes[best], places[best, 2:])
            mesh = self._mesh(picture, face)
            if mesh.presence >= LEAST_PRESENCE:
                yield replace(face, landmarks=read_landmarks(mesh))
            left_over = rest[box_iou(boxes[best], boxes[rest]) <= SAME_FACE_IOU]

    def _look_at_tiles(self, large: Srgb8) -> Iterator["_Detections"]:
        rows, columns = large.shape[:2]
        for top in _starts(rows):
            for left in _starts(columns):
                tile = large[top : top + SIZE_PX, left : left + SIZE_PX]
                look = self._look(tile)
                start, end = (left, top), (left + tile.shape[1], top + tile.shape[0])
                yield look.uncut(start, end, (columns, rows))

    def _look(self, small: Srgb8) -> "_Detections":
        """Return the likely faces in a picture that fits the network's input."""
        placed = network_input.prepare(small, HANDLING)
        outputs = self._network(placed.values)
        scores = sigmoid(outputs[SCORES][0, :, 0])
        likely = np.flatnonzero(scores >= self._threshold)
        values = outputs[BOXES][0, likely]
        anchors = (np.stack([likely % CELLS, likely // CELLS], axis=1) + 0.5) * (SIZE_PX / CELLS)
        center, half = values[:, :2], values[:, 2:4] / 2
        points = values[:, 4:12].reshape(-1, 4, 2)
        corners = np.stack([center - half, center + half], axis=1)
        places = np.concatenate([corners, points], axis=1) + anchors[:, np.newaxis]
        rows, columns = small.shape[:2]
        per_pixel = np.array([columns / placed.width, rows / placed.height])
        places = (places - (placed.left, placed.top)) * per_pixel
        return _Detections(scores[likely], places, (columns, rows))


@dataclass(frozen=True, slots=True)
class _Detections:
    """N likely faces in a picture.

    scores: (N,), 0..1; places: (N, 6, 2), x and y in pixels of top left and bottom right corner,
    right eye, left eye, nose and mouth; size: width and height of the picture.
    """

    scores: Floats
    places: Floats
    size: tuple[int, int]

    def stretched(self, width: int, height: int) -> "_Detections":
        """Return them in pixels of the same picture at another size."""
        factors = np.array([width / self.size[0], height / self.size[1]])
        return _Detections(self.scores, self.places * factors, (width, height))

    def uncut(
        self, start: tuple[int, int], end: tuple[int, int], size: tuple[int, int]
    ) -> "_Detections":
        """Return those in a tile that its edges do not cut, in pixels of the whole picture.

        start, end: corners of the tile; size: of the whole picture.
        """
        places = self.places + start
        is_cut = (places[:, 0] < np.add(start, CUT_PX)) & (np.array(start) > 0)
        is_cut |= (places[:, 1] > np.subtract(end, CUT_PX)) & (np.array(end) < size)
        whole = ~is_cut.any(axis=1)
        return _Detections(self.scores[whole], places[whole], size)


def _starts(side: int) -> Iterator[int]:
    """Yield where tiles start along a side; the last one ends with it."""
    last = max(0, side - SIZE_PX)
    yield from range(0, last, STRIDE_PX)
    yield last


def _to_face(score: float, box: Floats, points: Floats) -> Face:
    """Return a face from its box within the picture and its points: eyes, nose, mouth.

    The network marks the mouth by one point, which stands here for both corners.
    """
    right_eye, left_eye, nose, mouth = ((float(x), float(y)) for x, y in points)
    left, top, right, bottom = (float(value) for value in box)
    return Face(
        box=(left, top, right - left, bottom - top),
        score=min(1.0, score),
        landmarks=(right_eye, left_eye, nose, mouth, mouth),
    )
