"""Color lines: coverage as a function of color, near each point of the edge.

In a small window the colors of people and of the background are both near a line through color
space, so coverage is linear in red, green and blue. The function is learned from the matte, mostly
from its sure pixels, and then evaluated on the other pixels. Applied to the photo itself it draws
strands of hair that a small matte cannot hold.

In a window of equal coverage the function is that coverage, whatever the colors. So windows are
computed only around the unsure pixels.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bools, Floats, Srgb8

# Variance of colors, 0..1, that counts as noise: a lower bound for the spread that lines are fitted
# to.
EPSILON: Final = 3e-5
# Variance of coverage, added to avoid dividing by 0: in a window of equal coverage colors explain
# nothing.
MIN_VARIANCE: Final = 1e-3
_CHANNELS: Final = 4


class ColorLines:
    """The statistics of a picture's colors that fit lines to mattes of it."""

    def __init__(self, srgb: Srgb8, weight: Floats, *, radius: int, unsure: Bools) -> None:
        """Compute the statistics of the windows that contain an unsure pixel.

        srgb: (h, w, 3) uint8; weight: (h, w) float32 above 0, the weight of each pixel; radius: of
        a window, in pixels; unsure: (h, w): two neighbors that are both sure have the same
        coverage.
        """
        self._side = (2 * radius + 1,) * 2
        self._unsure = np.flatnonzero(unsure)
        near = cv2.dilate(unsure.astype(np.uint8), np.ones(self._side, np.uint8))
        self._windows = np.flatnonzero(near > 0)
        levels = _levels(srgb)
        self._unsure_levels = levels.reshape(-1, _CHANNELS).take(self._unsure, axis=0)
        red, green, blue, _ = cv2.split(levels)
        self._weight = weight
        self._weighted = _times(levels, weight)
        *sums, share = self._window_means(self._weighted)
        self._inverse_weight = np.reciprocal(share)
        self._means = [total * self._inverse_weight for total in sums]
        weighted_red, weighted_green, weighted_blue = red * weight, green * weight, blue * weight
        products = [
            *self._window_means(_times(levels, weighted_red))[:3],
            self._window_mean(weighted_green * green),
            self._window_mean(weighted_green * blue),
            self._window_mean(weighted_blue * blue),
        ]
        self._inverse = _invert_covariance(
            [product * self._inverse_weight for product in products], self._means
        )

    def fit_lines(self, coverage: Floats) -> Floats:
        """Return the lines, (h, w, 4) float32, for a coverage, (h, w) float32, 0..1.

        coverage: two neighbors that are both sure have the same.
        Each pixel has the factors of red, green and blue, 0..1, and the offset.
        Source: He, Sun & Tang 2013, "Guided image filtering", equations 14 to 16; weighted.
        """
        shared, mean = self._shared(coverage)
        factors = self._through(shared)
        offset = mean - _dot(factors, self._means)
        planes = [*(np.zeros_like(coverage) for _ in factors), coverage.copy()]
        for plane, factor in zip(planes, [*factors, offset], strict=True):
            plane.reshape(-1)[self._windows] = factor
        return self._blur(np.asarray(cv2.merge(planes), np.float32))

    def measure_explained(self, coverage: Floats) -> Floats:
        """Return the share of coverage's variance that colors explain, (h, w) float32, 0..1.

        A low share means that people and background have the same colors here.
        """
        shared, mean = self._shared(coverage)
        square = self._window_mean(coverage * coverage * self._weight)
        variance = np.maximum(square * self._inverse_weight - mean * mean, 0) + np.float32(
            MIN_VARIANCE
        )
        share = np.zeros_like(coverage)
        share.reshape(-1)[self._windows] = _dot(self._through(shared), shared) / variance
        return self._blur(share)

    def apply_lines(self, coverage: Floats, lines: Floats) -> None:
        """Replace the coverage, (h, w) float32, 0..1, of the unsure pixels by that of lines."""
        drawn = _sum_channels(
            lines.reshape(-1, _CHANNELS).take(self._unsure, axis=0) * self._unsure_levels
        )
        coverage.reshape(-1, copy=False)[self._unsure] = np.clip(drawn, 0, 1)

    def _shared(self, coverage: Floats) -> tuple[list[Floats], Floats]:
        """Return each window's covariances of colors and coverage, and its mean coverage."""
        means = self._window_means(_times(self._weighted, coverage))
        *products, mean = (plane_mean * self._inverse_weight for plane_mean in means)
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

    def _window_means(self, planes: Floats) -> Floats:
        """Return the means over the windows, (4, n), of (h, w, 4).

        OpenCV blurs four channels in the time of two planes.
        """
        means = self._blur(planes).reshape(-1, _CHANNELS).take(self._windows, axis=0)
        return np.ascontiguousarray(means.T)

    def _window_mean(self, plane: Floats) -> Floats:
        """Return the means over the windows, (n,), of a plane, (h, w)."""
        return self._blur(plane).reshape(-1).take(self._windows)

    def _blur(self, planes: Floats) -> Floats:
        means = cv2.blur(planes, self._side, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(means, np.float32)


def evaluate_lines(lines: Floats, srgb: Srgb8) -> Floats:
    """Return the coverage, (h, w) float32, 0..1, of a picture, (h, w, 3) uint8, by lines."""
    total = _sum_channels(lines * _levels(srgb))
    return np.clip(total, 0, 1, out=total)


def _levels(srgb: Srgb8) -> Floats:
    """Return red, green and blue, 0..1, and 1 for the lines' offset: (h, w, 4) float32."""
    return np.multiply(
        cv2.cvtColor(srgb, cv2.COLOR_RGB2RGBA), np.float32(1 / 255), dtype=np.float32
    )


def _times(planes: Floats, factor: Floats) -> Floats:
    """Return (h, w, 4) times (h, w)."""
    # Repeat the plane first: numpy takes several times as long to broadcast it.
    return np.asarray(cv2.multiply(planes, cv2.merge([factor] * _CHANNELS)), np.float32)


def _sum_channels(products: Floats) -> Floats:
    """Return the sums over the last axis, by BLAS: numpy takes ten times as long."""
    return np.asarray(products @ np.ones(products.shape[-1], np.float32), np.float32)


def _dot(first: Sequence[Floats], second: Sequence[Floats]) -> Floats:
    """Return the scalar product of two vectors for each window."""
    total: Floats = first[0] * second[0] + first[1] * second[1] + first[2] * second[2]
    return total


def _invert_covariance(products: Sequence[Floats], means: Sequence[Floats]) -> tuple[Floats, ...]:
    """Return the inverse of each window's color covariance: six vectors, by Cramer's rule."""
    # In double precision: in gray pictures, whose colors lie along one line, the determinant is a
    # difference of numbers that are a million times larger.
    red, green, blue = (mean.astype(np.float64) for mean in means)
    rr, rg, rb, gg, gb, bb = (product.astype(np.float64) for product in products)
    rr, gg, bb = rr - red * red + EPSILON, gg - green * green + EPSILON, bb - blue * blue + EPSILON
    rg, rb, gb = rg - red * green, rb - red * blue, gb - green * blue
    first, second, third = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    inverse_determinant = 1 / (rr * first + rg * second + rb * third)
    planes = (
        first,
        second,
        third,
        rr * bb - rb * rb,
        rb * rg - rr * gb,
        rr * gg - rg * rg,
    )
    return tuple((plane * inverse_determinant).astype(np.float32) for plane in planes)
