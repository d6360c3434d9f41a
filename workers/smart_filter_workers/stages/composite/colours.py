"""The people's own colours along their edge, where a photo shows people and background mixed.

Without this the old background shines through hair and along shoulders.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.results import Matte8, Srgb8

Floats = NDArray[np.float32]

# The estimate is smooth, so a small picture serves any photo.
SMALL_PX: Final = 400
# Of the small picture. A wide look finds the colours of hair and backdrop beyond the mixed
# band, a narrow one then keeps what changes along the edge.
WIDE_RADIUS_PX: Final = 17
NARROW_RADIUS_PX: Final = 2
_SOME: Final = 1e-4  # keeps shares of nothing finite


def estimate(proxy_srgb: Srgb8, matte: Matte8) -> tuple[Floats, Floats]:
    """Return the colours of people and of the old background near every place of the edge.

    proxy_srgb: (h, w, 3) uint8; matte: (h, w) uint8.  Returns two (h', w', 3) float32,
    0..255, at SMALL_PX; far from the edge they mean nothing.
    Source: Forte 2021, "Approximate fast foreground colour estimation" (blur fusion, twice).
    """
    height, width = matte.shape
    scale = min(1.0, SMALL_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    srgb = cv2.resize(proxy_srgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    alpha = cv2.resize(matte, size, interpolation=cv2.INTER_AREA).astype(np.float32)[..., None]
    alpha /= 255

    # Squared, so that mixed pixels say little: it halves what is left of the old background.
    people = _mean(srgb, alpha * alpha, WIDE_RADIUS_PX)
    backdrop = _mean(srgb, (1 - alpha) * (1 - alpha), WIDE_RADIUS_PX)
    people = unmixed(srgb, alpha, people, backdrop)
    return (
        _mean(people, alpha, NARROW_RADIUS_PX),
        _mean(backdrop, 1 - alpha, NARROW_RADIUS_PX),
    )


def unmixed(srgb: Floats, alpha: Floats, people: Floats, backdrop: Floats) -> Floats:
    """Return the people's colours, (H, W, 3) float32 0..255, such that mixing them gives `srgb`.

    alpha: (H, W, 1) float32, 0..1; where it is 1 the photo itself is returned.
    """
    mixed = alpha * people + (1 - alpha) * backdrop
    return np.clip(people + alpha * (srgb - mixed), 0, 255)


def _mean(colours: Floats, weight: Floats, radius: int) -> Floats:
    """Return the weighted mean colour around each pixel; weight: (h, w, 1), 0..1."""
    side = (2 * radius + 1,) * 2
    border = cv2.BORDER_REPLICATE
    total = cv2.blur(colours * weight, side, borderType=border)
    share = cv2.blur(weight, side, borderType=border)[..., np.newaxis]
    return np.asarray(total / (share + _SOME), np.float32)
