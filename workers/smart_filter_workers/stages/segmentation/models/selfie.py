"""Both selfie networks: one look at the whole picture, a closer one at whoever was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_workers.networks.selfie import GENERAL, GENERAL_SIZE_PX, LANDSCAPE, SelfieNetworks
from smart_filter_workers.results import Prepared
from smart_filter_workers.stages.segmentation.closer import in_two_passes
from smart_filter_workers.stages.segmentation.edges import refine
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter

CARD: Final = ModelCard(
    name="selfie",
    version="1",
    task=TaskName.SEGMENTATION,
    family="selfie",
    title="Selfie segmentation, general and landscape, two passes",
    source="mediapipe 0.10.21, modules/selfie_segmentation",
    licence="Apache-2.0",
    data_terms="",
    weights=(GENERAL, LANDSCAPE),
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

    def __call__(self, batch: Sequence[Prepared]) -> list[People]:
        """Return the people of each picture; the networks do not tell persons apart."""
        return [
            People(refine(in_two_passes(self.networks, srgb), srgb), persons=None)
            for srgb in (one.proxy_srgb for one in batch)
        ]
