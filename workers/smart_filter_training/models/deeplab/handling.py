"""How the product's `onnx` model uses a DeepLab, which its training goes by too."""

from smart_filter_training.models.deeplab.network import MEAN, PERSON, STD
from smart_filter_workers.networks.handling import Activation, Handling, Task


def handling(side_px: int) -> Handling:
    """Return how the product uses a network with an input of so many pixels."""
    return Handling(
        width=side_px,
        height=side_px,
        mean=MEAN,
        std=STD,
        channel=PERSON,
        activation=Activation.SOFTMAX,
        task=Task.SEGMENTATION,
    )
