"""MoveNet multi-pose: the boxes of whole persons in a picture, by ONNX Runtime.

The file has only the outputs of the persons' centers and boxes, and weights of eight bits.

Source: Google 2021, "MoveNet.MultiPose model card"; the network is a CenterNet (Zhou, Wang &
Krähenbühl 2019, "Objects as points", section 4) without the key points.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_workers.networks.boxes import Box
from smart_filter_workers.networks.runtimes.onnx_session import OnnxNetwork
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Srgb8
from smart_filter_workers.weights import files

Floats = NDArray[np.float32]

WEIGHTS: Final = WeightsFile(
    "movenet.onnx", "35a37000656f80739ba9836849c2aad380712ecf66f5f082854a0cc549dd9996"
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
