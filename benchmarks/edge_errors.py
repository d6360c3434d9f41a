"""Measure the errors of a matte, and of a picture made with it, against the truth.

Source: Rhemann et al. 2009, "A perceptually motivated online benchmark for image matting", for
sums of absolute differences, the gradient and the connectivity error. All sums are given per
megapixel, so pictures of different sizes compare.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.results import Floats, Matte8, Srgb8

# Sigma of the Gaussian whose derivatives are compared. Source: ibid., section 4.
GRADIENT_SIGMA_PX: Final = 1.4
# Step of the levels at which parts are compared, and the distance below which a pixel belongs to
# the people. Source: ibid., section 4, and its authors' code.
CONNECTED_STEP, CONNECTED_BELOW = 0.1, 0.15
# Only pixels within this distance of a partly covered pixel of the truth count as near.
NEAR: Final = 0.006  # relative to the longest side


def absolute(matte: Matte8, truth: Matte8) -> float:
    """Return the sum of absolute differences, alpha 0..1, in thousands a megapixel."""
    return float(cv2.absdiff(matte, truth).sum(dtype=np.int64)) / 255 / truth.size * 1000


def absolute_near(matte: Matte8, truth: Matte8) -> float:
    """Return the mean absolute difference, in thousandths, near true edges."""
    return float(cv2.absdiff(matte, truth)[near(truth)].mean()) / 255 * 1000


def gradient(matte: Matte8, truth: Matte8) -> float:
    """Return the sum of squared differences of gradient magnitudes, in ones a megapixel."""
    difference = _magnitude(matte) - _magnitude(truth)
    return float(np.square(difference).sum(dtype=np.float64)) / truth.size * 1e6


def connectivity(matte: Matte8, truth: Matte8) -> float:
    """Return the sum of differences in how far pixels are joined to the people, in thousands.

    It is given per megapixel.  People are the largest part that both mattes cover.
    """
    levels, true = (np.divide(pixels, 255, dtype=np.float32) for pixels in (matte, truth))
    connected_to = np.full(truth.shape, -1, np.float32)
    for level in np.arange(CONNECTED_STEP, 1 + CONNECTED_STEP / 2, CONNECTED_STEP):
        both = ((levels >= level) & (true >= level)).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(both, connectivity=4)
        areas = stats[:, cv2.CC_STAT_AREA]
        areas[0] = 0  # label 0 is everything else
        largest = labels == areas.argmax() if len(areas) > 1 else np.zeros_like(both, np.bool_)
        connected_to[(connected_to < 0) & ~largest] = level - CONNECTED_STEP
    connected_to[connected_to < 0] = 1
    belongs = [
        1 - (plane - connected_to) * (plane - connected_to >= CONNECTED_BELOW)
        for plane in (levels, true)
    ]
    return float(np.abs(belongs[0] - belongs[1]).sum(dtype=np.float64)) / truth.size * 1000


def delta_e(made: Srgb8, true: Srgb8, truth: Matte8) -> float:
    """Return the mean CIE 1976 color difference of two pictures near true edges."""
    return _mean_difference(made, true, near(truth))


def rim(
    made: Srgb8, matte: Matte8, people_srgb: Srgb8, ground: tuple[int, int, int], truth: Matte8
) -> float:
    """Return the mean color difference of an edge from what the people's own colors would show.

    made: (H, W, 3) uint8, composited on a ground of one color with `matte`, (H, W) uint8;
    people_srgb: (H, W, 3) uint8, the people's true colors.  Errors of coverage do not count, nor do
    mistakes far from the edge of either matte.
    """
    share = np.divide(matte, 255, dtype=np.float32)[..., np.newaxis]
    true = people_srgb * share + np.array(ground, np.float32) * (1 - share)
    return _mean_difference(made, (true + 0.5).astype(np.uint8), near(truth) & near(matte))


def near(truth: Matte8) -> NDArray[np.bool_]:
    """Return the mask of pixels near a true edge, (H, W)."""
    reach = max(1, round(max(truth.shape) * NEAR))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    mixed = cv2.inRange(truth, 1, 254)
    return np.asarray(cv2.dilate(mixed, disc) > 0)


def _magnitude(matte: Matte8) -> Floats:
    reach = int(3 * GRADIENT_SIGMA_PX + 1)
    at = np.arange(-reach, reach + 1, dtype=np.float32)
    bell = np.exp(-(at**2) / (2 * GRADIENT_SIGMA_PX**2))
    slope = -at * bell / GRADIENT_SIGMA_PX**2
    bell /= bell.sum()
    slope /= np.abs((slope * at).sum())
    levels = np.divide(matte, 255, dtype=np.float32)
    across = cv2.sepFilter2D(levels, cv2.CV_32F, slope, bell)
    down = cv2.sepFilter2D(levels, cv2.CV_32F, bell, slope)
    return np.asarray(cv2.magnitude(across, down), np.float32)


def _mean_difference(made: Srgb8, true: Srgb8, where: NDArray[np.bool_]) -> float:
    away = _lab(made[where]) - _lab(true[where])
    return float(np.linalg.norm(away, axis=1).mean())


def _lab(srgb: Srgb8) -> Floats:
    """Return the CIE L*a*b* of colors, (n, 3) uint8, as (n, 3) float32."""
    levels = np.divide(srgb[np.newaxis], 255, dtype=np.float32)
    return np.asarray(cv2.cvtColor(levels, cv2.COLOR_RGB2LAB)[0], np.float32)
