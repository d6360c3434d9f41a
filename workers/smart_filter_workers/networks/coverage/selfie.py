"""Both selfie networks: their coverage of people in each pixel of a picture, by LiteRT.

Source: the model card "MediaPipe Selfie Segmentation" (Google, 2021); the network files ship with
the package mediapipe.
"""

from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_workers.networks.runtimes.litert import LiteRtNetwork
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Floats, Srgb8

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
        general = read_small_coverage(self._general, srgb, GENERAL_SIZE_PX)
        landscape = read_small_coverage(self._landscape, srgb, LANDSCAPE_SIZE_PX)
        width, height = GENERAL_SIZE_PX
        both = (general + resize(landscape, width=width, height=height)) * np.float32(0.5)
        return resize(both, width=srgb.shape[1], height=srgb.shape[0])


def read_small_coverage(network: LiteRtNetwork, srgb: Srgb8, size: tuple[int, int]) -> Floats:
    """Return the (h, w) float32 coverage, 0..1, of a network with one output.

    srgb: (H, W, 3) uint8; size: width and height of the network's input, and of the coverage.
    """
    picture = resize(srgb, width=size[0], height=size[1])
    (coverage,) = network(np.divide(picture[np.newaxis], 255, dtype=np.float32)).values()
    return coverage[0, :, :, 0]
