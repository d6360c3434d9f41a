"""Both selfie networks: their coverage of people in each pixel of a picture, by LiteRT.

Source: the model card "MediaPipe Selfie Segmentation" (Google, 2021); the network files ship with
the package mediapipe.
"""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_workers.networks.litert import LiteRtNetwork
from smart_filter_workers.results import Srgb8

Floats = NDArray[np.float32]

GENERAL_WEIGHTS: Final = WeightsFile(
    "selfie_general.tflite", "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c"
)
LANDSCAPE_WEIGHTS: Final = WeightsFile(
    "selfie_landscape.tflite", "a77d03f4659b9f6b6c1f5106947bf40e99d7655094b6527f214ea7d451106edd"
)
GENERAL_SIZE_PX: Final = (256, 256)
LANDSCAPE_SIZE_PX: Final = (256, 144)


class SelfieNetworks:
    """Segments people in a picture of any size; any thread may call it."""

    def __init__(self, weights: Path) -> None:
        self._general = LiteRtNetwork(weights / GENERAL_WEIGHTS.name)
        self._landscape = LiteRtNetwork(weights / LANDSCAPE_WEIGHTS.name)

    def __call__(self, srgb: Srgb8) -> Floats:
        """Return the mean (H, W) float32 coverage, 0..1, of both networks.

        srgb: (H, W, 3) uint8.
        """
        general = _ask(self._general, srgb, GENERAL_SIZE_PX)
        landscape = _ask(self._landscape, srgb, LANDSCAPE_SIZE_PX)
        both = (general + _resize(landscape, GENERAL_SIZE_PX)) * np.float32(0.5)
        return _resize(both, (srgb.shape[1], srgb.shape[0]))


def _ask(network: LiteRtNetwork, srgb: Srgb8, size: tuple[int, int]) -> Floats:
    (coverage,) = network(_resize(srgb, size)[np.newaxis] / np.float32(255)).values()
    return coverage[0, :, :, 0]


def _resize(picture: Srgb8 | Floats, size: tuple[int, int]) -> Floats:
    """Return the picture stretched to (width, height) `size`, by area where it shrinks."""
    shrinks = picture.shape[1] >= size[0] and picture.shape[0] >= size[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=how), dtype=np.float32)
