"""Regions of a photo: areas of equal color, each inside, outside or half inside of a matte.

Regions come in two sizes. A small region ends at the photo's edges; a part is a group of
neighboring small regions of similar color, such as the back of a chair.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers import images
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import shrink
from smart_filter_workers.results import (
    HALF_LEVEL,
    SEEN_LEVEL,
    Bytes,
    Doubles,
    EncodedFile,
    Matte8,
    Srgb8,
)

# Longest side of the map. Finer maps take longer, and the edge is learned again from the photo.
MAP_PX: Final = 512
# Superpixels per photo, before the matte's outline splits them. On the measuring set's spoiled
# photos, 600 to 2,000 need the same number of corrections in the median.
SUPERPIXELS: Final = 800
# Neighbors join a part while they differ by less than the part's inside plus this, divided by the
# part's share of the photo. A click repairs 0.28 of a mistake with it, 0.24 with a fifth of it,
# 0.19 with three times as much.
SCALE: Final = 0.1
# Weight of the matte's levels against levels of colors.
MATTE_WEIGHT: Final = 0.2
# An island of the matte below this share of the largest one is one part, whatever its colors: it
# often is a bystander. The same holds for a hole.
ISLAND_SHARE: Final = 0.25
# A part of the matte above this share of it is left in its small regions: it is mostly a person.
# Of 707 clicks on leftovers of 1,200 training photos, 14 remove more than a fifth of the people
# with it, 109 without it; it leaves every part that is at most 5 % people.
MAX_PART_SHARE: Final = 0.25
# Sides of a matte; 0 is outside.
INSIDE, HALF = 1, 2
# Both numbers of a pixel share the 24 bits of its color; the last number takes the rest.
MAX_REGIONS: Final = 4096

Labels: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class PhotoRegions:
    """The regions of a photo.

    small: (h, w) int32, the number of each pixel's small region, from 0.
    part_of: (n,) int32, the part of each small region, numbered from 0.
    """

    small: Labels
    part_of: Labels

    def numbers_at(self, points_01: Doubles) -> Labels:
        """Return the numbers of the small regions at points, (k, 2) x and y in shares, 0..1."""
        height, width = self.small.shape
        x, y = np.minimum((points_01 * (width, height)).astype(np.int32), (width - 1, height - 1)).T
        return np.asarray(self.small[y, x], np.int32)


def find_regions(srgb: Srgb8, matte: Matte8) -> PhotoRegions:
    """Return the regions of a photo; no side of the map is above MAP_PX.

    srgb: (H, W, 3) uint8; matte: (H, W) uint8.
    """
    picture = shrink(srgb, longest_side=MAP_PX)
    height, width = picture.shape[:2]
    coverage = np.asarray(
        cv2.resize(matte, (width, height), interpolation=cv2.INTER_AREA), np.uint8
    )
    lab = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2Lab), dtype=np.uint8)
    sides = _find_sides(coverage)
    small = _split(3 * _flood(lab) + sides)
    return PhotoRegions(small, _group(small, lab, coverage, sides))


def encode_map(srgb: Srgb8, matte: Matte8) -> EncodedFile:
    """Return a PNG of a photo's regions: red · 65536 + green · 256 + blue = small · 4096 + part."""
    regions = find_regions(srgb, matte)
    packed = regions.small * MAX_REGIONS + regions.part_of[regions.small]
    return images.encode_png(np.stack([packed >> 16, packed >> 8, packed], -1).astype(np.uint8))


def _flood(lab: Srgb8) -> Labels:
    """Return superpixels: basins that grow from a grid of seeds until they meet.

    Source: Machairas et al. 2015, "Waterpixels". OpenCV without its contributed modules has no
    other superpixels.
    """
    height, width = lab.shape[:2]
    step = max(2, round((height * width / SUPERPIXELS) ** 0.5))
    grid = np.s_[min(step, height) // 2 :: step, min(step, width) // 2 :: step]
    seeds = np.zeros((height, width), np.int32)
    seeds[grid] = 1 + np.arange(seeds[grid].size).reshape(seeds[grid].shape)
    blurred = cv2.GaussianBlur(lab, (0, 0), 1)
    # OpenCV leaves the picture's rim out: it is made one pixel larger for that.
    around = (1, 1, 1, 1, cv2.BORDER_REPLICATE)
    basins = cv2.watershed(cv2.copyMakeBorder(blurred, *around), np.pad(seeds, 1))[1:-1, 1:-1]
    # Pixels between basins are -1, and get the number of a basin next to them.
    grown = cv2.dilate(basins.astype(np.float32), np.ones((3, 3), np.uint8))
    return np.where(basins > 0, basins, np.asarray(grown)).astype(np.int32)


def _split(labels: Labels) -> Labels:
    """Return a number from 0 for each connected area of equal labels."""
    height, width = labels.shape
    # OpenCV numbers areas of one value, so the seams between other labels are drawn: every second
    # row and column of a picture of twice the size.
    drawn = np.zeros((2 * height - 1, 2 * width - 1), np.uint8)
    drawn[::2, ::2] = 1
    drawn[::2, 1::2] = labels[:, :-1] == labels[:, 1:]
    drawn[1::2, ::2] = labels[:-1] == labels[1:]
    areas = np.asarray(cv2.connectedComponents(drawn, connectivity=4)[1], np.int32)[::2, ::2]
    return np.minimum(areas - 1, MAX_REGIONS - 1)


def _find_sides(coverage: Matte8) -> Bytes:
    """Return the side of the matte that each pixel lies on.

    What shows through by half is a side of its own: it is a leftover or a lost part, whose
    neighbors are right. The soft rim of people is too narrow for that.
    """
    half = ((coverage > SEEN_LEVEL) & (coverage <= HALF_LEVEL)).astype(np.uint8)
    wide = cv2.morphologyEx(half, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return np.where(wide > 0, np.uint8(HALF), (coverage > HALF_LEVEL) * np.uint8(INSIDE))


def _group(small: Labels, lab: Srgb8, coverage: Matte8, sides: Bytes) -> Labels:
    """Return the part of each small region, numbered from 0.

    Source: Felzenszwalb and Huttenlocher 2004, "Efficient graph-based image segmentation", on
    regions in place of pixels.
    """
    count = int(small.max()) + 1
    area = np.bincount(small.ravel(), minlength=count)
    levels = [*np.moveaxis(lab, 2, 0), coverage * MATTE_WEIGHT, sides]
    sums = [np.bincount(small.ravel(), level.ravel(), count) for level in levels]
    *colors, side = np.stack(sums) / area
    side = side.round()
    first, second = np.sort(_touching(small), axis=0)
    pairs = np.stack(np.divmod(np.unique((first * count + second)[first != second]), count))
    pairs = pairs[:, side[pairs[0]] == side[pairs[1]]]
    gaps = np.linalg.norm(np.diff(np.stack(colors)[:, pairs], axis=1)[:, 0], axis=0)
    island = _connect(pairs, count)
    island_area = np.bincount(island, area)
    largest = island_area[island[side == INSIDE]].max(initial=0)
    gaps[island_area[island[pairs[0]]] < ISLAND_SHARE * largest] = 0
    part = _join(pairs, gaps, area / small.size)
    inside_area = area * (side == INSIDE)
    is_large = np.bincount(part, inside_area)[part] > MAX_PART_SHARE * inside_area.sum()
    part = np.where(is_large, count + np.arange(count), part)
    return np.unique(part, return_inverse=True)[1].astype(np.int32)


def _join(pairs: Labels, gaps: Doubles, shares: Doubles) -> Labels:
    """Return for each region the number of one of its part; pairs that differ least join first."""
    sets = _Sets(shares.size)
    # Plain lists: a NumPy scalar takes ten times as long.
    size, most = shares.tolist(), [0.0] * shares.size
    order = np.argsort(gaps, kind="stable")
    for first, second, gap in zip(*pairs[:, order].tolist(), gaps[order].tolist(), strict=True):
        a, b = sets.find(first), sets.find(second)
        if a != b and gap <= min(most[a] + SCALE / size[a], most[b] + SCALE / size[b]):
            sets.parent[b] = a
            size[a] += size[b]
            most[a] = gap
    return sets.numbers()


def _connect(pairs: Labels, count: int) -> Labels:
    """Return the number of one item of each item's component; items of a pair share one."""
    sets = _Sets(count)
    for first, second in pairs.T.tolist():
        sets.parent[sets.find(second)] = sets.find(first)
    return sets.numbers()


class _Sets:
    """Disjoint sets of the numbers below `count`; `parent` of a set's root is the root itself."""

    def __init__(self, count: int) -> None:
        self.parent = list(range(count))

    def find(self, item: int) -> int:
        """Return the root of an item's set."""
        while self.parent[item] != item:
            self.parent[item] = item = self.parent[self.parent[item]]
        return item

    def numbers(self) -> Labels:
        """Return the root of each item's set."""
        return np.array([self.find(item) for item in range(len(self.parent))], np.int32)


def _touching(levels: Labels) -> Labels:
    """Return the values of pixels side by side, (2, m)."""
    across = np.stack([levels[:, :-1].ravel(), levels[:, 1:].ravel()])
    return np.concatenate([across, np.stack([levels[:-1].ravel(), levels[1:].ravel()])], axis=1)
