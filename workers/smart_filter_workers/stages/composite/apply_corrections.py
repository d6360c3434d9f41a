"""Corrections of a matte: what users drew replaces what the model found."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import NoMask
from smart_filter_workers import images, photo_regions
from smart_filter_workers.connected_parts import label_parts, measure_areas
from smart_filter_workers.opencv import cv2
from smart_filter_workers.photo_regions import PhotoRegions
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import (
    HALF_LEVEL,
    SEEN_LEVEL,
    WHOLE_LEVEL,
    Bools,
    Floats,
    Matte8,
    MatteDrawing,
    PreparedPhoto,
    Segmentation,
    Srgb8,
    Stroke,
)
from smart_filter_workers.stages.composite.cleanup import MAX_ISLAND_SHARE

# Fractional bits of the corners' coordinates: sixteenths of a pixel.
_FIXED_POINT_BITS: Final = 4
# Softness of a stroke's edge, in pixels of the matte, like the models' mattes.
_RIM_PX: Final = 0.8
# Width of the faint pixels around the outline of a model's matte, as a share of its longest side.
# They go with the region next to them: else a removed chair leaves its outline.
_FAINT_SHARE: Final = 0.004
# Values of a canvas: untouched, or removed or kept by the last stroke over the pixel.
_UNTOUCHED: Final = 0
_REMOVED: Final = 1
_KEPT: Final = 2

# Coverage that is sure where a share of a pixel of the canvas, 0..255, is: none up to a half.
_UPPER_HALF: Final = np.clip(2 * np.arange(256) - 255, 0, 255).astype(np.uint8)
# A line marks a region from this share of its area on, whether or not its center crosses the part.
COVERED_SHARE: Final = 0.35
# Width of the ring around a part, in pixels of the matte: as wide as its soft rim.
_SCRAP_RIM_PX: Final = 2

Canvas = NDArray[np.uint8]  # (h, w), the matte's size


def turn_drawing(drawing: MatteDrawing, photo_srgb: Srgb8, quarter_turns: int) -> MatteDrawing:
    """Return a drawing over a photo as it was sent, turned upright with the photo.

    photo_srgb: (H, W, 3) uint8, before the turn.  quarter_turns: counter-clockwise, 0 to 3.
    Raises NoMask when a mask has another size than the photo.
    """
    height, width = photo_srgb.shape[:2]
    mask, strokes = drawing.mask, drawing.strokes
    if mask is not None:
        if mask.shape != (height, width):
            raise NoMask(
                f"the mask is {mask.shape[1]}×{mask.shape[0]}, but the photo is {width}×{height} as"
                " its EXIF orientation shows it; send a mask of that size"
            )
        mask = images.rotate_quarter_turns(mask, quarter_turns)
    # Those of a photo at an address were not compared with its size.
    strokes = tuple(
        replace(
            stroke,
            points=tuple((min(x, width), min(y, height)) for x, y in stroke.points),
        )
        for stroke in strokes
    )
    for turn in range(quarter_turns):
        side = height if turn % 2 else width
        strokes = tuple(
            replace(stroke, points=tuple((y, side - x) for x, y in stroke.points))
            for stroke in strokes
        )
    return replace(drawing, mask=mask, strokes=strokes)


@dataclass(frozen=True, slots=True)
class DrawnMatte:
    """A matte that users drew on.

    forced: where no later step may change the coverage; the rim of a region is left to the edge.
    """

    segmented: Segmentation
    forced: Canvas


def draw_over_matte(
    segmented: Segmentation,
    drawn: Sequence[MatteDrawing],
    prepared: PreparedPhoto,
    model_matte: Matte8,
) -> DrawnMatte:
    """Return the segmentation with the users' drawings applied over its matte and its evidence.

    model_matte: (h, w) uint8, as the model made it.  Where nothing is drawn, the evidence stays: a
    stroke over a cushion says nothing about a hand.
    """
    matte = segmented.matte
    regions: PhotoRegions | None = None
    layers = canvas, forced = np.full((2, *matte.shape), _UNTOUCHED, np.uint8)
    for correction in drawn:
        if correction.mask is not None:
            matte = _shrink_mask(correction.mask, like=matte)
            layers[:] = _UNTOUCHED
        for stroke in correction.strokes:
            if stroke.snap is None:
                for layer in layers:
                    _paint(layer, stroke, prepared)
            else:
                regions = regions or photo_regions.find_regions(prepared.proxy_srgb, model_matte)
                _fill((canvas, forced), stroke, regions, prepared, matte)
    layers[:, _find_scraps(matte, canvas)] = _REMOVED
    matte = _apply_strokes(matte, canvas)
    before, after = (np.count_nonzero(alpha > HALF_LEVEL) for alpha in (segmented.matte, matte))
    # The coverage counts persons that the recipe does not keep, too.
    coverage = segmented.coverage + (after - before) / matte.size if after else 0.0
    evidence = segmented.evidence
    if evidence is not None:
        evidence = _apply_to_evidence(evidence, canvas)
    final = replace(segmented, matte=matte, coverage=coverage, evidence=evidence)
    return DrawnMatte(final, forced)


def force_coverage(matte: Matte8, forced: Canvas) -> Matte8:
    """Return a matte, (H, W) uint8, that is 0 where users removed and 255 where they kept.

    forced: (h, w).  Half a pixel of it inside of a stroke's border, the matte is as soft as it was.
    """
    made = matte
    scale = np.divide(matte.shape, forced.shape)
    for level in (_REMOVED, _KEPT):
        mask = np.where(forced == level, np.uint8(WHOLE_LEVEL), np.uint8(0))
        box = _box_around(mask, margin=1)
        if box is None:
            continue
        (top, left), (bottom, right) = (
            np.rint(scale * corner).astype(int).tolist()
            for corner in ([side.start for side in box], [side.stop for side in box])
        )
        size = (right - left, bottom - top)
        surely = cv2.LUT(cv2.resize(mask[box], size, interpolation=cv2.INTER_LINEAR), _UPPER_HALF)
        if made is matte:
            made = matte.copy()
        place = made[top:bottom, left:right]
        place[:] = (
            np.maximum(place, surely) if level == _KEPT else np.minimum(place, WHOLE_LEVEL - surely)
        )
    return made


def _shrink_mask(mask: Matte8, *, like: Matte8) -> Matte8:
    """Return a mask of the photo's size, (H, W) uint8, shrunk to the size of a matte."""
    size = (like.shape[1], like.shape[0])
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _paint(canvas: Canvas, stroke: Stroke, prepared: PreparedPhoto) -> None:
    """Paint a stroke over the canvas.

    The edge is hard: a job may have thousands of strokes, so painting only touches the pixels that
    a stroke covers.
    """
    height, width = canvas.shape
    scale = np.array([width / prepared.width, height / prepared.height])
    # The center of the first pixel is 0 in OpenCV and one half here.
    corners = np.round((np.array(stroke.points, np.float64) * scale - 0.5) * 2**_FIXED_POINT_BITS)
    # A single point becomes a line to itself: OpenCV draws nothing through one point.
    line = np.concatenate([corners, corners[-1:]]).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(
        canvas,
        [line],
        isClosed=False,
        color=_KEPT if stroke.keep else _REMOVED,
        thickness=max(1, round(stroke.width * float(scale.max()))),
        lineType=cv2.LINE_8,
        shift=_FIXED_POINT_BITS,
    )


def _fill(
    layers: tuple[Canvas, Canvas],
    stroke: Stroke,
    regions: PhotoRegions,
    prepared: PreparedPhoto,
    matte: Matte8,
) -> None:
    """Fill the regions of the photo that a stroke marks, as far as the stroke reaches.

    layers: the canvas and where it is forced.
    """
    canvas, forced = layers
    height, width = canvas.shape
    size = (width, height)
    swath = np.ones_like(canvas)
    if stroke.width:
        swath[:] = 0
        _paint(swath, stroke, prepared)
    marked = _find_marked(stroke, regions, prepared, swath)
    levels = np.where(marked, np.uint8(WHOLE_LEVEL), np.uint8(0))
    filled = cv2.resize(levels[regions.small], size, interpolation=cv2.INTER_NEAREST)
    reach = max(1, round(_FAINT_SHARE * max(size)))
    box = _box_around(np.asarray(cv2.bitwise_and(filled, swath), np.uint8), margin=reach)
    if box is None:
        return
    is_marked = cv2.bitwise_and(filled[box], swath[box])
    is_inside = matte[box] > HALF_LEVEL
    level, same = (_KEPT, is_inside) if stroke.keep else (_REMOVED, ~is_inside)
    near = cv2.bitwise_and(cv2.dilate(is_marked, _square(reach)), swath[box])
    canvas[box][(near > 0) & same & (canvas[box] == _UNTOUCHED)] = level
    canvas[box][is_marked > 0] = level
    # Its border is as coarse as the map: there the edge is learned again from the photo.
    rim_px = math.ceil(width / regions.small.shape[1])
    forced[box][is_marked > 0] = _UNTOUCHED
    forced[box][cv2.erode(is_marked, _square(rim_px)) > 0] = level


def _find_marked(
    stroke: Stroke, regions: PhotoRegions, prepared: PreparedPhoto, swath: Canvas
) -> Bools:
    """Return whether a stroke marks each small region.  swath: not 0 where the stroke covers."""
    count = len(regions.part_of)
    points = np.array(stroke.points) / (prepared.width, prepared.height)
    marked = np.zeros(count, np.bool_)
    marked[regions.numbers_at(points)] = True
    covered = np.zeros(count, np.bool_)
    if stroke.width and len(points) > 1:
        height, width = regions.small.shape
        line = np.zeros_like(swath)
        _paint(line, replace(stroke, width=1e-3), prepared)
        crossed, below = (
            np.bincount(regions.small[small > 0], minlength=count)
            for small in (
                cv2.resize(layer, (width, height), interpolation=cv2.INTER_NEAREST)
                for layer in (line, swath)
            )
        )
        marked |= crossed > 0
        covered = below > COVERED_SHARE * np.bincount(regions.small.ravel(), minlength=count)
    if stroke.width or stroke.snap == "part":
        marked = np.isin(regions.part_of, regions.part_of[marked])
    return marked | (covered & (stroke.snap == "region"))


def _find_scraps(matte: Matte8, canvas: Canvas) -> Bools:
    """Return the (h, w) small parts that strokes cut off: most around them was removed.

    A hand whose wrist was removed is none.
    """
    is_removed = canvas == _REMOVED
    labels, count = label_parts((matte > SEEN_LEVEL) & ~is_removed)
    areas = measure_areas(labels, count)
    areas[0] = 0  # label 0 is everything else
    is_scrap = areas < MAX_ISLAND_SHARE * areas.max()
    is_scrap[labels[canvas == _KEPT]] = False
    near = cv2.dilate(labels.astype(np.float32), _square(_SCRAP_RIM_PX)).astype(np.int32)
    around = np.where(labels > 0, 0, near)
    removed = np.bincount(around[is_removed], minlength=count)
    is_scrap &= removed > np.bincount(around.ravel(), minlength=count) / 2
    is_scrap[0] = False
    return np.asarray(is_scrap[labels])


def _box_around(mask: Canvas, *, margin: int) -> tuple[slice, slice] | None:
    """Return the rows and columns that are not 0, with a margin; None without any."""
    x, y, width, height = cv2.boundingRect(mask)
    if not width:
        return None
    return (
        slice(max(0, y - margin), min(len(mask), y + height + margin)),
        slice(max(0, x - margin), min(mask.shape[1], x + width + margin)),
    )


def _square(reach: int) -> NDArray[np.uint8]:
    return np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)


def _apply_strokes(matte: Matte8, canvas: Canvas) -> Matte8:
    """Return the matte, (h, w) uint8, fully kept or removed under the strokes."""
    if not canvas.any():
        return matte
    drawn = _soften(canvas != _UNTOUCHED)
    kept = _soften(canvas == _KEPT)
    mixed = matte * (1 - drawn) + 255 * kept
    return np.asarray(np.clip(np.rint(mixed), 0, 255), dtype=np.uint8)


def _apply_to_evidence(evidence: Matte8, canvas: Canvas) -> Matte8:
    """Return the small evidence, (h', w') uint8, sure where a stroke keeps any part of a pixel.

    It is none where strokes remove the whole pixel.
    """
    height, width = evidence.shape
    removed, kept = (
        resize(np.where(canvas == level, np.uint8(255), np.uint8(0)), width=width, height=height)
        for level in (_REMOVED, _KEPT)
    )
    left = np.where(removed == WHOLE_LEVEL, np.uint8(0), evidence)
    return np.where(kept > 0, np.uint8(WHOLE_LEVEL), left)


def _soften(where: Bools) -> Floats:
    """Return the coverage, 0..1, of each pixel, with an edge as soft as a model's."""
    blurred = cv2.GaussianBlur(where.astype(np.float32), (0, 0), _RIM_PX)
    return np.asarray(blurred, dtype=np.float32)
