"""What a wrong matte costs: cross-entropy and Dice of the pixels that count."""

from typing import Any, Final

import keras

Tensor = Any  # keras ships no types

# Edges count so many times more, this far from the outline: there mattes are won or lost.
EDGE_WEIGHT: Final = 2.0
EDGE_PX: Final = 7
# Keeps the Dice of a nearly empty picture smooth; in pixels.
_SMOOTH_PX: Final = 50.0


# A compiled network is copied by the names of its parts.
@keras.saving.register_keras_serializable(package="smart_filter")
class MatteLoss(keras.losses.Loss):  # type: ignore[misc]  # keras ships no types
    """Binary cross-entropy plus Dice, of logits, without the pixels that do not count.

    Source: Milletari, Navab & Ahmadi 2016, "V-Net", equation for Dice, here in its form by union
    (Jaccard), which is what is measured; Ronneberger, Fischer & Brox 2015, "U-Net", section 3, for
    more weight near edges.
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the mean loss.

        y_true: (N, H, W, 2) float32: the matte, 0..1, and how much each pixel counts, 0..1;
        y_pred: (N, H, W, 1) logits.
        """
        matte, counts = y_true[..., :1], y_true[..., 1:]
        logits = keras.ops.cast(y_pred, "float32")
        weight = counts * (1 + EDGE_WEIGHT * _edges(matte))
        # log(1 + exp(-|z|)) does not overflow.
        entropy = (
            keras.ops.relu(logits)
            - logits * matte
            + keras.ops.softplus(-keras.ops.absolute(logits))
        )
        crossed = keras.ops.sum(weight * entropy) / keras.ops.maximum(keras.ops.sum(weight), 1.0)
        return crossed + 1 - keras.ops.mean(soft_overlap(matte, counts, keras.ops.sigmoid(logits)))


def soft_overlap(matte: Tensor, counts: Tensor, seen: Tensor) -> Tensor:
    """Return the intersection over union, (N,) float32, of two soft mattes (N, H, W, 1), 0..1."""
    both = keras.ops.sum(counts * seen * matte, axis=(1, 2, 3))
    either = keras.ops.sum(counts * (seen + matte - seen * matte), axis=(1, 2, 3))
    return (both + _SMOOTH_PX) / (either + _SMOOTH_PX)


@keras.saving.register_keras_serializable(package="smart_filter")
class Overlap(keras.metrics.Mean):  # type: ignore[misc]  # keras ships no types
    """The mean intersection over union at one half, at the network's own size, for curves."""

    def __init__(self, name: str = "iou", dtype: str | None = None) -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        """Take in a batch, shaped as the loss takes it."""
        person = keras.ops.cast(y_true[..., :1] > 1 / 2, "float32")
        seen = keras.ops.cast(y_pred > 0, "float32")
        super().update_state(soft_overlap(person, y_true[..., 1:], seen), sample_weight)


def _edges(matte: Tensor) -> Tensor:
    """Return (N, H, W, 1) float32, 0..1: how much a matte changes within EDGE_PX of a pixel."""
    most = keras.ops.max_pool(matte, EDGE_PX, strides=1, padding="same")
    least = -keras.ops.max_pool(-matte, EDGE_PX, strides=1, padding="same")
    return most - least
