"""Contours: cut out a person before a plain wall by edges alone, without a network.

Edges are thickened until they close, their insides are filled, and the thickening is undone. The
method does not recognize persons: a busy wall yields contours just as well as a face.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Srgb8

# Every picture is resized to this longest side, so that pixels and iterations mean the same for
# each. On training portraits the defaults reach 0.55 IoU at 1024 px, 0.44 at 640, 0.27 at the
# photos' own 320.
LONGEST_SIDE_PX: Final = 1024


@dataclass(frozen=True, slots=True)
class Tuning:
    """Parameters of the contour search; lengths in pixels of a picture whose longest side is 1024.

    blur_px: side of the Gaussian kernel that blurs the gray picture, 1 for none; an even value
        counts as the next odd one, also in smooth_px.
    canny_low, canny_high: thresholds of the gradient: above high is an edge, above low is one where
        it continues another.
    sobel_px: side of the kernel that takes the gradient: 3, 5 or 7.
    dilations: how often edges grow by a pixel; erosions: how often the filled area shrinks.
    least_area, most_area: area that a filled contour encloses, as shares of the picture.
    smooth_px: side of the Gaussian kernel that softens the mask.
    """

    blur_px: int
    canny_low: int
    canny_high: int
    sobel_px: int
    dilations: int
    erosions: int
    least_area: float
    most_area: float
    smooth_px: int


@dataclass(frozen=True, slots=True)
class ContourSteps:
    """The result of each step: (h, w) uint8, 0 to 255, at the working size."""

    blurred: Matte8
    edges: Matte8
    dilated: Matte8
    filled: Matte8
    eroded: Matte8
    smooth: Matte8


def trace_contours(srgb: Srgb8, tuning: Tuning) -> ContourSteps:
    """Return the areas that edges enclose in a picture, with every intermediate step.

    srgb: (H, W, 3) uint8.  The matte is `smooth`; its size differs from the picture's.
    Source: Canny 1986, "A computational approach to edge detection", for the edges; Suzuki &
    Abe 1985 for the contours.
    """
    blurred = _blur(_to_gray(srgb), tuning.blur_px)
    edges = np.asarray(
        cv2.Canny(
            blurred,
            min(tuning.canny_low, tuning.canny_high),
            tuning.canny_high,
            # After a wide blur the usual kernel of 3 finds no gradient of 150 anywhere: 0.01 IoU.
            apertureSize=tuning.sobel_px,
            L2gradient=True,
        ),
        dtype=np.uint8,
    )
    dilated = np.asarray(
        cv2.dilate(edges, _neighborhood(), iterations=tuning.dilations), dtype=np.uint8
    )
    filled = _fill_contours(dilated, tuning)
    eroded = _erode(filled, tuning.erosions)
    return ContourSteps(blurred, edges, dilated, filled, eroded, _blur(eroded, tuning.smooth_px))


def _to_gray(srgb: Srgb8) -> Matte8:
    """Return the brightness of the picture at the working size."""
    height, width = srgb.shape[:2]
    scale = LONGEST_SIDE_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    gray = cv2.cvtColor(srgb, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, size, interpolation=how), dtype=np.uint8)


def _blur(picture: Matte8, side_px: int) -> Matte8:
    side = (side_px | 1,) * 2  # a kernel has a middle
    return np.asarray(cv2.GaussianBlur(picture, side, 0), dtype=np.uint8)


def _fill_contours(edges: Matte8, tuning: Tuning) -> Matte8:
    """Fill every outermost contour whose area is within the limits."""
    closed = cv2.copyMakeBorder(edges, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    # People leave a picture at its bottom: close outlines that end there.
    closed[-1] = 255
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    least, most = tuning.least_area * edges.size, tuning.most_area * edges.size
    kept = [contour for contour in contours if least <= cv2.contourArea(contour) <= most]
    filled = np.zeros_like(closed)
    cv2.drawContours(filled, kept, -1, 255, cv2.FILLED)
    return np.ascontiguousarray(filled[1:-1, 1:-1])


def _erode(filled: Matte8, times: int) -> Matte8:
    """Erode the filled area, except where a person leaves the picture."""
    around = cv2.copyMakeBorder(filled, *(times,) * 4, cv2.BORDER_REPLICATE)
    height, width = filled.shape
    eroded = cv2.erode(around, _neighborhood(), iterations=times)
    return np.asarray(eroded[times : times + height, times : times + width], dtype=np.uint8)


def _neighborhood() -> Matte8:
    """Return a 3 × 3 structuring element: a pixel and its eight neighbors."""
    return np.ones((3, 3), np.uint8)
