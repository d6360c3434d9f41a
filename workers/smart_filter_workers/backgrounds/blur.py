"""Blur: the photo itself behind the people, out of focus as by a lens with a wide aperture.

The people are removed first and the gap is filled from its surroundings: blurred together with
them, the background would carry their colors as a halo. Everything is computed at the size of the
proxy or smaller, because out-of-focus areas hold no finer detail.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.colors import Colors
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Srgb8

# Radius of a disc of light at strength 1, as a share of the picture's mean side. Chosen by looking:
# shapes stay, objects and faces are unrecognizable.
MAX_RADIUS_SHARE: Final = 0.05
# The blur is computed at a size where its disc has this radius: large enough to be round when
# enlarged.
DISC_RADIUS_PX: Final = 6.0
# Most pixels around the people that are removed too: the reach of the disc, and the largest error
# of a matte of the proxy's size.
FRINGE_PX: Final = 8
# Weight of people's own pixels, used only where there is no background at all.
_MIN_WEIGHT: Final = 1e-6
_LEVELS: Final = colors.srgb_to_linear(np.arange(256, dtype=np.float32))


def draw(proxy_srgb: Srgb8, matte: Matte8, *, strength: float, sheet: Sheet) -> Srgb8:
    """Return the photo without its people, blurred; (height, width, 3) uint8 sRGB.

    proxy_srgb: (h, w, 3) uint8, the photo, no larger than the sheet; matte: (h, w) uint8.
    strength: above 0, where the photo is only as soft as its proxy, to 1.
    """
    height, width = matte.shape
    radius = strength * MAX_RADIUS_SHARE * (width * height) ** 0.5
    fringe = min(FRINGE_PX, round(radius))
    people = cv2.dilate(matte, np.ones((2 * fringe + 1,) * 2, np.uint8))

    scale = min(1.0, DISC_RADIUS_PX / radius)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(proxy_srgb, size, interpolation=cv2.INTER_AREA)
    share = 1 - cv2.resize(people, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    # Blur linear light: otherwise a lamp becomes a gray disc instead of a bright one.
    light = cv2.LUT(small, _LEVELS).astype(np.float32, copy=False)
    whole = _fill_gaps(light, np.maximum(share, np.float32(_MIN_WEIGHT)))
    out_of_focus = cv2.filter2D(whole, -1, _disc(radius * scale), borderType=cv2.BORDER_REFLECT)
    return sheet.finish(colors.linear_to_srgb(np.asarray(out_of_focus, np.float32)))


def _fill_gaps(light: Colors, share: NDArray[np.float32]) -> Colors:
    """Return a picture with its gaps filled from their surroundings, more coarsely inside.

    light: (h, w, 3); share: (h, w), the known share of each pixel, above 0 to 1.
    Source: Gortler, Grzeszczuk, Szeliski & Cohen 1996, "The lumigraph", 3.4, pull-push.
    """
    height, width = share.shape
    if max(height, width) == 1:
        return light
    half = (width + 1) // 2, (height + 1) // 2
    weight = share[..., np.newaxis]
    coarse_share = cv2.resize(share, half, interpolation=cv2.INTER_AREA)
    mixed = cv2.resize(light * weight, half, interpolation=cv2.INTER_AREA)
    coarse = np.asarray(mixed / coarse_share[..., np.newaxis], np.float32)
    # A coarse pixel counts as much as the known parts of its four pixels, at most 1.
    around = _fill_gaps(coarse, np.minimum(4 * coarse_share, np.float32(1), dtype=np.float32))
    enlarged = cv2.resize(around, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(light * weight + enlarged * (1 - weight), np.float32)


def _disc(radius: float) -> NDArray[np.float32]:
    """Return a disc with a soft edge that sums to 1; radius in pixels."""
    reach = int(radius) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(disc / disc.sum(), np.float32)
