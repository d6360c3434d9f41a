"""Blur: the photo itself behind the people, out of focus as by a lens with a wide aperture.

The people are removed first and the gap is filled from its surroundings: blurred together with
them, the background would carry their colors as a halo. Everything is computed at the size of the
proxy or smaller, because out-of-focus areas hold no finer detail.

The people are laid over it, so that it reaches up to their outline, as through a lens. What may be
a person or held by one, and that the outline lacks, stays in focus with a margin: an error shows a
little too much in focus, never half a hand.
"""

from itertools import pairwise
from typing import Final

import numpy as np

from smart_filter_workers.backgrounds import colors, lens
from smart_filter_workers.backgrounds.colors import Colors
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import HALF_LEVEL, Bools, Floats, Matte8, Srgb8

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
# Pixels with at least this evidence of a person, of 255, are in focus. With 26, 16 instead of 13 of
# 362 training photos have more than 0.5 % of their people changed, without the rims, and 0.098
# instead of 0.087 % are in the mean; with 12, 1.1 % of a photo more is in focus.
SEEN_FROM: Final = 12
# Evidence this near to an outline, as a share of the picture's mean side, is as coarse as the small
# networks that see it, and the outline counts. Beyond it, the blur begins at the same distance from
# the evidence, which is the reach of fingers, and is whole at the second one. Of the people in 203
# training photos, without their rims, it then changes 0.15 %, most of it gaps between arms and
# bodies. Chosen by looking at 16 of them: with 0.2 every doubt leaves a wide sharp patch.
MARGIN_SHARE: Final = 0.015
WHOLE_SHARE: Final = 0.08
# Radii of the blurred pictures between which the others are mixed, as shares of the largest one,
# with the radii of their discs. The weaker blurs show no discs of light.
DISCS_PX: Final = {0.25: 3.0, 0.5: 3.0, 1.0: DISC_RADIUS_PX}
_STRIP_ROWS: Final = 256


def draw(proxy_srgb: Srgb8, matte: Matte8, *, strength: float, sheet: Sheet) -> Srgb8:
    """Return the photo without its people, blurred; (height, width, 3) uint8 sRGB.

    proxy_srgb: (h, w, 3) uint8, the photo, no larger than the sheet; matte: (h, w) uint8.
    strength: above 0, where the photo is only as soft as its proxy, to 1.
    """
    return sheet.finish(_blur(proxy_srgb, matte, _max_radius(matte, strength)))


def draw_beyond(
    photo_srgb: Srgb8,
    proxy_srgb: Srgb8,
    softness: Floats,
    matte: Matte8,
    *,
    strength: float,
    sheet: Sheet,
) -> Srgb8:
    """Return the photo without its people, blurred by a share at each place.

    (height, width, 3) uint8 sRGB; what is in focus is unchanged, people included.
    photo_srgb: (height, width, 3) uint8, of the sheet's size; proxy_srgb: (h, w, 3) uint8.
    softness: (h', w') float32, 0 in focus to 1 blurred by `strength`, as from `find_softness`;
        matte: (h'', w'') uint8, the people.
    """
    height, width = proxy_srgb.shape[:2]
    share = _resize(softness, (width, height))
    in_focus = np.where(share <= 0, np.uint8(255), resize(matte, width=width, height=height))
    radius = _max_radius(in_focus, strength)
    blurs = (
        _resize(_blur(proxy_srgb, in_focus, most * radius, disc_px=disc_px), (width, height))
        for most, disc_px in DISCS_PX.items()
    )
    mixed = next(blurs)
    for (least, most), blurred in zip(pairwise(DISCS_PX), blurs, strict=True):
        weight = np.clip((share - least) / (most - least), 0, 1)[..., np.newaxis]
        mixed += weight * (blurred - mixed)
    drawn = sheet.finish(mixed)
    weights = _resize(np.clip(share / min(DISCS_PX), 0, 1), (sheet.width, sheet.height))
    for top in range(0, sheet.height, _STRIP_ROWS):
        rows = slice(top, top + _STRIP_ROWS)
        drawn[rows] = cv2.blendLinear(
            photo_srgb[rows], drawn[rows], 1 - weights[rows], weights[rows]
        )
    return drawn


def find_softness(evidence: Matte8, matte: Matte8, *, eyes: float, soles: float) -> Floats:
    """Return how far each place is out of focus, 0 to 1; (h, w) float32.

    evidence: (h, w) uint8, how surely a place shows a person or what one holds; matte: (h, w)
        uint8, the people who are laid over the result.
    eyes, soles: rows of the people's eyes and soles as shares of the height, also beyond 0..1; NaN
        if they are unknown.

    Next to an outline the photo is as far out of focus as its place; what is more likely people
    than not is in focus there, too, and what may be people elsewhere, with a margin.
    A thin lens blurs by the difference of inverse distances. On the ground the inverse distance
    falls linearly with the row, from the soles to 0 at the horizon, which is at eye level.
    """
    height, width = evidence.shape
    side = (width * height) ** 0.5
    is_doubted = evidence >= SEEN_FROM
    people = matte > HALF_LEVEL
    if people.any():
        is_doubted &= _distance_px(people) > MARGIN_SHARE * side
    softness: Floats = np.ones((height, width), np.float32)
    if is_doubted.any():
        share = (_distance_px(is_doubted) / side - MARGIN_SHARE) / (WHOLE_SHARE - MARGIN_SHARE)
        softness = np.clip(share, 0, 1).astype(np.float32)
    # Straps, curls and hands that an outline lacks. So 28 of 306 training photos have more than
    # 0.5 % of their people changed, with level 231 35; 0.05 % of a photo more is in focus, no ring.
    softness[(evidence > HALF_LEVEL) & ~people] = 0
    if soles > eyes:
        rows = (np.arange(height, dtype=np.float32) + 0.5) / height
        ground = np.minimum(np.abs(soles - rows) / (soles - eyes), 1)
        softness = np.minimum(softness, ground.astype(np.float32)[:, np.newaxis])
    return softness


def _distance_px(part: Bools) -> Floats:
    """Return the distance of each pixel from a part that is not empty; (h, w) float32."""
    away = cv2.distanceTransform((~part).view(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(away, np.float32)


def _max_radius(picture: Matte8, strength: float) -> float:
    height, width = picture.shape
    return float(strength * MAX_RADIUS_SHARE * (width * height) ** 0.5)


def _resize(field: Floats, size: tuple[int, int]) -> Floats:
    """Return a map, (h, w) or (h, w, 3), at this width and height."""
    return np.asarray(cv2.resize(field, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _blur(
    proxy_srgb: Srgb8, matte: Matte8, radius: float, *, disc_px: float = DISC_RADIUS_PX
) -> Colors:
    """Return the photo without its people, blurred and small: (h', w', 3), levels 0..255.

    radius: of the disc of light, in pixels of the proxy; disc_px: in pixels of the result, if that
        is smaller than the proxy.
    """
    height, width = matte.shape
    fringe = min(FRINGE_PX, round(radius))
    people = cv2.dilate(matte, np.ones((2 * fringe + 1,) * 2, np.uint8))

    scale = min(1.0, disc_px / radius)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(proxy_srgb, size, interpolation=cv2.INTER_AREA)
    share = 1 - cv2.resize(people, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    # Blur linear light: otherwise a lamp becomes a gray disc instead of a bright one.
    light = cv2.LUT(small, _LEVELS).astype(np.float32, copy=False)
    whole = _fill_gaps(light, np.maximum(share, np.float32(_MIN_WEIGHT)))
    out_of_focus = cv2.filter2D(whole, -1, lens.disc(radius * scale), borderType=cv2.BORDER_REFLECT)
    return colors.linear_to_srgb(np.asarray(out_of_focus, np.float32))


def _fill_gaps(light: Colors, share: Floats) -> Colors:
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
