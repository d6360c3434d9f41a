"""Open eyes by OpenCV's Haar cascade: an eye that it finds is open, one that it misses is shut."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.catalog.parameters import (
    Parameters,
    choice,
    float_of,
    int_of,
    integer,
    number,
    str_of,
)
from smart_filter_shared.pipeline import TaskName
from smart_filter_wire.findings import Eyes
from smart_filter_workers.networks.coordinates import Box
from smart_filter_workers.networks.faces.face_mesh import (
    LEFT_EYE,
    MESH_WEIGHTS,
    RIGHT_EYE,
    FaceMesh,
    FaceView,
    square_around,
)
from smart_filter_workers.networks.runtimes import cascades
from smart_filter_workers.networks.runtimes.cascades import Cascade, DetectionOptions
from smart_filter_workers.opencv import cv2
from smart_filter_workers.stages.smile.models.base import check_visibility

PLAIN, GLASSES = "eye", "eye_tree_eyeglasses"

CARD: Final = ModelCard(
    name="haar-eyes",
    version="1",
    task=TaskName.EYES,
    family="haar-eyes",
    title="Haar cascade of open eyes",
    source="OpenCV 4, haarcascade_eye.xml and haarcascade_eye_tree_eyeglasses.xml;"
    " mediapipe 0.10.21, modules/face_landmark",
    license=cascades.LICENSE,
    data_terms=cascades.DATA_TERMS,
    commercial=Commercial.ASK,
    weights=(MESH_WEIGHTS,),
    # 224 sharp crops of eyes; crops of 24 × 24 pixels are below its least width.
    quality={"accuracy": 0.696},
    # A photo of one face of 180 pixels, its mesh included.
    speed={"cpu_ms": 29.0},
    parameters=(
        choice("cascade", PLAIN, "OpenCV cascade to use", choices=(PLAIN, GLASSES)),
        number("scale_factor", 1.1, "Factor from one scale to the next", least=1.02, most=2),
        integer("neighbors", 6, "Windows that must agree on an eye", least=1, most=50),
        integer("least_px", 30, "Least width of an eye with its brow in px", least=20, most=500),
    ),
)
# Larger faces give the cascade nothing more.
MAX_FACE_PX: Final = 512
# A found box is wider than an eye from corner to corner: median over 413 open eyes of training
# photos; it finds 377 of them. An eye that would be below the least width is not judged; above it
# the cascade finds as many as of larger ones.
FOUND_PER_EYE: Final = 1.35
# Most distance of the found box's middle from the eye's, in lengths of the eye; 99 in 100 of the
# same eyes are within 0.3.
MAX_OFFSET: Final = 0.4


def load(weights: Path) -> "HaarEyes":
    """Load the cascades from OpenCV, and the face mesh from the weights folder.

    Raises SetupFailed when this OpenCV build ships no cascades.
    """
    cascades = {name: Cascade(f"haarcascade_{name}") for name in (PLAIN, GLASSES)}
    return HaarEyes(FaceMesh(weights), cascades)


@dataclass(frozen=True, slots=True)
class HaarEyes:
    """Searches for open eyes where the mesh places eyes; any thread may call it."""

    mesh: FaceMesh
    cascades: dict[str, Cascade]

    def __call__(self, faces: Sequence[FaceView], *, parameters: Parameters) -> list[Eyes]:
        """Return the eyes of each face; None for one too small, turned away or covered."""
        return [self._read_eyes(face, parameters) for face in faces]

    def _read_eyes(self, face: FaceView, parameters: Parameters) -> Eyes:
        mesh = face.mesh(self.mesh)
        sight = check_visibility(face.picture, mesh)
        if not (sight.right or sight.left):
            return Eyes(left_open=None, right_open=None)
        square = square_around(mesh.points)
        size = min(MAX_FACE_PX, round(square.side))
        # Search the upper half only: in the lower half nostrils and mouths look like eyes.
        upper = square.cut(face.picture, size)[: size // 2]
        gray = cv2.cvtColor((upper * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
        least_px = int_of(parameters, "least_px")
        looks = DetectionOptions(
            scale_factor=float_of(parameters, "scale_factor"),
            neighbors=int_of(parameters, "neighbors"),
            least_px=least_px,
        )
        boxes = self.cascades[str_of(parameters, "cascade")](np.asarray(gray, np.uint8), looks)
        points = square.to_cut(mesh.points, size)
        read = {
            eye: _verdict(boxes, points[list(eye)], least_px=least_px, in_the_dark=sight.dark)
            for eye, is_seen in ((RIGHT_EYE, sight.right), (LEFT_EYE, sight.left))
            if is_seen
        }
        return Eyes(left_open=read.get(LEFT_EYE), right_open=read.get(RIGHT_EYE))


def _verdict(
    boxes: Sequence[Box], corners: NDArray[np.float32], *, least_px: int, in_the_dark: bool
) -> bool | None:
    """Return whether the eye between two corners was found; None if it is too small or dark."""
    length = float(np.linalg.norm(corners[0] - corners[1]))
    if FOUND_PER_EYE * length < least_px:
        return None
    middle = corners.mean(axis=0)
    middles = [((left + right) / 2, (top + bottom) / 2) for left, top, right, bottom in boxes]
    is_found = any(float(np.linalg.norm(middle - near)) <= MAX_OFFSET * length for near in middles)
    return True if is_found else (None if in_the_dark else False)
