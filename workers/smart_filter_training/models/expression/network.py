"""The networks: a compact one for crops of 48 × 48 pixels, and EfficientNet-B0 on the same.

Both take (N, 48, 48, 1) float32 of 0..255 grey, and answer `emotion` (N, 8), `smile` and
`smile_or_surprise` (N, 11), float32 shares that sum to 1.
"""

from typing import Any, Final

import keras

from smart_filter_shared.emotions import EMOTIONS
from smart_filter_training.models.expression.votes import RATERS

Tensor = Any  # keras ships no types

CROP_PX: Final = 48
# Channels and blocks at 24, 12 and 6 pixels.
WIDTHS: Final = (32, 64, 128)
DEPTHS: Final = (1, 2, 2)
EFFICIENTNET_PX: Final = 224
# Outputs by name: shares of raters by emotion, and how likely 0 to 10 of them see a smile.
EMOTION: Final = "emotion"
SMILE: Final = "smile"
SMILE_OR_SURPRISE: Final = "smile_or_surprise"
# A crop of one colour has no contrast to be divided by.
_LEAST_CONTRAST: Final = 8.0


def compact(*, dropout: float) -> keras.Model:
    """Return the residual network of 681,000 parameters, untrained.

    It brings each crop to mean 0 and spread 1 itself.
    Source: He et al. 2016, "Identity mappings in deep residual networks" (the order in a block).
    """
    crop = keras.Input((CROP_PX, CROP_PX, 1), name="crop")
    first = keras.layers.Conv2D(WIDTHS[0], 3, strides=2, padding="same", use_bias=False)
    values = first(normalised(crop))
    for place, (width, depth) in enumerate(zip(WIDTHS, DEPTHS, strict=True)):
        for step in range(depth):
            values = _block(values, width, strides=2 if step == 0 and place else 1)
    return keras.Model(crop, _answers(_active(values), dropout), name="expression")


def efficientnet_b0(*, dropout: float, weights: str | None) -> keras.Model:
    """Return EfficientNet-B0 for crops enlarged to 224 pixels.

    weights: `imagenet` to begin with, which are downloaded, or None.
    Source: Tan & Le 2019, "EfficientNet: rethinking model scaling for convolutional networks".
    """
    crop = keras.Input((CROP_PX, CROP_PX, 1), name="crop")
    large = keras.layers.Resizing(EFFICIENTNET_PX, EFFICIENTNET_PX)(crop)
    colour = keras.layers.Concatenate()([large, large, large])
    body = keras.applications.EfficientNetB0(
        include_top=False, weights=weights, input_shape=(EFFICIENTNET_PX, EFFICIENTNET_PX, 3)
    )
    return keras.Model(crop, _answers(body(colour), dropout), name="expression")


def normalised(crop: Tensor) -> Tensor:
    """Return crops with mean 0 and spread 1, each by itself: light and exposure do not matter."""
    centred = crop - keras.ops.mean(crop, axis=(1, 2), keepdims=True)
    spread = keras.ops.sqrt(keras.ops.mean(keras.ops.square(centred), axis=(1, 2), keepdims=True))
    return centred / keras.ops.maximum(spread, _LEAST_CONTRAST)


def _block(values: Tensor, width: int, *, strides: int) -> Tensor:
    active = _active(values)
    changes = strides > 1 or values.shape[-1] != width
    around = values
    if changes:
        around = keras.layers.Conv2D(width, 1, strides=strides, use_bias=False)(active)
    through = keras.layers.Conv2D(width, 3, strides=strides, padding="same", use_bias=False)(active)
    through = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(_active(through))
    return keras.layers.Add()([around, through])


def _active(values: Tensor) -> Tensor:
    return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.98)(values))


def _answers(values: Tensor, dropout: float) -> dict[str, Tensor]:
    seen = keras.layers.Dropout(dropout)(keras.layers.GlobalAveragePooling2D()(values))

    def head(name: str, classes: int) -> Tensor:
        # Not in half precision: the loss takes the logarithm of small shares.
        return keras.layers.Dense(classes, activation="softmax", dtype="float32", name=name)(seen)

    return {
        EMOTION: head(EMOTION, len(EMOTIONS)),
        SMILE: head(SMILE, RATERS + 1),
        SMILE_OR_SURPRISE: head(SMILE_OR_SURPRISE, RATERS + 1),
    }
