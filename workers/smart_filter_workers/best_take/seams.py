"""Show a region of one picture in another one without a seam."""

from typing import Final

import numpy as np

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Matte8, Srgb8

# Longest side on which the seam is found and judged.
SEAM_PX: Final = 400
# The coarsest level of the pyramid has about this number of pixels on its shorter side.
COARSEST_PX: Final = 16
SHOWN_ABOVE: Final = 127
# Mean difference along the seam, in levels of 255 after matching, from which it would be seen.
MAX_SEAM_LEVELS: Final = 24.0
# Mean distance of a gray face from neutral, in the plane of a* and b*; skin has 15 to 30.
GRAY_BELOW: Final = 4.0
_NEUTRAL: Final = 128
OTHER_COLORS: Final = "one photo is in color, the other is not"
UNFIT: Final = "what surrounds the head does not fit"


def replace_region(under: Srgb8, over: Srgb8, allowed: Matte8, core: Matte8) -> Srgb8 | str:
    """Return a picture with a region of another one, or the reason for which it does not fit.

    under, over: (H, W, 3) uint8, aligned.  allowed, core: (H, W) uint8, 255 where the other
    picture may be shown, and where it must.
    """
    if _is_gray(under, core) != _is_gray(over, core):
        return OTHER_COLORS
    over = _match_colors(over, under, allowed & ~core)
    seam = _find_seam(under, over, allowed, core)
    return UNFIT if seam is None else _blend(under, over, seam)


def _match_colors(over: Srgb8, under: Srgb8, ring: Matte8) -> Srgb8:
    """Return a picture with the brightness of each channel around a head as in another."""
    around = ring > 0
    gains = [
        (np.median(under[..., channel][around]) + 1) / (np.median(over[..., channel][around]) + 1)
        for channel in range(3)
    ]
    # A table, because pixels of type float take four times the memory.
    levels = np.arange(256)[:, np.newaxis] * np.clip(gains, 0.8, 1.25)
    table = np.clip(np.round(levels), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(over, table[np.newaxis]), np.uint8)


def _is_gray(picture: Srgb8, core: Matte8) -> bool:
    """Return whether a face has no color."""
    _, a, b, _ = cv2.mean(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), core)
    return bool(np.hypot(a - _NEUTRAL, b - _NEUTRAL) < GRAY_BELOW)


def _find_seam(under: Srgb8, over: Srgb8, may: Matte8, must: Matte8) -> Matte8 | None:
    """Return the region to show, 255, between `must` and `may`, cut where the pictures agree.

    None where they do not.
    Source: Kwatra et al. 2003, "Graphcut textures"; OpenCV's seam finder.
    """
    scale = min(1.0, SEAM_PX / max(may.shape))
    small = [
        cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        for part in (under, over)
    ]
    inner = cv2.resize(must, small[0].shape[1::-1], interpolation=cv2.INTER_NEAREST)
    outer = cv2.resize(may, small[0].shape[1::-1], interpolation=cv2.INTER_NEAREST)
    below, above = cv2.bitwise_not(inner), outer.copy()
    finder = cv2.detail.GraphCutSeamFinder("COST_COLOR_GRAD")
    # The stubs of OpenCV lack the conversion of an array.
    pictures = [cv2.UMat(part.astype(np.float32)) for part in small]  # type: ignore[call-overload]
    masks = [cv2.UMat(below), cv2.UMat(above)]  # type: ignore[call-overload]
    _, seams = finder.find(pictures, [(0, 0), (0, 0)], masks)
    small_seam = np.asarray(seams.get(), np.uint8)
    edge = cv2.morphologyEx(small_seam, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    # Grain is no seam.
    blurred = [cv2.GaussianBlur(part, (0, 0), 1 + scale).astype(np.float32) for part in small]
    if edge.any() and float(np.abs(blurred[0] - blurred[1])[edge].mean()) > MAX_SEAM_LEVELS:
        return None
    seam = np.asarray(cv2.resize(small_seam, may.shape[::-1], interpolation=cv2.INTER_LINEAR))
    return np.asarray(((seam > SHOWN_ABOVE) & (may > 0) | (must > 0)) * 255, np.uint8)


def _blend(under: Srgb8, over: Srgb8, seam: Matte8) -> Srgb8:
    """Return two pictures blended by frequency along a seam, one channel after another.

    Source: Burt & Adelson 1983, "A multiresolution spline with application to image mosaics".
    """
    bands = max(1, int(np.log2(max(1, min(seam.shape) / COARSEST_PX))))
    result = np.empty_like(under)
    for channel in range(under.shape[2]):
        result[..., channel] = _blend_channel(
            under[..., channel].astype(np.float32),
            over[..., channel].astype(np.float32),
            np.asarray(seam / np.float32(255), np.float32),
            bands,
        )
    return result


def _blend_channel(below: Floats, above: Floats, share: Floats, bands: int) -> Matte8:
    levels: list[Floats] = []
    for _ in range(bands):
        size = below.shape[1::-1]
        low_below, low_above, low_share = (
            np.asarray(cv2.pyrDown(part), np.float32) for part in (below, above, share)
        )
        fine_below = below - cv2.pyrUp(low_below, dstsize=size)
        fine_above = above - cv2.pyrUp(low_above, dstsize=size)
        levels.append(np.asarray(fine_below + (fine_above - fine_below) * share, np.float32))
        below, above, share = low_below, low_above, low_share
    blended = np.asarray(below + (above - below) * share, np.float32)
    for fine in reversed(levels):
        blended = np.asarray(cv2.pyrUp(blended, dstsize=fine.shape[1::-1]) + fine, np.float32)
    return np.asarray(np.clip(np.round(blended), 0, 255), np.uint8)
