"""The people's own colours along their edge, where a photo shows people and background mixed.

Without this the old background shines through hair and along shoulders.
"""

from typing import Final

import cv2
import numpy as np

from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.composite.matting.blocks import Floats

# Of the small picture's longest side. A wide look finds the colours of hair and backdrop
# beyond the mixed band, a narrow one then keeps what changes along the edge.
WIDE_RADIUS: Final = 0.0425
NARROW_RADIUS: Final = 0.005
_SOME: Final = 1e-4  # keeps shares of nothing finite


def estimate(srgb: Srgb8, coverage: Floats) -> tuple[Floats, Floats]:
    """Return the colours of people and of the old background near every place of the edge.

    srgb: (h, w, 3) uint8; coverage: (h, w) float32, 0..1.  Returns two (h, w, 3) float32,
    0..255; far from the edge they mean nothing.  They are smooth, so that a small picture
    serves any photo.
    Source: Forte 2021, "Approximate fast foreground colour estimation" (blur fusion, twice).
    """
    longest = max(coverage.shape)
    wide, narrow = (max(1, round(share * longest)) for share in (WIDE_RADIUS, NARROW_RADIUS))
    levels = srgb.astype(np.float32)
    alpha = coverage[..., np.newaxis]

    # Squared, so that mixed pixels say little: it halves what is left of the old background.
    people = _mean(levels, alpha * alpha, wide)
    backdrop = _mean(levels, (1 - alpha) * (1 - alpha), wide)
    people = unmixed(levels, alpha, people, backdrop)
    return _mean(people, alpha, narrow), _mean(backdrop, 1 - alpha, narrow)


def unmixed(srgb: Floats, alpha: Floats, people: Floats, backdrop: Floats) -> Floats:
    """Return the people's colours, (H, W, 3) float32 0..255, such that mixing them gives `srgb`.

    alpha: (H, W, 1) float32, 0..1; where it is 1 the photo itself is returned.
    """
    # As many channels: numpy takes five times as long to repeat a single one.
    share = cv2.merge([alpha] * 3)
    found = backdrop - people
    found *= share
    found -= backdrop
    found += srgb
    found *= share
    found += people
    return np.clip(found, 0, 255, out=found)


def _mean(colours: Floats, weight: Floats, radius: int) -> Floats:
    """Return the weighted mean colour around each pixel; weight: (h, w, 1), 0..1."""
    side = (2 * radius + 1,) * 2
    border = cv2.BORDER_REPLICATE
    share = np.reciprocal(cv2.blur(weight, side, borderType=border) + np.float32(_SOME))
    # One by one: OpenCV blurs three planes at once four times slower.
    planes = (
        cv2.blur(plane * weight[..., 0], side, borderType=border) * share
        for plane in cv2.split(colours)
    )
    return np.asarray(cv2.merge(list(planes)), np.float32)
