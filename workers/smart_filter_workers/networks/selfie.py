"""Both selfie networks: how sure they are of people in each pixel of a picture, by LiteRT.

Source: the model card "MediaPipe Selfie Segmentation" (Google, 2021); the network files are
those that the package mediapipe ships.
"""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.cards import WeightsFile
from smart_filter_workers.networks.litert import LiteRtNetwork
from smart_filter_workers.results import Srgb8

Floats = NDArray[np.float32]

GENERAL: Final = WeightsFile(
    "selfie_general.tflite", "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c"
)
LANDSCAPE: Final = WeightsFile(
    "selfie_landscape.tflite", "a77d03f4659b9f6b6c1f5106947bf40e99d7655094b6527f214ea7d451106edd"
)
GENERAL_SIZE_PX: Final = (256, 256)
LANDSCAPE_SIZE_PX: Final = (256, 144)


class SelfieNetworks:
    """Sees people in a picture of any size; any thread may call it."""

    def __init__(self, weights: Path) -> None:
        self._general = LiteRtNetwork(weights / GENERAL.name)
        self._landscape = LiteRtNetwork(weights / LANDSCAPE.name)

    def __call__(self, srgb: Srgb8) -> Floats:
        """Return the (H, W) float32 coverage, 0..1, that both networks see on average.

        srgb: (H, W, 3) uint8.
        """
        general = _ask(self._general, srgb, GENERAL_SIZE_PX)
        landscape = _ask(self._landscape, srgb, LANDSCAPE_SIZE_PX)
        both = (general + _resized(landscape, GENERAL_SIZE_PX)) * np.float32(0.5)
        return _resized(both, (srgb.shape[1], srgb.shape[0]))


def _ask(network: LiteRtNetwork, srgb: Srgb8, size: tuple[int, int]) -> Floats:
    (coverage,) = network(_resized(srgb, size)[np.newaxis] / np.float32(255)).values()
    return coverage[0, :, :, 0]


def _resized(picture: Srgb8 | Floats, size: tuple[int, int]) -> Floats:
    """Return the picture stretched to width and height `size`, by area where it shrinks."""
    shrinks = picture.shape[1] >= size[0] and picture.shape[0] >= size[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=how), dtype=np.float32)
