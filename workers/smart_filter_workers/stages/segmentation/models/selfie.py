"""Both selfie networks: one look at the whole picture, a closer one at whoever was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.cards import ModelCard, TaskName, WeightsFile
from smart_filter_workers.networks.litert import LiteRtNetwork
from smart_filter_workers.results import Prepared, Srgb8
from smart_filter_workers.stages.segmentation.edges import refine
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter

GENERAL: Final = WeightsFile(
    "selfie_general.tflite", "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c"
)
LANDSCAPE: Final = WeightsFile(
    "selfie_landscape.tflite", "a77d03f4659b9f6b6c1f5106947bf40e99d7655094b6527f214ea7d451106edd"
)
CARD: Final = ModelCard(
    name="selfie",
    version="1",
    task=TaskName.SEGMENTATION,
    family="selfie",
    title="Selfie segmentation, general and landscape, two passes",
    source="mediapipe 0.10.21, modules/selfie_segmentation",
    licence="Apache-2.0",
    data_terms="",
    default=True,
    weights=(GENERAL, LANDSCAPE),
    input_size=(256, 256),
    # Mean IoU at one half: 41 photos in the wild (± 0.05), 55 of street fashion, 62 portraits.
    quality={"iou_wild": 0.540, "iou_street": 0.943, "iou_portrait": 0.964},
)
GENERAL_SIZE_PX: Final = (256, 256)
LANDSCAPE_SIZE_PX: Final = (256, 144)

# Chosen on photos with known masks: a closer look with more or less margin or weight is
# within 0.005 IoU of these.
FOUND_AT: Final = 0.4
FEWEST_FOUND_PX: Final = 50
OUTLIERS: Final = 0.005
MARGIN: Final = 0.12
MARGIN_PX: Final = 8
CLOSER_LOOK_SHARE: Final = 2 / 3

Floats = NDArray[np.float32]


def load(weights: Path) -> Segmenter:
    """Load both networks from the weights folder."""
    return _Selfie(LiteRtNetwork(weights / GENERAL.name), LiteRtNetwork(weights / LANDSCAPE.name))


@dataclass(frozen=True, slots=True)
class _Selfie:
    general: LiteRtNetwork
    landscape: LiteRtNetwork

    def __call__(self, batch: Sequence[Prepared]) -> list[People]:
        """Return the people of each picture; the networks do not tell persons apart."""
        return [People(self._matte(one.proxy_srgb), persons=None) for one in batch]

    def _matte(self, srgb: Srgb8) -> NDArray[np.uint8]:
        matte_01 = self._look(srgb)
        found = _found(matte_01)
        if found is not None:
            closer = self._look(srgb[found])
            matte_01[found] += CLOSER_LOOK_SHARE * (closer - matte_01[found])
        return refine(matte_01, srgb)

    def _look(self, srgb: Srgb8) -> Floats:
        """Return the (H, W) float32 coverage, 0..1, that both networks see on average."""
        general = self._ask(self.general, srgb, GENERAL_SIZE_PX)
        landscape = self._ask(self.landscape, srgb, LANDSCAPE_SIZE_PX)
        both = (general + _resized(landscape, GENERAL_SIZE_PX)) * np.float32(0.5)
        return _resized(both, (srgb.shape[1], srgb.shape[0]))

    @staticmethod
    def _ask(network: LiteRtNetwork, srgb: Srgb8, size: tuple[int, int]) -> Floats:
        (coverage,) = network(_resized(srgb, size)[np.newaxis] / np.float32(255)).values()
        return coverage[0, :, :, 0]


def _found(matte_01: Floats) -> tuple[slice, slice] | None:
    """Return rows and columns that hold the people with some margin; None without people."""
    people = matte_01 > FOUND_AT
    in_row, in_column = np.count_nonzero(people, axis=1), np.count_nonzero(people, axis=0)
    if in_row.sum() < FEWEST_FOUND_PX:
        return None
    return _span(in_row), _span(in_column)


def _span(counts: NDArray[np.intp]) -> slice:
    """Return where most of `counts` lies, outliers left out and a margin added."""
    share = np.cumsum(counts) / counts.sum()
    first, last = np.searchsorted(share, (OUTLIERS, 1 - OUTLIERS))
    margin = (last - first) * MARGIN + MARGIN_PX
    return slice(max(0, int(first - margin)), min(len(counts), int(last + margin) + 1))


def _resized(picture: Srgb8 | Floats, size: tuple[int, int]) -> Floats:
    """Return the picture stretched to width and height `size`, by area where it shrinks."""
    shrinks = picture.shape[1] >= size[0] and picture.shape[0] >= size[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=how), dtype=np.float32)
