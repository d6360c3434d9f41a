"""The networks: a compact one for crops of 48 × 48 pixels, and EfficientNet-B0 on the same.

Both take (N, 48, 48, 1) float32 of 0..255 gray, and answer `emotion` (N, 8), `smile` and
`smile_or_surprise` (N, 11), float32 probabilities that sum to 1.
"""

from typing import Any, Final

import keras

from smart_filter_shared.catalog.emotions import EMOTIONS
from smart_filter_training.models.expression.votes import RATERS

Tensor = Any  # keras ships no types

CROP_PX: Final = 48
# Channels and blocks at 24, 12 and 6 pixels.
WIDTHS: Final = (32, 64, 128)
DEPTHS: Final = (1, 2, 2)
EFFICIENTNET_PX: Final = 224
# Outputs by name: shares of raters by emotion, and probabilities that 0 to 10 of them see a smile.
EMOTION: Final = "emotion"
SMILE: Final = "smile"
SMILE_OR_SURPRISE: Final = "smile_or_surprise"
# The divisor of crops with less contrast, such as those of one color.
_MIN_CONTRAST: Final = 8.0


def build_compact(*, dropout: float) -> keras.Model:
    """Return the residual network of 681,000 parameters, untrained.

    It normalizes each crop to mean 0 and deviation 1.
    Source: He et al. 2016, "Identity mappings in deep residual networks" (the order in a block).
    """
    crop = keras.Input((CROP_PX, CROP_PX, 1), name="crop")
    first = keras.layers.Conv2D(WIDTHS[0], 3, strides=2, padding="same", use_bias=False)
    values = first(_normalize(crop))
    for place, (width, depth) in enumerate(zip(WIDTHS, DEPTHS, strict=True)):
        for step in range(depth):
            values = _add_block(values, width, strides=2 if step == 0 and place else 1)
    return keras.Model(crop, _add_outputs(_activate(values), dropout), name="expression")


def build_efficientnet_b0(*, dropout: float, weights: str | None) -> keras.Model:
    """Return EfficientNet-B0 for crops enlarged to 224 pixels.

    weights: `imagenet` downloads weights to start with; None for random ones.
    Source: Tan & Le 2019, "EfficientNet: rethinking model scaling for convolutional networks".
    """
    crop = keras.Input((CROP_PX, CROP_PX, 1), name="crop")
    large = keras.layers.Resizing(EFFICIENTNET_PX, EFFICIENTNET_PX)(crop)
    color = keras.layers.Concatenate()([large, large, large])
    body = keras.applications.EfficientNetB0(
        include_top=False, weights=weights, input_shape=(EFFICIENTNET_PX, EFFICIENTNET_PX, 3)
    )
    return keras.Model(crop, _add_outputs(body(color), dropout), name="expression")


def _normalize(crop: Tensor) -> Tensor:
    """Return each crop with mean 0 and deviation 1, so that light and exposure do not matter."""
    centered = crop - keras.ops.mean(crop, axis=(1, 2), keepdims=True)
    deviation = keras.ops.sqrt(
        keras.ops.mean(keras.ops.square(centered), axis=(1, 2), keepdims=True)
    )
    return centered / keras.ops.maximum(deviation, _MIN_CONTRAST)


def _add_block(values: Tensor, width: int, *, strides: int) -> Tensor:
    active = _activate(values)
    shortcut = values
    if strides > 1 or values.shape[-1] != width:
        shortcut = keras.layers.Conv2D(width, 1, strides=strides, use_bias=False)(active)
    residual = keras.layers.Conv2D(width, 3, strides=strides, padding="same", use_bias=False)(
        active
    )
    residual = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(_activate(residual))
    return keras.layers.Add()([shortcut, residual])


def _activate(values: Tensor) -> Tensor:
    return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.98)(values))


def _add_outputs(values: Tensor, dropout: float) -> dict[str, Tensor]:
    values = keras.layers.Dropout(dropout)(keras.layers.GlobalAveragePooling2D()(values))
    classes = {EMOTION: len(EMOTIONS), SMILE: RATERS + 1, SMILE_OR_SURPRISE: RATERS + 1}
    return {
        # In full precision: the loss takes the logarithm of small probabilities.
        name: keras.layers.Dense(count, activation="softmax", dtype="float32", name=name)(values)
        for name, count in classes.items()
    }
