"""Upsampling: bring a matte to the size of the photo, guided by the photo's own colors."""

from typing import Final

import numpy as np

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.stages.composite.matting.edge_learning import LearnedEdge
from smart_filter_workers.stages.composite.matting.edge_pixels import find_edge_pixels

_WHOLE: Final = np.float32(255)
_SUM: Final = np.ones((1, 4), np.float32)


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
