"""The people of `people` and their things, with outlines by a network that sees what stands out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog import parameters as given
from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.mattes import isnet
from smart_filter_workers.networks.mattes.coverage_network import CoverageNetwork
from smart_filter_workers.networks.mattes.isnet import WEIGHTS
from smart_filter_workers.results import HALF_LEVEL, Matte8, PreparedPhoto
from smart_filter_workers.stages.segmentation.mattes import attached_things, salience_blend
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter
from smart_filter_workers.stages.segmentation.models.isnet import CARD as ISNET
from smart_filter_workers.stages.segmentation.people import split_instances
from smart_filter_workers.stages.segmentation.regions import Region

PEOPLE: Final = "people"


class Detail(StrEnum):
    """How finely the network looks."""

    FINE = "fine"
    FAST = "fast"


# The network's input has about as many pixels as a square of this side; below 448 its mattes fall
# apart: at 384 they agree with those at 1024 to an IoU of 0.89, at 320 to 0.31.
SIDES_PX: Final = {Detail.FINE: 768, Detail.FAST: 448}

CARD: Final = ModelCard(
    name="quality",
    version="2",
    task=TaskName.SEGMENTATION,
    family="quality",
    title="People and what they hold, with finer outlines, for more time",
    source=f"{ISNET.source}; the model people",
    license=ISNET.license,
    data_terms=f"{ISNET.data_terms}; and the terms of people",
    commercial=Commercial.ASK,
    weights=(WEIGHTS,),
    optional=True,
    devices=ISNET.devices,
    # Mean IoU at one half with the default detail: 55 photos of street fashion (± 0.013).
    quality={"iou_street": 0.954},
    parameters=(
        given.choice(
            "detail",
            Detail.FINE,
            "How finely to look: fine, or fast in less than half the time",
            choices=tuple(Detail),
        ),
    ),
    combines=True,
    instances=True,
)


def load(weights: Path, others: Callable[[str], Segmenter]) -> "Quality":
    """Load the network from the weights folder; `people` is loaded on first use."""
    return Quality(others, isnet.load(weights))


@dataclass(frozen=True, slots=True)
class Quality:
    """Refines the matte of `people`; any thread may call it.

    others: returns another model of the task by name.
    """

    others: Callable[[str], Segmenter]
    network: CoverageNetwork

    def __call__(self, batch: Sequence[PreparedPhoto], *, parameters: Parameters) -> list[People]:
        """Return the people of each picture, separated if `people` separates them."""
        side_px = SIDES_PX[Detail(given.str_of(parameters, "detail"))]
        return refine_people(self.others, self.network, batch, side_px=side_px)


def refine_people(
    others: Callable[[str], Segmenter],
    network: CoverageNetwork,
    batch: Sequence[PreparedPhoto],
    *,
    side_px: int,
) -> list[People]:
    """Return the people that `people` finds in each picture, with a network's outlines.

    side_px: as for `CoverageNetwork.segment_batch`.
    """
    results = others(PEOPLE)(batch) if batch else []
    regions = [salience_blend.find_region(people.matte) for people in results]
    # Without people, the network would find something else.
    parts = [
        np.ascontiguousarray(photo.proxy_srgb[region])
        for photo, region in zip(batch, regions, strict=True)
        if region is not None
    ]
    coverages = iter(network.segment_batch(parts, side_px=side_px))
    return [
        people
        if region is None
        else _refine(people, region, np.rint(next(coverages) * 255).astype(np.uint8))
        for people, region in zip(results, regions, strict=True)
    ]


def _refine(people: People, region: Region, salient: Matte8) -> People:
    """Return the people with the matte blended with that of their region, and attached things."""
    whole = np.zeros_like(people.matte)
    whole[region] = salient
    blended = salience_blend.blend(people.matte, whole)
    attached = attached_things.find_attached(blended, whole)
    matte = blended + attached
    persons = people.persons and split_instances.split_by_person(
        matte, [person > HALF_LEVEL for person in people.persons]
    )
    return replace(people, matte=matte, persons=persons, attached=attached)
