"""Edges, closed and filled: cuts out a person before a plain wall, without a network."""

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
from smart_filter_workers.results import PreparedPhoto, Srgb8
from smart_filter_workers.stages.segmentation.mattes.contours import Tuning, trace_contours
from smart_filter_workers.stages.segmentation.models.base import People, Step

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
        tuning = _tuning(parameters)
        return [_people(photo.proxy_srgb, tuning) for photo in batch]


def _people(srgb: Srgb8, tuning: Tuning) -> People:
    traced = trace_contours(srgb, tuning)
    height, width = srgb.shape[:2]
    resized = cv2.resize(traced.smooth, (width, height), interpolation=cv2.INTER_AREA)
    matte = np.asarray(resized, dtype=np.uint8)
    steps = (
        Step("photo", srgb),
        Step("gray, blurred", traced.blurred),
        Step("edges", traced.edges),
        Step("edges, dilated", traced.dilated),
        Step("contours, filled", traced.filled),
        Step("eroded", traced.eroded),
        Step("smooth", traced.smooth),
        Step("cut out", np.asarray(cv2.bitwise_and(srgb, srgb, mask=matte), dtype=np.uint8)),
    )
    return People(matte, persons=None, steps=steps)


def _tuning(parameters: Parameters) -> Tuning:
    return Tuning(
        blur_px=given.int_of(parameters, "blur"),
        canny_low=given.int_of(parameters, "canny_low"),
        canny_high=given.int_of(parameters, "canny_high"),
        sobel_px=int(given.str_of(parameters, "sobel")),
        dilations=given.int_of(parameters, "dilate"),
        erosions=given.int_of(parameters, "erode"),
        least_area=given.float_of(parameters, "min_area"),
        most_area=given.float_of(parameters, "max_area"),
        smooth_px=given.int_of(parameters, "smooth"),
    )
