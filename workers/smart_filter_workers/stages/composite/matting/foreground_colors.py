"""The people's own colors along their edge, where a photo mixes people and background.

Without this step the old background shines through hair and along shoulders.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8

# Shares of the small picture's longest side. A wide window finds the colors of hair and backdrop
# beyond the mixed band; a narrow one then keeps the changes along the edge.
WIDE_RADIUS: Final = 0.0425
NARROW_RADIUS: Final = 0.005
_EPSILON: Final = 1e-4  # keeps the reciprocal of a weight of 0 finite


def estimate_colors(srgb: Srgb8, coverage: Floats) -> tuple[Floats, Floats]:
    """Return the colors of people and of the old background near each point of the edge.

    srgb: (h, w, 3) uint8; coverage: (h, w) float32, 0..1.  Returns two (h, w, 3) float32, 0..255;
    far from the edge they are meaningless.  They are smooth, so a small picture serves a photo of
    any size.
    Source: Forte 2021, "Approximate fast foreground colour estimation" (blur fusion, twice).
    """
    longest = max(coverage.shape)
    people, backdrop = _wide_means(srgb, coverage)
    colors = unmix_foreground(srgb.astype(np.float32), coverage[..., np.newaxis], people, backdrop)
    narrow = max(1, round(NARROW_RADIUS * longest))
    return _mean(cv2.split(colors), coverage, narrow), backdrop


def unmix_foreground(srgb: Floats, alpha: Floats, people: Floats, backdrop: Floats) -> Floats:
    """Return the people's colors, (H, W, 3) float32 0..255, that mix to `srgb`.

    alpha: (H, W, 1) float32, 0..1; where it is 1 the photo itself is returned.
    """
    # Repeat the channel first: numpy takes five times as long to broadcast a single one.
    share = cv2.merge([alpha] * 3)
    colors = backdrop - people
    colors *= share
    colors -= backdrop
    colors += srgb
    colors *= share
    colors += people
    return np.clip(colors, 0, 255, out=colors)


def _wide_means(srgb: Srgb8, coverage: Floats) -> tuple[Floats, Floats]:
    """Return the mean colors of people and of the backdrop in wide windows, (h, w, 3) float32."""
    height, width = coverage.shape
    # Means of wide windows are smooth: half the size shows the same in a third of the time.
    half = (max(1, width // 2), max(1, height // 2))
    share = np.asarray(cv2.resize(coverage, half, interpolation=cv2.INTER_AREA), np.float32)
    small = cv2.resize(srgb, half, interpolation=cv2.INTER_AREA)
    colors = cv2.split(small.astype(np.float32))
    radius = max(1, round(WIDE_RADIUS * max(half)))
    # Squared, so that mixed pixels count little: it halves the remains of the old background.
    people, backdrop = (
        cv2.resize(_mean(colors, np.square(weight), radius), (width, height))
        for weight in (share, 1 - share)
    )
    return np.asarray(people, np.float32), np.asarray(backdrop, np.float32)


def _mean(colors: Sequence[cv2.typing.MatLike], weight: Floats, radius: int) -> Floats:
    """Return the weighted mean of three planes, (h, w), around each pixel, (h, w, 3) float32."""
    side = (2 * radius + 1,) * 2
    border = cv2.BORDER_REPLICATE
    share = np.reciprocal(cv2.blur(weight, side, borderType=border) + np.float32(_EPSILON))
    # One plane at a time: OpenCV blurs three planes at once four times slower.
    planes = (cv2.blur(plane * weight, side, borderType=border) * share for plane in colors)
    return np.asarray(cv2.merge(list(planes)), np.float32)
