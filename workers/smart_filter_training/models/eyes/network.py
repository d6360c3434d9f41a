"""The network that tells open eyes from closed ones: a small residual one, on grey patches."""

from typing import Any, Final

import keras

from smart_filter_workers.networks.eye_patches import INPUT, SIZE_PX

Tensor = Any  # keras ships no types

# Channels at 32, 16, 8 and 4 pixels; 219,000 parameters.
WIDTHS: Final = (16, 32, 64, 96)


def build(*, dropout: float) -> keras.Model:
    """Return the network, untrained: (N, SIZE_PX, SIZE_PX, 1) in 0..1 to (N, 1), how open.

    It brings each patch to mean 0 and spread 1 itself, so that light and exposure count little.
    Source: He et al. 2016, "Deep residual learning for image recognition"; what goes around a
    block is averaged as in He, T. et al. 2019, "Bag of tricks for image classification", model D.
    """
    patch = keras.Input((SIZE_PX, SIZE_PX, 1), name=INPUT)
    values = keras.layers.LayerNormalization(
        axis=[1, 2, 3], center=False, scale=False, epsilon=1e-3, dtype="float32"
    )(patch)
    values = keras.layers.ReLU()(_convolved(values, WIDTHS[0]))
    for width in WIDTHS[1:]:
        values = _halved(values, width)
    values = keras.layers.Dropout(dropout)(keras.layers.GlobalAveragePooling2D()(values))
    # Not in half precision: the loss takes the logarithm of what is nearly 0 or 1.
    is_open = keras.layers.Dense(1, activation="sigmoid", dtype="float32")(values)
    return keras.Model(patch, is_open, name="eyes")


def _halved(values: Tensor, width: int) -> Tensor:
    """Add a residual block that halves rows and columns."""
    around = _convolved(keras.layers.AveragePooling2D(2)(values), width, kernel=1)
    through = keras.layers.ReLU()(_convolved(values, width, strides=2))
    through = _convolved(through, width)
    return keras.layers.ReLU()(keras.layers.Add()([around, through]))


def _convolved(values: Tensor, width: int, *, kernel: int = 3, strides: int = 1) -> Tensor:
    convolution = keras.layers.Conv2D(
        width, kernel, strides=strides, padding="same", use_bias=False
    )
    return keras.layers.BatchNormalization(momentum=0.95)(convolution(values))
