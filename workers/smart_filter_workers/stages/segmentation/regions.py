"""Regions of a picture: the bounds of its people with a margin, and tiles.

Restrict the people of a photo to its region of interest.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.recipe import Length
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import HALF_LEVEL, Bools, Floats, Matte8, PreparedPhoto
from smart_filter_workers.stages.segmentation.models.base import People

# Rows and columns of a picture.
Region: TypeAlias = tuple[slice, slice]

# Fewer pixels than this are no person.
MIN_FOUND_PX = 40
# This share of the pixels at each end counts as outliers.
OUTLIER_SHARE = 0.005
# Networks that correct outlines see people with this margin: a share of their height and width, and
# pixels.
MARGIN_SHARE, MARGIN_PX = 0.15, 4
# Smaller tiles show a network too little.
MIN_TILE_PX = 96

# Left, top, right and bottom, in pixels of the photo or percent of its sides.
Roi: TypeAlias = tuple[Length, Length, Length, Length]

# A person with less than this share inside the region is left out: only a sleeve, for example.
MIN_SHARE: Final = 0.02


def find_region(matte_01: Floats, *, above: float, margin: float, margin_px: int) -> Region | None:
    """Return the region that contains the people of a matte; None when there are none.

    matte_01: (H, W) float32, 0..1; above: threshold of a person's pixels; margin: the margin on
    each side, as a share of the people's height and width, and margin_px in pixels.
    """
    return _bound(matte_01 > above, margin, margin_px)


def find_people(matte: Matte8) -> Region | None:
    """Return the region that contains the people of a matte, with the margin for outlines, or None.

    matte: (H, W) uint8.
    """
    return _bound(matte > HALF_LEVEL, MARGIN_SHARE, MARGIN_PX)


def count_along(mask: Bools) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the set pixels of a mask, (H, W), in each row, (H,), and in each column, (W,)."""
    # Numpy takes ten times as long.
    in_row, in_column = (
        cv2.reduce(mask.view(np.uint8), axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S) for axis in (1, 0)
    )
    return np.asarray(in_row, np.int32).reshape(-1), np.asarray(in_column, np.int32).reshape(-1)


def make_tiles(height: int, width: int, *, share: float) -> Iterator[Region]:
    """Yield squares that cover a picture and overlap by about half.

    share: their side as a share of the picture's longest one.
    """
    side = round(max(share * max(height, width), MIN_TILE_PX))
    for top in _starts(height, side):
        for left in _starts(width, side):
            yield slice(top, top + min(side, height)), slice(left, left + min(side, width))


def grow_region(region: Region, share: float, height: int, width: int) -> Region:
    """Return the region grown by a share of its size on each side, cut at the picture's edges.

    height, width: the picture's.
    """
    rows, columns = region
    return _grow_span(rows, share, height), _grow_span(columns, share, width)


def surround_box(box: Iterable[int], *, margin: int) -> Region:
    """Return the rows and columns of a box with a margin, in pixels, on each side.

    box: left, top, width and height.
    """
    left, top, width, height = map(int, box)
    return (
        slice(max(0, top - margin), top + height + margin),
        slice(max(0, left - margin), left + width + margin),
    )


def _bound(people: Bools, margin: float, margin_px: int) -> Region | None:
    in_row, in_column = count_along(people)
    if in_row.sum() < MIN_FOUND_PX:
        return None
    return _span(in_row, margin, margin_px), _span(in_column, margin, margin_px)


def _span(counts: NDArray[np.int32], margin: float, margin_px: int) -> slice:
    """Return the range that contains most of `counts`, without outliers and with a margin."""
    share = np.cumsum(counts) / counts.sum()
    first, last = np.searchsorted(share, (OUTLIER_SHARE, 1 - OUTLIER_SHARE))
    added = (last - first) * margin + margin_px
    return slice(max(0, int(first - added)), min(len(counts), int(last + added) + 1))


def _starts(length: int, side: int) -> list[int]:
    if side >= length:
        return [0]
    number = max(2, math.ceil((length - side) / (side / 2)) + 1)
    return [int(start) for start in np.linspace(0, length - side, number)]


def _grow_span(span: slice, share: float, length: int) -> slice:
    added = round(share * (span.stop - span.start))
    return slice(max(0, span.start - added), min(length, span.stop + added))


def crop_people(people: People, roi: Roi, prepared: PreparedPhoto) -> People:
    """Return the people inside a region, cut at its border; it may extend beyond the photo."""
    height, width = people.matte.shape
    left, top, right, bottom = (
        round(length.to_px(side) * pixels / side)
        for length, side, pixels in zip(
            roi,
            (prepared.width, prepared.height) * 2,
            (width, height) * 2,
            strict=True,
        )
    )
    inside = (slice(max(0, top), max(0, bottom)), slice(max(0, left), max(0, right)))
    return replace(
        people,
        matte=_crop_matte(people.matte, inside),
        persons=people.persons and _crop_persons(people.persons, inside),
        possible=_crop_persons(people.possible, inside),
        attached=None if people.attached is None else _crop_matte(people.attached, inside),
        evidence=None if people.evidence is None else _crop_matte(people.evidence, inside),
    )


def _crop_persons(persons: Iterable[Matte8], inside: Region) -> tuple[Matte8, ...]:
    return tuple(_crop_matte(person, inside) for person in persons if _is_inside(person, inside))


def _crop_matte(matte: Matte8, inside: Region) -> Matte8:
    cut = np.zeros_like(matte)
    cut[inside] = matte[inside]
    return cut


def _is_inside(person: Matte8, inside: Region) -> bool:
    whole = np.count_nonzero(person > HALF_LEVEL)
    return bool(np.count_nonzero(person[inside] > HALF_LEVEL) > MIN_SHARE * whole)
