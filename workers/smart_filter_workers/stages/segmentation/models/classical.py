"""Edges, closed and filled: cuts out a person before a plain wall, without a network.

Edges are thickened until they close, their insides are filled, and the thickening is undone. The
method does not recognize persons: a busy wall yields contours just as well as a face.
Source: Canny 1986, "A computational approach to edge detection", for the edges; Suzuki & Abe 1985
for the contours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog import parameters as given
from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, PreparedPhoto, Srgb8
from smart_filter_workers.stages.segmentation.models.base import People, Step

# Every picture is resized to this longest side, so that pixels and iterations mean the same for
# each. On training portraits the defaults reach 0.55 IoU at 1024 px, 0.44 at 640, 0.27 at the
# photos' own 320.
LONGEST_SIDE_PX: Final = 1024

CARD: Final = ModelCard(
    name="classical",
    version="1",
    task=TaskName.SEGMENTATION,
    family="classical",
    title="Edges, closed and filled (Canny and contours): for plain walls only",
    source="OpenCV: Canny 1986, Suzuki & Abe 1985; after the predecessor background-remover",
    license="Apache-2.0",
    data_terms="",
    commercial=Commercial.YES,
    # Mean IoU at one half: 41 photos in the wild, 55 of street fashion, 62 portraits.
    quality={"iou_wild": 0.236, "iou_street": 0.270, "iou_portrait": 0.553},
    speed={"cpu_ms": 9.0, "peak_mb": 89.0},
    parameters=(
        given.boolean("use_default", False, "Ignore the values below; take the defaults"),
        given.integer(
            "blur", 21, "Gaussian kernel before the edges, px of 1024; odd", least=1, most=101
        ),
        given.integer("canny_low", 15, "Gradient that continues an edge", least=0, most=2000),
        given.integer("canny_high", 150, "Gradient that starts an edge", least=0, most=2000),
        given.choice("sobel", "5", "Kernel of the gradient, px", choices=("3", "5", "7")),
        given.integer("dilate", 10, "Times that edges grow by a pixel", least=0, most=60),
        given.integer("erode", 10, "Times that the filled area shrinks", least=0, most=60),
        given.number("min_area", 0.0005, "Least share of the photo to fill", least=0.0, most=1.0),
        given.number("max_area", 0.95, "Most share of the photo to fill", least=0.0, most=1.0),
        given.integer("smooth", 11, "Gaussian kernel for the mask, px of 1024", least=1, most=101),
    ),
    ascending=(("canny_low", "canny_high"), ("min_area", "max_area")),
    explains=True,
)


def load(weights: Path) -> "Classical":  # noqa: ARG001 - all models share one signature
    """Return the model; there is nothing to load."""
    return Classical()


@dataclass(frozen=True, slots=True)
class Classical:
    """Segments by the areas that edges enclose."""

    def __call__(self, batch: Sequence[PreparedPhoto], *, parameters: Parameters) -> list[People]:
        """Return the areas that edges enclose in each picture; persons are not separated."""
        if given.bool_of(parameters, "use_default"):
            parameters = CARD.completed({})
        return [_fill_edges(photo.proxy_srgb, parameters) for photo in batch]


def _fill_edges(srgb: Srgb8, parameters: Parameters) -> People:
    blurred = _blur(_to_gray(srgb), given.int_of(parameters, "blur"))
    edges = np.asarray(
        cv2.Canny(
            blurred,
            given.int_of(parameters, "canny_low"),
            given.int_of(parameters, "canny_high"),
            # After a wide blur the usual kernel of 3 finds no gradient of 150 anywhere: 0.01 IoU.
            apertureSize=int(given.str_of(parameters, "sobel")),
            L2gradient=True,
        ),
        dtype=np.uint8,
    )
    dilations = given.int_of(parameters, "dilate")
    dilated = np.asarray(cv2.dilate(edges, _neighborhood(), iterations=dilations), dtype=np.uint8)
    filled = _fill_contours(
        dilated,
        least_px=given.float_of(parameters, "min_area") * edges.size,
        most_px=given.float_of(parameters, "max_area") * edges.size,
    )
    eroded = _erode(filled, given.int_of(parameters, "erode"))
    smooth = _blur(eroded, given.int_of(parameters, "smooth"))
    height, width = srgb.shape[:2]
    resized = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_AREA)
    matte = np.asarray(resized, dtype=np.uint8)
    steps = (
        Step("photo", srgb),
        Step("gray, blurred", blurred),
        Step("edges", edges),
        Step("edges, dilated", dilated),
        Step("contours, filled", filled),
        Step("eroded", eroded),
        Step("smooth", smooth),
        Step("cut out", np.asarray(cv2.bitwise_and(srgb, srgb, mask=matte), dtype=np.uint8)),
    )
    return People(matte, persons=None, steps=steps)


def _to_gray(srgb: Srgb8) -> Matte8:
    """Return the brightness of the picture at the working size."""
    height, width = srgb.shape[:2]
    scale = LONGEST_SIDE_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    gray = cv2.cvtColor(srgb, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, size, interpolation=how), dtype=np.uint8)


def _blur(picture: Matte8, side_px: int) -> Matte8:
    """Blur a picture; side_px: of the Gaussian kernel, an even value is the next odd one."""
    side = (side_px | 1,) * 2
    return np.asarray(cv2.GaussianBlur(picture, side, 0), dtype=np.uint8)


def _fill_contours(edges: Matte8, *, least_px: float, most_px: float) -> Matte8:
    """Fill every outermost contour whose area is within the limits."""
    closed = cv2.copyMakeBorder(edges, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    # People leave a picture at its bottom: close outlines that end there.
    closed[-1] = 255
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    kept = [contour for contour in contours if least_px <= cv2.contourArea(contour) <= most_px]
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
