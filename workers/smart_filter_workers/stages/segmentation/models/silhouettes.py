"""Silhouettes: people found by their pose, without the objects that they hold or sit on.

Coarser than the selfie networks, with different mistakes: a second opinion.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.coordinates import Box
from smart_filter_workers.networks.pose import DETECTION_WEIGHTS, SILHOUETTE_WEIGHTS
from smart_filter_workers.networks.runtimes.litert import MEDIAPIPE_DATA_TERMS
from smart_filter_workers.resampling import shrink
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.mattes.edges import refine_edges
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter
from smart_filter_workers.stages.segmentation.people import separation
from smart_filter_workers.stages.segmentation.people.person_boxes import PersonBoxes
from smart_filter_workers.stages.segmentation.people.person_selection import select_subject_faces
from smart_filter_workers.stages.segmentation.people.persons import PersonFinder

CARD: Final = ModelCard(
    name="silhouettes",
    version="1",
    task=TaskName.SEGMENTATION,
    family="silhouettes",
    title="A silhouette for each body and face found, and nothing else",
    source="mediapipe 0.10.21, modules/pose_detection and pose_landmark",
    license="Apache-2.0",
    data_terms=MEDIAPIPE_DATA_TERMS,
    commercial=Commercial.YES,
    weights=(DETECTION_WEIGHTS, SILHOUETTE_WEIGHTS),
    input_size=(256, 256),
    # Mean IoU at one half: 41 photos in the wild, 55 of street fashion, 62 portraits.
    quality={"iou_wild": 0.653, "iou_street": 0.938, "iou_portrait": 0.919},
    speed={"cpu_ms": 65.0, "peak_mb": 205.0},
    instances=True,
)
LONGEST_SIDE_PX: Final = 640


def load(weights: Path) -> Segmenter:
    """Load the networks from the weights folder."""
    return _Silhouettes(PersonFinder(weights))


@dataclass(frozen=True, slots=True)
class _Silhouettes:
    finder: PersonFinder

    def __call__(self, batch: Sequence[PreparedPhoto]) -> list[People]:
        """Return the persons of each picture, separated."""
        return [self._people(photo) for photo in batch]

    def _people(self, prepared: PreparedPhoto) -> People:
        proxy = prepared.proxy_srgb
        srgb = shrink(proxy, longest_side=LONGEST_SIDE_PX)
        faces = select_subject_faces(_faces(prepared, srgb.shape[1], srgb.shape[0]))
        persons = self.finder(srgb, faces, PersonBoxes(None, srgb))
        matte_01 = np.zeros(srgb.shape[:2], np.float32)
        for person in persons:
            matte_01 = np.maximum(matte_01, person.coverage)
        matte = refine_edges(matte_01, proxy)
        return People(
            matte,
            persons=separation.split_by_person(matte, [person.outline for person in persons]),
        )


def _faces(prepared: PreparedPhoto, width: int, height: int) -> list[Box]:
    """Return the proposed faces in pixels of a picture of that size."""
    x_scale, y_scale = width / prepared.width, height / prepared.height
    return [
        (x * x_scale, y * y_scale, (x + w) * x_scale, (y + h) * y_scale)
        for x, y, w, h in (face.box for face in prepared.proposals)
    ]
