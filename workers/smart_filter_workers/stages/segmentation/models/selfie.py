"""Both selfie networks: a pass over the whole picture, then a closer one over the person."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.coverage.selfie import (
    GENERAL_SIZE_PX,
    GENERAL_WEIGHTS,
    LANDSCAPE_WEIGHTS,
    SelfieNetworks,
)
from smart_filter_workers.networks.runtimes.litert import MEDIAPIPE_DATA_TERMS
from smart_filter_workers.resampling import shrink
from smart_filter_workers.results import PreparedPhoto, Srgb8
from smart_filter_workers.stages.segmentation.mattes.edges import REFINED_PX, refine_edges
from smart_filter_workers.stages.segmentation.mattes.two_pass import segment_in_two_passes
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter

CARD: Final = ModelCard(
    name="selfie",
    version="1",
    task=TaskName.SEGMENTATION,
    family="selfie",
    title="Selfie segmentation, general and landscape, two passes",
    source="mediapipe 0.10.21, modules/selfie_segmentation",
    license="Apache-2.0",
    data_terms=MEDIAPIPE_DATA_TERMS,
    commercial=Commercial.YES,
    weights=(GENERAL_WEIGHTS, LANDSCAPE_WEIGHTS),
    input_size=GENERAL_SIZE_PX,
    # Mean IoU at one half: 41 photos in the wild (± 0.05), 55 of street fashion, 62 portraits.
    quality={"iou_wild": 0.540, "iou_street": 0.943, "iou_portrait": 0.964},
    # One photo of 512 pixels, as `models bench` measures.
    speed={"cpu_ms": 20.0, "peak_mb": 126.0},
)


def load(weights: Path) -> Segmenter:
    """Load both networks from the weights folder."""
    return _Selfie(SelfieNetworks(weights))


@dataclass(frozen=True, slots=True)
class _Selfie:
    networks: SelfieNetworks

    def __call__(self, batch: Sequence[PreparedPhoto]) -> list[People]:
        """Return the people of each picture; the networks do not separate persons."""
        return [self._cut_out(photo.proxy_srgb) for photo in batch]

    def _cut_out(self, proxy_srgb: Srgb8) -> People:
        # The networks take half of this, so a closer look at half the picture loses nothing.
        srgb = shrink(proxy_srgb, longest_side=REFINED_PX)
        matte_01 = segment_in_two_passes(self.networks, srgb)
        return People(refine_edges(matte_01, proxy_srgb, small=srgb), persons=None)
