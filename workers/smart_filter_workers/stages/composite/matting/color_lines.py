"""Color lines: coverage as a function of color, near each point of the edge.

In a small window the colors of people and of the background are both near a line through color
space, so coverage is linear in red, green and blue. The function is learned from the matte, mostly
from its sure pixels, and then evaluated on the other pixels. Applied to the photo itself it draws
strands of hair that a small matte cannot hold.
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.composite.matting.edge_pixels import Floats

# Variance of colors, 0..1, that counts as noise: a lower bound for the spread that lines are fitted
# to.
EPSILON: Final = 3e-5
# Variance of coverage, added to avoid dividing by 0: in a window of equal coverage colors explain
# nothing.
MIN_VARIANCE: Final = 1e-3


class ColorLines:
    """The statistics of a picture's colors that fit lines to any matte of it."""

    def __init__(self, srgb: Srgb8, weight: Floats, *, radius: int) -> None:
        """Compute the statistics of every window of a picture.

        srgb: (h, w, 3) uint8; weight: (h, w) float32 above 0, the weight of each pixel; radius: of
        a window, in pixels.
        """
        self._side = (2 * radius + 1,) * 2
        self._planes = _planes(srgb)
        self._weight = weight
        self._share = np.reciprocal(self._mean(weight))
        red, green, blue = self._planes
        weighted_red, weighted_green, weighted_blue = (plane * weight for plane in self._planes)
        self._means = self._weighted_means(weighted_red, weighted_green, weighted_blue)
        products = self._weighted_means(
            weighted_red * red,
            weighted_red * green,
            weighted_red * blue,
            weighted_green * green,
            weighted_green * blue,
            weighted_blue * blue,
        )
        self._inverse = _invert_covariance(products, self._means)

    def drawn(self, coverage: Floats) -> Floats:
        """Return the lines, (h, w, 4) float32, for a coverage, (h, w) float32, 0..1.

        Each pixel has the factors of red, green and blue, 0..1, and the offset.
        Source: He, Sun & Tang 2013, "Guided image filtering", equations 14 to 16; weighted.
        """
        shared, mean = self._shared(coverage)
        factors = self._through(shared)
        offset = mean - _dot(factors, self._means)
        return self._mean(_stack([*factors, offset]))

    def explained(self, coverage: Floats) -> Floats:
        """Return the share of coverage's variance that colors explain, (h, w) float32, 0..1.

        A low share means that people and background have the same colors here.
        """
        shared, mean = self._shared(coverage)
        (square,) = self._weighted_means(coverage * coverage * self._weight)
        variance = np.maximum(square - mean * mean, 0) + np.float32(MIN_VARIANCE)
        return self._mean(_dot(self._through(shared), shared) / variance)

    def told(self, lines: Floats) -> Floats:
        """Return the coverage, (h, w) float32, 0..1, of this picture by its lines."""
        return _evaluate(lines, self._planes)

    def _shared(self, coverage: Floats) -> tuple[list[Floats], Floats]:
        """Return each window's covariances of colors and coverage, and its mean coverage."""
        covered = coverage * self._weight
        *products, mean = self._weighted_means(*(one * covered for one in self._planes), covered)
        pairs = zip(products, self._means, strict=True)
        return [product - color * mean for product, color in pairs], mean

    def _through(self, shared: Sequence[Floats]) -> list[Floats]:
        """Return each window's factors: the inverse covariance of colors times `shared`."""
        red, green, blue = shared
        rr, rg, rb, gg, gb, bb = self._inverse
        return [
            rr * red + rg * green + rb * blue,
            rg * red + gg * green + gb * blue,
            rb * red + gb * green + bb * blue,
        ]

    def _weighted_means(self, *planes: Floats) -> list[Floats]:
        """Return the weighted means over every window; planes: already multiplied by the weight.

        One plane at a time: OpenCV blurs six planes at once five times slower.
        """
        return [self._mean(plane) * self._share for plane in planes]

    def _mean(self, planes: Floats) -> Floats:
        means = cv2.blur(planes, self._side, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(means, np.float32)


def evaluate_lines(lines: Floats, srgb: Srgb8) -> Floats:
    """Return the coverage, (h, w) float32, 0..1, of a picture, (h, w, 3) uint8, by lines."""
    return _evaluate(lines, _planes(srgb))


def _evaluate(lines: Floats, planes: Sequence[Floats]) -> Floats:
    total: Floats = lines[..., 3].copy()
    for one, plane in enumerate(planes):
        total += lines[..., one] * plane
    return np.asarray(np.clip(total, 0, 1), np.float32)


def _planes(srgb: Srgb8) -> list[Floats]:
    """Return red, green and blue, each (h, w) float32, 0..1."""
    return [np.divide(plane, 255, dtype=np.float32) for plane in cv2.split(srgb)]


def _stack(planes: Sequence[Floats]) -> Floats:
    """Return n planes as one array, (h, w, n)."""
    return np.asarray(cv2.merge(planes), np.float32)


def _dot(one: Sequence[Floats], other: Sequence[Floats]) -> Floats:
    """Return the scalar product of two vectors of three planes."""
    total: Floats = one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
    return total


def _invert_covariance(products: Sequence[Floats], means: Sequence[Floats]) -> tuple[Floats, ...]:
    """Return the inverse of each window's color covariance: six planes, by Cramer's rule."""
    red, green, blue = means
    noise = np.float32(EPSILON)
    rr = products[0] - red * red + noise
    rg = products[1] - red * green
    rb = products[2] - red * blue
    gg = products[3] - green * green + noise
    gb = products[4] - green * blue
    bb = products[5] - blue * blue + noise
    first, second, third = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    share = np.reciprocal(rr * first + rg * second + rb * third)
    return (
        first * share,
        second * share,
        third * share,
        (rr * bb - rb * rb) * share,
        (rb * rg - rr * gb) * share,
        (rr * gg - rg * rg) * share,
    )
