"""Segment person by person, with the faces that BlazeFace finds."""

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
from smart_filter_workers.networks.faces import blazeface
from smart_filter_workers.networks.faces.blazeface import BlazeFace
from smart_filter_workers.networks.pose import DETECTION_WEIGHTS, SILHOUETTE_WEIGHTS
from smart_filter_workers.networks.runtimes.litert import MEDIAPIPE_DATA_TERMS
from smart_filter_workers.stages.segmentation.mattes.fusion import CloserLook
from smart_filter_workers.stages.segmentation.models.base import Segmenter
from smart_filter_workers.stages.segmentation.models.people import (
    LONGEST_SIDE_PX,
    PeopleSegmenter,
)
from smart_filter_workers.stages.segmentation.people.persons import PersonFinder

CARD: Final = ModelCard(
    name="people-blazeface",
    version="1",
    task=TaskName.SEGMENTATION,
    family="people",
    title="Person by person, without weights from research data",
    source="mediapipe 0.10.21, modules/pose_detection, pose_landmark, selfie_segmentation and"
    " face_detection",
    license="Apache-2.0",
    data_terms=MEDIAPIPE_DATA_TERMS,
    commercial=Commercial.YES,
    stands_in=True,
    weights=(
        GENERAL_WEIGHTS,
        LANDSCAPE_WEIGHTS,
        DETECTION_WEIGHTS,
        SILHOUETTE_WEIGHTS,
        *blazeface.WEIGHTS,
    ),
    input_size=GENERAL_SIZE_PX,
    instances=True,
    # Mean IoU at one half: the photos of `people`.
    quality={"iou_wild": 0.647, "iou_street": 0.949, "iou_portrait": 0.963},
)


def load(weights: Path) -> Segmenter:
    """Load the networks from the weights folder."""
    return PeopleSegmenter(
        CloserLook(SelfieNetworks(weights), PersonFinder(weights)),
        BlazeFace(weights, longest_side_px=LONGEST_SIDE_PX, threshold=blazeface.THRESHOLD),
    )
