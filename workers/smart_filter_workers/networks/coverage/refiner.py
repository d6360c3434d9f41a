"""Matte refiner: correct a matte of people by looking at the picture, by a network trained here."""

from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_workers.networks.coverage.modnet import FORM
from smart_filter_workers.networks.runtimes.network_input import sigmoid
from smart_filter_workers.networks.runtimes.onnx_network import OnnxNetwork
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.weights import files

WEIGHTS: Final = WeightsFile(
    "refiner.onnx", "63e550c81336c1486742cbbea3c0ba0f01f945921586272ad9cfc35ec13857ea"
)
DATA_TERMS: Final = "MODNet's; five sets of photos with masks, mostly without stated terms"
# It was trained at 224 to 288. At 288 a default job costs less than 1.6 times as much as without.
SIDE_PX: Final = 288


class MatteRefiner:
    """The network, callable from any thread."""

    def __init__(self, weights: Path) -> None:
        """Load the network from the weights folder.

        Raises SetupFailed when the file is missing or does not load.
        """
        content = files.read_verified(weights, WEIGHTS)
        # Pages of 10 MB and more, given back and faulted in again, are an eighth of its time.
        self._network = OnnxNetwork(content, keeps_memory=True)

    def __call__(self, srgb: Srgb8, matte: Matte8) -> Matte8:
        """Return the corrected matte of a picture, (H, W) uint8.

        srgb: (H, W, 3) uint8; matte: (H, W) uint8.
        """
        height, width = matte.shape
        across, down = FORM.input_size(width, height, SIDE_PX)
        picture = FORM.scale_values(resize(srgb, width=across, height=down)[np.newaxis])
        people = resize(matte, width=across, height=down)[np.newaxis, np.newaxis] / np.float32(255)
        (logits,) = self._network(np.concatenate([picture, people], axis=1))[0][0]
        coverage = resize(sigmoid(logits), width=width, height=height)
        return np.asarray(cv2.convertScaleAbs(coverage, alpha=255), np.uint8)
