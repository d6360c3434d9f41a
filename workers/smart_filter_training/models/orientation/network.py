"""The network that says which way up a scene stands: one score of all four turns of it."""

from typing import Any, Final

import keras

from smart_filter_workers.networks.scenes import INPUT, SIZE_PX, TURNS

Tensor = Any  # keras ships no types

# Channels at 32, 16, 8 and 4 pixels; 113,000 parameters.
WIDTHS: Final = (12, 24, 48, 64)


def build(*, dropout: float) -> keras.Model:
    """Return the network, untrained: scenes to shares (N, TURNS), how likely each turn is right.

    It takes (N, SIZE_PX, SIZE_PX, 3) float32 of 0..255 RGB.  The same layers say how upright each
    turn looks, so that no turn is better known than another and each photo teaches all four.
    """
    scene = keras.Input((SIZE_PX, SIZE_PX, 3), name=INPUT)
    upright = _uprightness(keras.layers.Concatenate(axis=0)(_turned(scene)), dropout)
    by_turn = keras.ops.transpose(keras.ops.reshape(upright, (TURNS, -1)))
    return keras.Model(scene, keras.layers.Softmax(dtype="float32")(by_turn), name="orientation")


def _turned(scene: Tensor) -> list[Tensor]:
    """Return the scene turned counter-clockwise by 0, 1, 2 and 3 quarters."""
    across = keras.ops.transpose(scene, (0, 2, 1, 3))
    return [
        scene,
        keras.ops.flip(across, axis=1),
        keras.ops.flip(scene, axis=(1, 2)),
        keras.ops.flip(across, axis=2),
    ]


def _uprightness(scenes: Tensor, dropout: float) -> Tensor:
    """Return (N, 1): how upright each scene looks, of any size."""
    values = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(scenes)
    values = keras.layers.ReLU()(_convolved(values, WIDTHS[0], strides=2))
    for width in WIDTHS[1:]:
        around = _convolved(keras.layers.AveragePooling2D(2)(values), width, kernel=1)
        through = keras.layers.ReLU()(_convolved(values, width, strides=2))
        through = _convolved(through, width)
        values = keras.layers.ReLU()(keras.layers.Add()([around, through]))
    # Not averaged over places: that the sky is above is what tells.
    values = keras.layers.Dropout(dropout)(keras.layers.Flatten()(values))
    return keras.layers.Dense(1, use_bias=False, dtype="float32")(values)


def _convolved(values: Tensor, width: int, *, kernel: int = 3, strides: int = 1) -> Tensor:
    convolution = keras.layers.Conv2D(
        width, kernel, strides=strides, padding="same", use_bias=False
    )
    return keras.layers.BatchNormalization(momentum=0.95)(convolution(values))
