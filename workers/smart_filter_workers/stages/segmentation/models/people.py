"""Person by person: everybody's silhouette and a closer look at each, fused to one matte.

The selfie networks alone are good at whoever fills the picture, and lose who does not; the
pose networks find people of any size and tell them from what they hold, but draw them
coarsely. Each person is cut out by both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_workers.networks.boxes import Box
from smart_filter_workers.networks.pose import DETECTION_WEIGHTS, SILHOUETTE_WEIGHTS
from smart_filter_workers.networks.selfie import GENERAL, GENERAL_SIZE_PX, LANDSCAPE, SelfieNetworks
from smart_filter_workers.results import Prepared, Srgb8
from smart_filter_workers.stages.segmentation.closer import in_two_passes
from smart_filter_workers.stages.segmentation.edges import refine
from smart_filter_workers.stages.segmentation.fusion import Eyes, add_unexplained, union, without
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter
from smart_filter_workers.stages.segmentation.persons import PersonFinder, without_bystanders

CARD: Final = ModelCard(
    name="people",
    version="1",
    task=TaskName.SEGMENTATION,
    family="people",
    title="Person by person: pose silhouettes fused with selfie segmentation",
    source="mediapipe 0.10.21, modules/pose_detection, pose_landmark and selfie_segmentation",
    licence="Apache-2.0",
    data_terms="",
    weights=(GENERAL, LANDSCAPE, DETECTION_WEIGHTS, SILHOUETTE_WEIGHTS),
    input_size=GENERAL_SIZE_PX,
)
# Finer than this, networks of 256 pixels see nothing more of a person that fills a third.
LONGEST_SIDE_PX: Final = 640
# Fewer pixels than this in the matte are nobody.
FEWEST_PX: Final = 40
HALF: Final = 127


def load(weights: Path) -> Segmenter:
    """Load the four networks from the weights folder."""
    return _People(Eyes(SelfieNetworks(weights), PersonFinder(weights)))


@dataclass(frozen=True, slots=True)
class _People:
    eyes: Eyes

    def __call__(self, batch: Sequence[Prepared]) -> list[People]:
        """Return the people of each picture, and how many persons were told apart."""
        return [self._cut_out(one) for one in batch]

    def _cut_out(self, prepared: Prepared) -> People:
        proxy = prepared.proxy_srgb
        srgb = _shrunk(proxy)
        faces = _faces(prepared, srgb)
        whole = in_two_passes(self.eyes.selfie, srgb)
        persons, bystanders = without_bystanders(self.eyes.finder(srgb, faces), faces)
        if persons:
            matte_01 = union(self.eyes.selfie, srgb, whole, persons)
            rest = without(whole, matte_01, bystanders)
            number = len(persons) + add_unexplained(self.eyes, srgb, rest, matte_01)
        else:
            matte_01, number = whole, 0
        if srgb is not proxy:
            size = (proxy.shape[1], proxy.shape[0])
            matte_01 = np.asarray(cv2.resize(matte_01, size), dtype=np.float32)
        matte = refine(matte_01, proxy)
        somebody = np.count_nonzero(matte > HALF) >= FEWEST_PX
        return People(matte, persons=number or None if somebody else 0)


def _shrunk(proxy: Srgb8) -> Srgb8:
    """Return the proxy with no side above LONGEST_SIDE_PX."""
    height, width = proxy.shape[:2]
    scale = LONGEST_SIDE_PX / max(height, width)
    if scale >= 1:
        return proxy
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(proxy, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _faces(prepared: Prepared, srgb: Srgb8) -> list[Box]:
    """Return the proposed faces in pixels of `srgb`."""
    x, y = srgb.shape[1] / prepared.width, srgb.shape[0] / prepared.height
    return [
        (left * x, top * y, (left + width) * x, (top + height) * y)
        for left, top, width, height in (face.box for face in prepared.proposals)
    ]
