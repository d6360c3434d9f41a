"""Corrections of a matte: what people drew counts, whatever the model saw."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from smart_filter_workers.results import Drawn, Matte8, Prepared, Segmented, Stroke
from smart_filter_workers.stages.composite.inputs import Inputs

# A pixel is a person's when the matte is above one half.
_HALF: Final = 127.5
# Corners of lines count in sixteenths of a pixel.
_SHIFT: Final = 4
# How soft the rim of a stroke is, in pixels of the matte: as soft as those of models.
_RIM_PX: Final = 0.8


def corrected(inputs: Inputs) -> Inputs:
    """Return the inputs with the matte as people corrected it."""
    segmented = inputs.segmented
    if segmented is None or not inputs.drawn:
        return inputs
    return replace(inputs, segmented=_drawn_over(segmented, inputs.drawn, inputs.prepared))


def _drawn_over(segmented: Segmented, drawn: Sequence[Drawn], prepared: Prepared) -> Segmented:
    matte = segmented.matte
    for one in drawn:
        if one.mask is not None:
            matte = _shrunk(one.mask, like=matte)
        for stroke in one.strokes:
            matte = _with_stroke(matte, stroke, prepared)
    coverage = float(np.count_nonzero(matte > _HALF)) / matte.size
    return replace(segmented, matte=matte, coverage=coverage)


def _shrunk(mask: Matte8, *, like: Matte8) -> Matte8:
    """Return a mask of the photo's size, (H, W) uint8, at the size of a matte."""
    size = (like.shape[1], like.shape[0])
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _with_stroke(matte: Matte8, stroke: Stroke, prepared: Prepared) -> Matte8:
    """Return the matte, (h, w) uint8, with all or nothing of people under a stroke."""
    height, width = matte.shape
    scale = np.array([width / prepared.width, height / prepared.height])
    # The middle of OpenCV's first pixel is at 0, of ours at one half.
    corners = np.round((np.array(stroke.points, np.float64) * scale - 0.5) * 2**_SHIFT)
    # A dot is a line to itself: OpenCV draws nothing through one point.
    line = np.concatenate([corners, corners[-1:]]).astype(np.int32).reshape(-1, 1, 2)
    thickness = max(1, round(stroke.width * float(scale.max())))
    under = np.zeros(matte.shape, np.uint8)
    cv2.polylines(
        under,
        [line],
        isClosed=False,
        color=255,
        thickness=thickness,
        lineType=cv2.LINE_AA,
        shift=_SHIFT,
    )
    share = cv2.GaussianBlur(under, (0, 0), _RIM_PX).astype(np.float32) / 255
    level = np.float32(255 if stroke.keep else 0)
    mixed = matte + share * (level - matte)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), dtype=np.uint8)
