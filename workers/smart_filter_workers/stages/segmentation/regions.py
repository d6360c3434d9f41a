"""Regions of a picture: what holds somebody with a margin, and how a picture is tiled."""

import math
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Rows and columns of a picture.
Region: TypeAlias = tuple[slice, slice]

# Less than this is nobody.
FEWEST_FOUND_PX = 40
# This share of somebody's pixels at each end counts for an outlier.
OUTLIERS = 0.005
# Smaller tiles than this show a network nothing.
SMALLEST_TILE_PX = 96


def holding(matte_01: Floats, *, above: float, margin: float, margin_px: int) -> Region | None:
    """Return the region that holds the people of a matte; None when there is nobody.

    matte_01: (H, W) float32, 0..1; above: what counts as a person's; margin: what is added
    on each side, as a share of the people's height and width, and margin_px in pixels.
    """
    people = matte_01 > above
    in_row, in_column = np.count_nonzero(people, axis=1), np.count_nonzero(people, axis=0)
    if in_row.sum() < FEWEST_FOUND_PX:
        return None
    return _span(in_row, margin, margin_px), _span(in_column, margin, margin_px)


def tiles(height: int, width: int, *, share: float) -> Iterator[Region]:
    """Yield squares that cover a picture and overlap by about half.

    share: their side as a share of the picture's longest one.
    """
    side = round(max(share * max(height, width), SMALLEST_TILE_PX))
    for top in _starts(height, side):
        for left in _starts(width, side):
            yield slice(top, top + min(side, height)), slice(left, left + min(side, width))


def grown(region: Region, share: float, height: int, width: int) -> Region:
    """Return the region grown by a share of its size on each side, cut at the picture's edges.

    height, width: the picture's.
    """
    rows, columns = region
    return _grown(rows, share, height), _grown(columns, share, width)


def _span(counts: NDArray[np.intp], margin: float, margin_px: int) -> slice:
    """Return where most of `counts` lies, outliers left out and a margin added."""
    share = np.cumsum(counts) / counts.sum()
    first, last = np.searchsorted(share, (OUTLIERS, 1 - OUTLIERS))
    added = (last - first) * margin + margin_px
    return slice(max(0, int(first - added)), min(len(counts), int(last + added) + 1))


def _starts(length: int, side: int) -> list[int]:
    if side >= length:
        return [0]
    number = max(2, math.ceil((length - side) / (side / 2)) + 1)
    return [int(start) for start in np.linspace(0, length - side, number)]


def _grown(span: slice, share: float, length: int) -> slice:
    added = round(share * (span.stop - span.start))
    return slice(max(0, span.start - added), min(length, span.stop + added))
