"""U-shaped networks that say which pixels are people: three begun anew, one that grows another.

Each takes (N, S, S, 3) float32 of 0..1, sRGB, and answers (N, S, S, 1) logits.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import keras

Tensor = Any  # keras ships no types
Network = Any  # keras ships no types

# Each resolution is half the one before it.
DEPTH: Final = 4
MULTIPLE_PX: Final = 16
_EXPANSION: Final = 4


def build(kind: str, *, size_px: int, width: int) -> Network:
    """Return an untrained network: "classic", "residual" or "mobile".

    width: channels of the finest resolution; each coarser one has twice as many, at most eight
    times.  size_px: a multiple of 16.
    """
    block = BLOCKS[kind]
    picture = keras.Input((size_px, size_px, 3), name="picture")
    # Once halved: a matte's edges are drawn at full size by what comes after the network.
    values = _convolved(picture, width, kernel=3, strides=2)
    passed = []
    for level in range(DEPTH):
        values = block(values, width * 2 ** min(level, 3))
        if level < DEPTH - 1:
            passed.append(values)
            values = keras.layers.MaxPooling2D()(values)
    for level, across in reversed(list(enumerate(passed))):
        channels = width * 2 ** min(level, 3)
        values = keras.layers.UpSampling2D(interpolation="bilinear")(values)
        values = _convolved(values, channels, kernel=1)
        values = block(keras.layers.Concatenate()([values, across]), channels)
    logits = keras.layers.Conv2DTranspose(1, 2, strides=2, name="logits")(values)
    return keras.Model(picture, logits, name=kind)


def grown(network: Network) -> Network:
    """Return a carried network with more of what is coarse: what belongs to a person.

    The first answer is the carried network's own: what is added begins at nothing. It reads the
    encoder's and the decoder's maps by their size, and answers logits of a quarter of the side.
    """
    coarse, middle, fine = _maps(network)
    values = _plain(_plain(coarse, 64, kernel=1), 64, kernel=3)
    values = keras.layers.Add()([values, _plain(values, 64, kernel=5, apart=True)])
    values = keras.layers.Add()([values, _plain(values, 64, kernel=3)])
    values = keras.layers.UpSampling2D(interpolation="bilinear")(_plain(values, 32, kernel=1))
    values = _plain(keras.layers.Concatenate()([values, *middle]), 48, kernel=1)
    values = keras.layers.Add()([values, _plain(values, 48, kernel=3)])
    values = keras.layers.Add()([values, _plain(values, 48, kernel=3)])
    values = keras.layers.UpSampling2D(interpolation="bilinear")(_plain(values, 24, kernel=1))
    values = _plain(keras.layers.Concatenate()([values, *fine]), 32, kernel=3, apart=True)
    values = keras.layers.Add()([values, _plain(values, 32, kernel=3, apart=True)])
    more = keras.layers.Conv2DTranspose(1, 4, strides=4, kernel_initializer="zeros")(values)
    logits = keras.layers.Add(name="logits")([network.output, more])
    return keras.Model(network.input, logits, name="grown")


def _classic(values: Tensor, channels: int) -> Tensor:
    """Two convolutions.  Source: Ronneberger, Fischer & Brox 2015, "U-Net", figure 1."""
    return _convolved(_convolved(values, channels, kernel=3), channels, kernel=3)


def _residual(values: Tensor, channels: int) -> Tensor:
    """Two convolutions and a way around them.

    Source: Zhang, Liu & Wang 2018, "Road extraction by deep residual U-Net", figure 1.
    """
    around = keras.layers.Conv2D(channels, 1, use_bias=False)(values)
    through = _convolved(values, channels, kernel=3)
    through = keras.layers.Conv2D(channels, 3, padding="same", use_bias=False)(through)
    through = keras.layers.BatchNormalization(momentum=0.95)(through)
    return keras.layers.ReLU()(keras.layers.Add()([around, through]))


def _mobile(values: Tensor, channels: int) -> Tensor:
    """Two inverted bottlenecks.

    Source: Sandler et al. 2018, "MobileNetV2", table 1; here with hard swish, as Howard et al.
    2019, "Searching for MobileNetV3", section 5.2, has it.
    """
    return _bottleneck(_bottleneck(values, channels), channels)


BLOCKS: Final[Mapping[str, Callable[[Tensor, int], Tensor]]] = {
    "classic": _classic,
    "residual": _residual,
    "mobile": _mobile,
}


def _bottleneck(values: Tensor, channels: int) -> Tensor:
    wide = _convolved(values, _EXPANSION * channels, kernel=1, activation="hard_swish")
    wide = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(wide)
    wide = keras.layers.Activation("hard_swish")(_normalised(wide))
    narrow = _normalised(keras.layers.Conv2D(channels, 1, use_bias=False)(wide))
    if values.shape[-1] != channels:
        return narrow
    return keras.layers.Add()([values, narrow])


def _maps(network: Network) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Return maps of a U-shaped network: of a sixteenth, an eighth and a quarter of the side.

    The last one of the sixteenth; of the others the last on the way down, and on the way up.
    """
    side = int(network.input_shape[1])
    maps = [layer.output for layer in network.layers]
    places = {
        size: [n for n, one in enumerate(maps) if one.shape[1] == size] for size in _sides(side)
    }
    turning = places[side // 16][0]
    down_and_up = [
        [
            maps[max(n for n in places[size] if n < turning)],
            maps[max(places[size])],
        ]
        for size in (side // 8, side // 4)
    ]
    return maps[places[side // 16][-1]], down_and_up[0], down_and_up[1]


def _sides(side: int) -> tuple[int, int, int]:
    return side // 16, side // 8, side // 4


def _plain(values: Tensor, channels: int, *, kernel: int, apart: bool = False) -> Tensor:
    """Return a convolution with a bias, as carried networks have it; apart: by channel first."""
    kind = keras.layers.SeparableConv2D if apart else keras.layers.Conv2D
    return kind(channels, kernel, padding="same", activation="relu")(values)


def _convolved(
    values: Tensor, channels: int, *, kernel: int, strides: int = 1, activation: str = "relu"
) -> Tensor:
    found = keras.layers.Conv2D(channels, kernel, strides=strides, padding="same", use_bias=False)(
        values
    )
    return keras.layers.Activation(activation)(_normalised(found))


def _normalised(values: Tensor) -> Tensor:
    return keras.layers.BatchNormalization(momentum=0.95)(values)
