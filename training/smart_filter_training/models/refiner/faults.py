"""Draw the faults of mattes that the refiner learns to correct, and the shadows that cause them.

Shares and sizes are judgments from looking at mattes of `people`; none was measured by itself.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import HALF_LEVEL, Bools, Matte8, Srgb8
from smart_filter_workers.stages.segmentation.regions import Region

Rng = np.random.Generator

# The shares of samples with each fault; of the last three a sample has at most one.
SHADOW_SHARE, REGIONS_SHARE = 0.15, 0.6
HOLE_SHARE, COPY_SHARE, THICKNESS_SHARE = 0.07, 0.04, 0.1
# A shadow: how it lies next to its person, as shares of the width and of the height; its stretch
# and shear; the blur of its edge in pixels; the share of light in it.
SHADOW_ASIDE, SHADOW_DOWN = (0.05, 0.35), (-0.05, 0.12)
SHADOW_WIDTH, SHADOW_HEIGHT, SHADOW_SHEAR = (0.8, 1.25), (0.7, 1.15), 0.35
SHADOW_BLUR_PX, SHADOW_LIGHT = (0.6, 5.0), (0.25, 0.65)
# Of half of the shadows the matte holds this much; networks take only some for people.
SHADOW_SEEN_SHARE, SHADOW_COVERAGE = 0.5, (0.8, 1.3)
MIN_SHADOW_PX: Final = 50
# Wrong regions: their number, the share that is added, how far from the outline they start in
# pixels, and their radius as a share of the longer side.
REGIONS, ADDED_SHARE, REACH_PX = (1, 3), 0.6, (4, 22)
RADIUS, REGION_COVERAGE, REGION_BLUR_PX = (0.06, 0.35), (0.7, 1.0), 1.2
# The share of regions that end at color edges, such as a bag, a collar or a piece of wall; the
# others have one color. A picture is cut into this number of pieces.
PIECE_SHARE, PIECES = 0.5, (25, 120)
# The difference of levels within a region of one color.
TOLERANCE: Final = (14.0, 45.0)
# The share of added regions that start in a pocket: next to a neck, below an ear, between arm and
# body. A pocket is closed by a disc of this diameter, as a share of the longer side.
POCKET_SHARE, POCKET_DIAMETER = 0.5, (0.06, 0.25)
# The share of lost regions that start anywhere inside, as holes do.
INSIDE_SHARE: Final = 0.3
# Pixels of one color are found in a smoothed picture, so that noise does not end a region.
_SMOOTHED_PX: Final = 5
# The half axes of a hole, and how far away a copy lies, as shares of the sides.
HOLE_RADIUS, COPY_SHIFT = (0.1, 0.5), 0.4
# By how many pixels an outline moves, and how often all of it does; else a part of it.
THICKNESS_PX, WHOLE_OUTLINE_SHARE = (1, 5), 0.4


@dataclass(frozen=True, slots=True)
class Sample:
    """A crop with the matte to correct and the right one.

    srgb: (H, W, 3) uint8; people, target: (H, W) uint8; counted: (H, W) bool, the pixels whose
    target is right.
    """

    srgb: Srgb8
    people: Matte8
    target: Matte8
    counted: Bools

    def crop(self, region: Region) -> "Sample":
        """Return a part of the sample."""
        return Sample(
            np.ascontiguousarray(self.srgb[region]),
            np.ascontiguousarray(self.people[region]),
            np.ascontiguousarray(self.target[region]),
            np.ascontiguousarray(self.counted[region]),
        )

    def stretch(self, *, width: int, height: int) -> "Sample":
        """Return the sample stretched to a size; only pixels of counted ones count."""
        missing = np.where(self.counted, np.uint8(0), np.uint8(255))
        return Sample(
            resize(self.srgb, width=width, height=height),
            resize(self.people, width=width, height=height),
            resize(self.target, width=width, height=height),
            resize(missing, width=width, height=height) == 0,
        )


def cast_shadow(rng: Rng, sample: Sample) -> Sample:
    """Return a sample whose people throw a shadow behind them; half of the mattes hold it."""
    height, width = sample.target.shape
    rows, columns = np.nonzero(sample.target > HALF_LEVEL)
    if len(rows) < MIN_SHADOW_PX:
        return sample
    shear = rng.uniform(-SHADOW_SHEAR, SHADOW_SHEAR)
    turned = np.array([[rng.uniform(*SHADOW_WIDTH), shear], [0, rng.uniform(*SHADOW_HEIGHT)]])
    feet = np.array([columns.mean(), rows.max()])
    aside = rng.choice((-1, 1)) * rng.uniform(*SHADOW_ASIDE) * width
    below = rng.uniform(*SHADOW_DOWN) * height
    shift = feet + np.array([aside, below]) - turned @ feet
    moved = cv2.warpAffine(sample.target, np.column_stack([turned, shift]), (width, height))
    blurred = cv2.GaussianBlur(moved, (0, 0), rng.uniform(*SHADOW_BLUR_PX))
    shadow = blurred / np.float32(255) * (1 - sample.target / np.float32(255))
    light = 1 - shadow * (1 - rng.uniform(*SHADOW_LIGHT))
    srgb = (sample.srgb * light[..., np.newaxis]).astype(np.uint8)
    if rng.random() >= SHADOW_SEEN_SHARE:
        return replace(sample, srgb=srgb)
    seen = np.clip(shadow * rng.uniform(*SHADOW_COVERAGE), 0, 1) * 255
    people = np.maximum(sample.people, seen.astype(np.uint8))
    return replace(sample, srgb=srgb, people=people)


def add_faults(rng: Rng, sample: Sample) -> Sample:
    """Return a sample whose matte has random faults more."""
    people = sample.people
    if rng.random() < REGIONS_SHARE:
        people = change_regions(rng, sample)
    kind = rng.random()
    if kind < HOLE_SHARE:
        people = np.where(_draw_ellipse(rng, people.shape), np.uint8(0), people)
    elif kind < HOLE_SHARE + COPY_SHARE:
        shift = [int(side * rng.uniform(-COPY_SHIFT, COPY_SHIFT)) for side in people.shape]
        people = np.maximum(people, np.roll(people, shift, axis=(0, 1)))
    elif kind < HOLE_SHARE + COPY_SHARE + THICKNESS_SHARE:
        people = move_outline(rng, people)
    return replace(sample, people=people)


def move_outline(rng: Rng, people: Matte8) -> Matte8:
    """Return a matte whose outline, or a part of it, is moved to either side."""
    change = (cv2.dilate, cv2.erode)[int(rng.integers(2))]
    square = _square(int(rng.integers(*THICKNESS_PX, endpoint=True)))
    moved = np.asarray(change(people, square), np.uint8)
    if rng.random() < WHOLE_OUTLINE_SHARE:
        return moved
    return np.where(_draw_ellipse(rng, people.shape), moved, people)


def change_regions(rng: Rng, sample: Sample) -> Matte8:
    """Return a sample's matte with regions added or lost: of one color, or along color edges."""
    smooth = np.asarray(cv2.blur(sample.srgb, (_SMOOTHED_PX, _SMOOTHED_PX)), np.uint8)
    inside = sample.target > HALF_LEVEL
    people = sample.people
    for _ in range(int(rng.integers(*REGIONS, endpoint=True))):
        adds = rng.random() < ADDED_SHARE
        side = ~inside if adds else inside
        rows, columns = np.nonzero(side & _find_starts(rng, inside, adds=adds))
        if len(rows) == 0:
            continue
        start = int(rng.integers(len(rows)))
        find = find_piece if rng.random() < PIECE_SHARE else _fill
        region = find(rng, smooth, int(rows[start]), int(columns[start])) & side
        region &= _is_near(rng, region.shape, int(rows[start]), int(columns[start]))
        soft = cv2.GaussianBlur(region.astype(np.float32), (0, 0), REGION_BLUR_PX)
        # Only what lies on the right side is changed; the blur would move the outline.
        level = soft * side
        if adds:
            added = level * 255 * rng.uniform(*REGION_COVERAGE)
            people = np.maximum(people, added.astype(np.uint8))
        else:
            people = (people * (1 - level)).astype(np.uint8)
    return people


def _find_starts(rng: Rng, inside: Bools, *, adds: bool) -> Bools:
    """Return where a region may start: in pockets, anywhere inside, or near the outline."""
    if adds and rng.random() < POCKET_SHARE:
        pockets = find_pockets(inside, rng.uniform(*POCKET_DIAMETER))
        if pockets.any():
            return pockets
    if not adds and rng.random() < INSIDE_SHARE:
        return inside
    reach = _square(int(rng.integers(*REACH_PX, endpoint=True)))
    other = inside if adds else ~inside
    return np.asarray(cv2.dilate(other.view(np.uint8), reach) > 0)


def find_pockets(inside: Bools, diameter: float) -> Bools:
    """Return the pixels outside of people that a disc, rolled around them, does not reach.

    diameter: of the disc, as a share of the longer side.
    """
    side_px = max(3, int(diameter * max(inside.shape)) | 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side_px, side_px))
    return np.asarray(cv2.morphologyEx(inside.view(np.uint8), cv2.MORPH_CLOSE, disc) > 0) & ~inside


def find_piece(rng: Rng, srgb: Srgb8, row: int, column: int) -> Bools:
    """Return the piece with a pixel, of a picture cut along its color edges.

    Source: Meyer 1992, "Color image segmentation": watersheds around random places.
    """
    height, width = srgb.shape[:2]
    count = int(rng.integers(*PIECES))
    pieces = np.zeros((height, width), np.int32)
    places = rng.integers(height, size=count), rng.integers(width, size=count)
    pieces[places] = np.arange(1, count + 1)
    cv2.watershed(srgb, pieces)
    # The lines between pieces are -1; a piece gets the lines around it.
    pieces = np.asarray(cv2.dilate(pieces.astype(np.float32), _square(1)))
    return np.asarray(pieces == pieces[row, column])


def _fill(rng: Rng, srgb: Srgb8, row: int, column: int) -> Bools:
    """Return the pixels of about one color around a pixel."""
    height, width = srgb.shape[:2]
    filled = np.zeros((height + 2, width + 2), np.uint8)  # cv2 needs a border
    tolerance = (rng.uniform(*TOLERANCE),) * 3
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE  # 4 neighbors
    cv2.floodFill(srgb, filled, (column, row), 0, tolerance, tolerance, flags)
    return np.asarray(filled[1:-1, 1:-1] > 0)


def _is_near(rng: Rng, shape: tuple[int, ...], row: int, column: int) -> Bools:
    """Return the pixels within a random radius of one."""
    height, width = shape
    radius = rng.uniform(*RADIUS) * max(height, width)
    rows, columns = np.ogrid[:height, :width]
    return np.asarray((rows - row) ** 2 + (columns - column) ** 2 < radius**2)


def _draw_ellipse(rng: Rng, shape: tuple[int, ...]) -> Bools:
    height, width = shape
    rows, columns = np.ogrid[:height, :width]
    down = (rows - rng.uniform(0, height)) / (rng.uniform(*HOLE_RADIUS) * height)
    across = (columns - rng.uniform(0, width)) / (rng.uniform(*HOLE_RADIUS) * width)
    return np.asarray(down**2 + across**2 < 1)


def _square(reach_px: int) -> NDArray[np.uint8]:
    return np.ones((2 * reach_px + 1,) * 2, np.uint8)
