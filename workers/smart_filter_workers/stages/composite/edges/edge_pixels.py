"""Edge pixels: the pixels of a large picture where a matte is neither 0 nor 1.

Only they are computed. In a portrait they are a twentieth of the pixels, and no second array of the
photo's size is needed.

Without this step the old background shines through hair and along shoulders.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bytes, Floats, Matte8, Srgb8
from smart_filter_workers.stages.composite.edges.edge_learning import LearnedEdge

_STRIP_ROWS: Final = 128
# Pixels of one part: their colors as floats stay in the cache, and OpenCV limits the length of a
# row to 32,767.
_MOST_PIXELS: Final = 8192

# Shares of the small picture's longest side. A wide window finds the colors of hair and backdrop
# beyond the mixed band; a narrow one then keeps the changes along the edge.
WIDE_RADIUS: Final = 0.0425
NARROW_RADIUS: Final = 0.005
# Share of the longest side up to which lens and JPEG mix colors across an edge.
MIXED_SHARE: Final = 0.0005
# Weight of the pixels at an edge among those inside.
EDGE_WEIGHT: Final = np.float32(0.3)
_EPSILON: Final = 1e-4  # keeps the reciprocal of a weight of 0 finite

_WHOLE: Final = np.float32(255)
_SUM: Final = np.ones((1, 4), np.float32)


@dataclass(frozen=True, slots=True)
class EdgePixels:
    """Some of a picture's edge pixels.

    rows: the strip of rows that contains them.  places: (n,) int64, their places in the strip, row
    by row.  x, y: (1, n) float32, their middles as shares of the picture's width and height.
    """

    rows: slice
    places: NDArray[np.int64]
    x: Floats
    y: Floats

    def take(self, picture: Bytes) -> Bytes:
        """Return these pixels of a picture, (H, W[, C]) uint8, as (1, n[, C])."""
        strip = picture[self.rows]
        return strip.reshape(-1, *strip.shape[2:]).take(self.places, axis=0)[np.newaxis]

    def put(self, picture: Bytes, pixels: Bytes) -> None:
        """Replace these pixels of a contiguous picture, (H, W[, C]) uint8, by (1, n[, C])."""
        # A pixel is one item of bytes: numpy takes up to eight times as long to store rows of them.
        pixel = np.dtype((np.void, math.prod(picture.shape[2:])))
        strip = picture[self.rows].reshape(-1, copy=False).view(pixel)
        strip[self.places] = np.ascontiguousarray(pixels).reshape(-1).view(pixel)

    def enlarge(self, small: Floats) -> Floats:
        """Return these pixels, (1, n, C), of a map of any size enlarged linearly."""
        height, width = small.shape[:2]
        x, y = self.x * np.float32(width), self.y * np.float32(height)
        x -= 0.5
        y -= 0.5
        enlarged = cv2.remap(small, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(enlarged, np.float32)


def find_inner(matte: Matte8) -> Matte8:
    """Return how far each pixel shows people alone, (H, W) uint8: 0 only outside a matte.

    Lens and JPEG mix the background into pixels next to it that people cover whole.
    """
    side = (2 * max(1, round(MIXED_SHARE * max(matte.shape))) + 1,) * 2
    inner = np.asarray(cv2.blur(cv2.erode(matte, np.ones(side)), side), np.uint8)
    return inner | (matte > 0)


def find_edge_pixels(matte: Matte8) -> Iterator[EdgePixels]:
    """Yield the pixels at which a matte, (H, W) uint8, is neither 0 nor 255, part by part."""
    height, width = matte.shape
    for top in range(0, height, _STRIP_ROWS):
        rows = slice(top, min(height, top + _STRIP_ROWS))
        places = np.flatnonzero(cv2.inRange(matte[rows], 1, 254) > 0)
        for first in range(0, len(places), _MOST_PIXELS):
            some = places[first : first + _MOST_PIXELS]
            # The row, and x as its fraction; dividing integers takes three times as long. Single
            # precision tells the pixels of a strip apart up to 32,767 a row.
            across = some[np.newaxis].astype(np.float32)
            across += 0.5
            across /= width
            row = np.floor(across)
            across -= row
            row += top + 0.5
            row /= height
            yield EdgePixels(rows, some, across, row)


def estimate_colors(srgb: Srgb8, coverage: Floats) -> tuple[Floats, Floats]:
    """Return the colors of people and of the old background near each point of the edge.

    srgb: (h, w, 3) uint8; coverage: (h, w) float32, 0..1.  Returns two (h, w, 3) float32, 0..255;
    far from the edge they are meaningless.  They are smooth, so a small picture serves a photo of
    any size.
    Source: Forte 2021, "Approximate fast foreground colour estimation" (blur fusion, twice).
    """
    people, backdrop = _wide_means(srgb, coverage)
    colors = unmix_foreground(srgb.astype(np.float32), coverage[..., np.newaxis], people, backdrop)
    narrow = max(1, round(NARROW_RADIUS * max(coverage.shape)))
    return _mean(cv2.split(colors), _weigh_inner(coverage), narrow), backdrop


def _weigh_inner(coverage: Floats) -> Floats:
    """Return weights, (h, w) float32: less at the edge of a coverage, (h, w) float32."""
    return cv2.erode(coverage, np.ones((3, 3))) + EDGE_WEIGHT * coverage


def remove_backdrop(colors: Floats, inner: Floats, people: Floats, backdrop: Floats) -> Floats:
    """Return the people's colors, (H, W, 3) float32 0..255, without what is left of the backdrop's.

    inner: (H, W, 1) float32, 0..1: pixels that show people alone do not change.  What does not lead
    from the people's color to the backdrop's stays.
    """
    away = backdrop - people
    left, whole = (np.vecdot(part, away)[..., np.newaxis] for part in (colors - people, away))
    colors -= away * np.clip(left / (whole + 1), 0, 1 - inner)
    return np.clip(colors, 0, 255, out=colors)


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
        cv2.resize(_mean(colors, np.square(_weigh_inner(weight)), radius), (width, height))
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


def upsample(learned: LearnedEdge, photo_srgb: Srgb8) -> Matte8:
    """Return the matte at the photo's size.

    photo_srgb: (H, W, 3) uint8, the large version of the learned picture.  Returns (H, W) uint8.
    Source: He & Sun 2015, "Fast guided filter": the linear function is found on the small picture
    and applied to the large one.
    """
    height, width = photo_srgb.shape[:2]
    coverage = np.round(learned.coverage * 255).astype(np.uint8)
    large: Matte8 = np.empty((height, width), np.uint8)
    cv2.resize(coverage, (width, height), dst=large, interpolation=cv2.INTER_LINEAR)
    if learned.lines is None:
        return large
    for edge in find_edge_pixels(large):
        lines = edge.enlarge(learned.lines)
        # A fourth channel of 255 adds the lines' offset; numpy is slow on three of four channels.
        levels = cv2.cvtColor(edge.take(photo_srgb), cv2.COLOR_RGB2RGBA).astype(np.float32)
        total = cv2.transform(np.multiply(levels, lines, out=levels), _SUM)
        if learned.bounds is not None:
            bound = edge.enlarge(learned.bounds)
            bound *= _WHOLE
            total = cv2.min(cv2.max(total, bound[..., 0]), bound[..., 1])
        # convertScaleAbs takes absolute values: clip negative ones to 0 first.
        edge.put(large, np.asarray(cv2.convertScaleAbs(np.maximum(total, 0)), np.uint8))
    return large
