"""Corrections of a matte: what people drew counts, whatever the model saw."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.results import Drawn, Matte8, Prepared, Segmented, Stroke
from smart_filter_workers.stages.composite.inputs import Inputs

# A pixel is a person's when the matte is above one half.
_HALF: Final = 127.5
# Corners of lines count in sixteenths of a pixel.
_SHIFT: Final = 4
# How soft the rim of a stroke is, in pixels of the matte: as soft as those of models.
_RIM_PX: Final = 0.8
# What a canvas says of a pixel: nobody drew there, or what the last stroke there said.
_BARE: Final = 0
_REMOVED: Final = 1
_KEPT: Final = 2

Canvas = NDArray[np.uint8]  # (h, w), the matte's size


def corrected(inputs: Inputs) -> Inputs:
    """Return the inputs with the matte as people corrected it."""
    segmented = inputs.segmented
    if segmented is None or not inputs.drawn:
        return inputs
    return replace(inputs, segmented=drawn_over(segmented, inputs.drawn, inputs.prepared))


def drawn_over(segmented: Segmented, drawn: Sequence[Drawn], prepared: Prepared) -> Segmented:
    """Return the matte of a photo with what people drew in place of what the model saw."""
    matte = segmented.matte
    canvas = np.full(matte.shape, _BARE, np.uint8)
    for one in drawn:
        if one.mask is not None:
            matte = _shrunk(one.mask, like=matte)
            canvas[:] = _BARE
        for stroke in one.strokes:
            _paint(canvas, stroke, prepared)
    matte = _with_strokes(matte, canvas)
    coverage = float(np.count_nonzero(matte > _HALF)) / matte.size
    return replace(segmented, matte=matte, coverage=coverage)


def _shrunk(mask: Matte8, *, like: Matte8) -> Matte8:
    """Return a mask of the photo's size, (H, W) uint8, at the size of a matte."""
    size = (like.shape[1], like.shape[0])
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _paint(canvas: Canvas, stroke: Stroke, prepared: Prepared) -> None:
    """Paint a stroke over what the canvas says.

    Its rim is hard: a job may have thousands of strokes, so that nothing is done here with
    pixels that a stroke does not cover.
    """
    height, width = canvas.shape
    scale = np.array([width / prepared.width, height / prepared.height])
    # The middle of OpenCV's first pixel is at 0, of ours at one half.
    corners = np.round((np.array(stroke.points, np.float64) * scale - 0.5) * 2**_SHIFT)
    # A dot is a line to itself: OpenCV draws nothing through one point.
    line = np.concatenate([corners, corners[-1:]]).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(
        canvas,
        [line],
        isClosed=False,
        color=_KEPT if stroke.keep else _REMOVED,
        thickness=max(1, round(stroke.width * float(scale.max()))),
        lineType=cv2.LINE_8,
        shift=_SHIFT,
    )


def _with_strokes(matte: Matte8, canvas: Canvas) -> Matte8:
    """Return the matte, (h, w) uint8, with all or nothing of people where strokes are."""
    if not canvas.any():
        return matte
    drawn = _softened(canvas != _BARE)
    kept = _softened(canvas == _KEPT)
    mixed = matte * (1 - drawn) + 255 * kept
    return np.asarray(np.clip(np.rint(mixed), 0, 255), dtype=np.uint8)


def _softened(where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the share, 0..1, of each pixel, with a rim as soft as a model's."""
    blurred = cv2.GaussianBlur(where.astype(np.float32), (0, 0), _RIM_PX)
    return np.asarray(blurred, dtype=np.float32)
