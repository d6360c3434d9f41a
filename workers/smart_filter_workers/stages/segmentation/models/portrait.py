"""A small network, trained in this project, for portraits: one pass over the whole picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import Commercial, ModelCard, WeightsFile
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.coverage.selfie import read_small_coverage
from smart_filter_workers.networks.runtimes.litert import LiteRtNetwork
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Floats, PreparedPhoto, Srgb8
from smart_filter_workers.stages.segmentation.mattes.edges import refine_edges
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter

WEIGHTS: Final = WeightsFile(
    "portrait.tflite", "d646f11d748d12861d312fe599729e305797b8c75e749d5c994c6808c0693ebd"
)
SIZE_PX: Final = (256, 256)
CARD: Final = ModelCard(
    name="portrait",
    version="1",
    task=TaskName.SEGMENTATION,
    # A pool that serves the selfie networks serves this one: the same runtime, less time.
    family="selfie",
    title="Portraits, one small network",
    source=(
        "smart_filter_training.models.unet, docs/models/portrait.md; begun with the weights of"
        " mediapipe 0.10.21, modules/selfie_segmentation"
    ),
    license="Apache-2.0",
    data_terms=(
        "picsart contest, Human-Segmentation-Dataset, football frames, VOC and COCO samples,"
        " clothing-co-parsing: no terms stated, or for research"
    ),
    commercial=Commercial.NO,
    weights=(WEIGHTS,),
    learns=WEIGHTS.name,
    input_size=SIZE_PX,
    # Mean IoU at one half: 41 photos in the wild (± 0.08), 55 of street fashion (± 0.014), 62
    # portraits (± 0.008).
    quality={"iou_wild": 0.562, "iou_street": 0.933, "iou_portrait": 0.966},
    # One photo of 512 pixels, by `models bench` on a busy machine: there `selfie` takes 33.8 ms.
    speed={"cpu_ms": 23.7, "peak_mb": 137.0},
)


def load(weights: Path) -> Segmenter:
    """Load the network from the weights folder."""
    return Portrait(LiteRtNetwork(weights / WEIGHTS.name))


@dataclass(frozen=True, slots=True)
class Portrait:
    """Segments with one network; any thread may call it.

    size_px: width and height of the network's input.
    """

    network: LiteRtNetwork
    size_px: tuple[int, int] = SIZE_PX

    def __call__(self, batch: Sequence[PreparedPhoto]) -> list[People]:
        """Return the people of each picture; the network does not separate persons."""
        return [
            People(refine_edges(self.coverage(srgb), srgb), persons=None)
            for srgb in (photo.proxy_srgb for photo in batch)
        ]

    def coverage(self, srgb: Srgb8) -> Floats:
        """Return the network's (H, W) float32 coverage, 0..1, at the picture's size.

        srgb: (H, W, 3) uint8.
        """
        coverage = read_small_coverage(self.network, srgb, self.size_px)
        return resize(coverage, width=srgb.shape[1], height=srgb.shape[0])
