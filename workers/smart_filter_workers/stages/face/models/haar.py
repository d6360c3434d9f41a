"""Faces by OpenCV's Haar cascade, refined by the face mesh: upright, frontal faces only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.catalog.parameters import Parameters, float_of, int_of, integer, number
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.results import Face
from smart_filter_workers.networks.coordinates import Box, non_max_suppression, scale_face
from smart_filter_workers.networks.faces.face_mesh import MESH_WEIGHTS, FaceMesh, face_from_mesh
from smart_filter_workers.networks.runtimes import cascades
from smart_filter_workers.networks.runtimes.cascades import Cascade, DetectionOptions
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import shrink
from smart_filter_workers.results import Srgb8

CARD: Final = ModelCard(
    name="haar",
    version="1",
    task=TaskName.FACE,
    family="haar",
    title="Haar cascade frontalface_alt2; box and landmarks by the face mesh",
    source="OpenCV 4, haarcascade_frontalface_alt2.xml, Viola & Jones 2001; mediapipe"
    " 0.10.21, modules/face_landmark, Kartynnik et al. 2019",
    license=cascades.LICENSE,
    data_terms=cascades.DATA_TERMS,
    commercial=Commercial.ASK,
    weights=(MESH_WEIGHTS,),
    # 90 web photos, matched at IoU 0.4: it misses faces in profile.
    quality={"precision": 0.982, "recall": 0.762, "f1": 0.858},
    speed={"cpu_ms": 257.0},
    parameters=(
        number("scale_factor", 1.1, "Factor from one scale to the next", least=1.02, most=2),
        integer("neighbors", 2, "Windows that must agree on a face", least=1, most=50),
        number(
            "least_share", 0.02, "Smallest face, as a share of the longer side", least=0.01, most=1
        ),
        number("threshold", 0.5, "Least score of a face, by its mesh", least=0, most=1),
    ),
)
CASCADE: Final = "haarcascade_frontalface_alt2"
LONGEST_SIDE_PX: Final = 1024
# The cascade was trained on faces of 20 pixels.
MIN_PX: Final = 20
# Two boxes that overlap more than this (IoU) are one face.
SAME_FACE_IOU: Final = 0.3


def load(weights: Path) -> "Haar":
    """Load the cascade from OpenCV, and the face mesh from the weights folder.

    Raises SetupFailed when this OpenCV build ships no cascades.
    """
    return Haar(Cascade(CASCADE), FaceMesh(weights))


@dataclass(frozen=True, slots=True)
class Haar:
    """Finds upright, frontal faces; any thread may call it."""

    cascade: Cascade
    mesh: FaceMesh

    def __call__(
        self,
        pictures: Sequence[Srgb8],
        proposals: Sequence[tuple[Face, ...]] = (),  # noqa: ARG002 - finds its own faces
        *,
        parameters: Parameters,
    ) -> list[tuple[Face, ...]]:
        """Return the faces of each picture, best score first, in its pixels."""
        return [self._find(picture, parameters) for picture in pictures]

    def _find(self, picture: Srgb8, parameters: Parameters) -> tuple[Face, ...]:
        small = shrink(picture, longest_side=LONGEST_SIDE_PX)
        height, width = small.shape[:2]
        least_px = float_of(parameters, "least_share") * max(height, width)
        looks = DetectionOptions(
            scale_factor=float_of(parameters, "scale_factor"),
            neighbors=int_of(parameters, "neighbors"),
            least_px=max(MIN_PX, round(least_px)),
        )
        gray = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        drawn = (face_from_mesh(small, box, self.mesh) for box in self.cascade(gray, looks))
        threshold = float_of(parameters, "threshold")
        faces = [face for face in drawn if face and face.score >= threshold]
        boxes = np.array([_corners(face) for face in faces], np.float32).reshape(-1, 4)
        scores = np.array([face.score for face in faces])
        kept = non_max_suppression(boxes, scores, most_iou=SAME_FACE_IOU)
        per_x, per_y = picture.shape[1] / width, picture.shape[0] / height
        return tuple(scale_face(faces[index], x=per_x, y=per_y) for index in kept)


def _corners(face: Face) -> Box:
    left, top, width, height = face.box
    return left, top, left + width, top + height
