"""The photo itself behind the people, out of focus, as a lens with a wide aperture shows it.

The people are taken out first and the gap is closed from around it: blurred with them, the
background would carry their colours as a halo. All of it happens at the size of the proxy or
below; what is out of focus holds no more detail than that.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.backgrounds import colours
from smart_filter_workers.backgrounds.colours import Colours
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Matte8, Srgb8

# Of a disc of light at strength 1, as a share of the picture's mean side (chosen by looking:
# shapes stay, things and faces cannot be told).
STRONGEST_RADIUS: Final = 0.05
# The blur is computed where its disc has this radius: enough to be round when enlarged.
DISC_RADIUS_PX: Final = 6.0
# Around the people so much is left out as well, as far as the disc reaches and a matte of
# the proxy's size is wrong at the most.
FRINGE_PX: Final = 8
# Where there is no background at all, people must do.
_LEAST_SHARE: Final = 1e-6
_LEVELS: Final = colours.linear(np.arange(256, dtype=np.float32))


def draw(proxy_srgb: Srgb8, matte: Matte8, *, strength: float, sheet: Sheet) -> Srgb8:
    """Draw the photo without its people, blurred; (height, width, 3) uint8 sRGB.

    proxy_srgb: (h, w, 3) uint8, the photo, no larger than the sheet; matte: (h, w) uint8.
    strength: above 0, where the photo is just as soft as its proxy, to 1.
    """
    height, width = matte.shape
    radius = strength * STRONGEST_RADIUS * (width * height) ** 0.5
    fringe = min(FRINGE_PX, round(radius))
    people = cv2.dilate(matte, np.ones((2 * fringe + 1,) * 2, np.uint8))

    scale = min(1.0, DISC_RADIUS_PX / radius)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(proxy_srgb, size, interpolation=cv2.INTER_AREA)
    share = 1 - cv2.resize(people, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    # Light adds up linearly: only so does a lamp become a bright disc, not a grey one.
    light = cv2.LUT(small, _LEVELS).astype(np.float32, copy=False)
    whole = _filled(light, np.maximum(share, np.float32(_LEAST_SHARE)))
    out_of_focus = cv2.filter2D(whole, -1, _disc(radius * scale), borderType=cv2.BORDER_REFLECT)
    return sheet.finish(colours.coded(np.asarray(out_of_focus, np.float32)))


def _filled(light: Colours, share: NDArray[np.float32]) -> Colours:
    """Close the gaps in a picture by what surrounds them, coarser the farther they reach in.

    light: (h, w, 3); share: (h, w), how much of each pixel is known, above 0 to 1.
    Source: Gortler, Grzeszczuk, Szeliski & Cohen 1996, "The lumigraph", 3.4, pull-push.
    """
    height, width = share.shape
    if max(height, width) == 1:
        return light
    half = (width + 1) // 2, (height + 1) // 2
    known = share[..., np.newaxis]
    coarse_share = cv2.resize(share, half, interpolation=cv2.INTER_AREA)
    mixed = cv2.resize(light * known, half, interpolation=cv2.INTER_AREA)
    coarse = np.asarray(mixed / coarse_share[..., np.newaxis], np.float32)
    # A pixel of four stands for as much as is known of all four, and for no more than one.
    around = _filled(coarse, np.minimum(4 * coarse_share, np.float32(1), dtype=np.float32))
    enlarged = cv2.resize(around, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(light * known + enlarged * (1 - known), np.float32)


def _disc(radius: float) -> NDArray[np.float32]:
    """Return a disc with a soft rim that sums to 1; radius in pixels."""
    reach = int(radius) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(disc / disc.sum(), np.float32)
