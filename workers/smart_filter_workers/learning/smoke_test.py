"""Check that a model with new weights runs: once, on a drawn picture.

A file that loads may still lack an output, or return only NaN; then every job would fail.

A face built around the crop of one eye, for models that read the eyes of a face.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import numpy as np

from smart_filter_shared.errors import VersionRefused
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.results import Face
from smart_filter_workers.models.cache import Model
from smart_filter_workers.networks.faces.face_mesh import (
    LEFT_EYE,
    MESH_POINTS,
    RIGHT_EYE,
    FaceMesh,
    FaceView,
    Mesh,
)
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import PreparedPhoto, Srgb8

_MAX_ERROR_LENGTH: Final = 300
_SKIN, _WHITE, _DARK = (205, 160, 135), (240, 240, 235), (40, 30, 25)
_EYE_PX: Final = 64
_WIDTH, _HEIGHT = 96, 128

# An eye fills a little over half of its crop. The square around it that the contours' network
# sees is 2.3 times as long as the eye, that is a third larger than the crop. The figures of the
# first model were measured in this way.
_EYE: Final = 0.58
_SQUARE: Final = 4 / 3
# Proportions of the face around the eyes, in distances of the eyes: height of the forehead and of
# the rest; positions of nose, mouth, chin, and of the corners of the mouth.
_ABOVE, _BELOW = 0.55, 1.05
_NOSE, _MOUTH, _CHIN = 0.55, 1.05, 1.5
_MOUTH_CORNER: Final = 0.42


def run_smoke_test(task: TaskName, model: Model) -> None:
    """Run a model on a drawn picture.  Raises VersionRefused when it fails or returns NaN."""
    try:
        # Mattes hold integers, which hide NaN.
        with np.errstate(invalid="raise"):
            answers = cast("Sequence[object]", model(*_sample_inputs(task)))
    except Exception as error:
        # A framework may raise anything.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_ERROR_LENGTH]
        raise VersionRefused(f"with this file it does not run: {reason}") from error
    if len(answers) != 1:
        raise VersionRefused(f"with this file it returns {len(answers)} results for one picture")
    if not _is_finite(answers[0]):
        raise VersionRefused("with this file it returns values that are not finite")


def check_numbers(content: bytes) -> None:
    """Raise VersionRefused when an ONNX network has weights that are NaN.

    An eye for which a network returns NaN counts as not visible, so answers do not show the fault.
    """
    onnx = onnx_network.load_onnx()
    graph = onnx.load_model_from_string(content).graph
    constants = [
        attribute.t
        for node in graph.node
        for attribute in node.attribute
        if attribute.HasField("t")
    ]
    for tensor in (*graph.initializer, *constants):
        numbers = onnx.numpy_helper.to_array(tensor)
        if numbers.dtype.kind == "f" and np.isnan(numbers).any():
            raise VersionRefused(f"weights {tensor.name!r} of this file are NaN")


def _sample_inputs(task: TaskName) -> tuple[Sequence[object], ...]:
    """Return the inputs of a task's models, for one drawn picture."""
    if task in {TaskName.SMILE, TaskName.EYES}:
        return ([build_face(_eye())],)
    person = _person()
    if task == TaskName.SEGMENTATION:
        return ([PreparedPhoto(_WIDTH, _HEIGHT, "png", proxy_srgb=person)],)
    return ([person], [()]) if task == TaskName.ORIENTATION else ([person],)


def _eye() -> Srgb8:
    """Draw an open eye."""
    picture = np.full((_EYE_PX, _EYE_PX, 3), _SKIN, np.uint8)
    middle = (_EYE_PX // 2, _EYE_PX // 2)
    cv2.ellipse(picture, middle, (18, 8), 0, 0, 360, _WHITE, cv2.FILLED)
    cv2.circle(picture, middle, 7, _DARK, cv2.FILLED)
    return picture


def _person() -> Srgb8:
    """Draw a head and shoulders."""
    picture = np.full((_HEIGHT, _WIDTH, 3), _WHITE, np.uint8)
    cv2.ellipse(picture, (_WIDTH // 2, _HEIGHT), (40, 50), 0, 0, 360, _DARK, cv2.FILLED)
    cv2.ellipse(picture, (_WIDTH // 2, _HEIGHT // 3), (20, 27), 0, 0, 360, _SKIN, cv2.FILLED)
    return picture


def _is_finite(value: Any) -> bool:  # noqa: ANN401 - models return many types
    if isinstance(value, float | np.floating):
        return math.isfinite(value)
    if isinstance(value, np.ndarray):
        return bool(np.isfinite(value).all())
    if dataclasses.is_dataclass(value):
        return all(_is_finite(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    return all(map(_is_finite, value)) if isinstance(value, list | tuple) else True


class KnownFace(FaceView):
    """A face with a known mesh, so that no network has to find it."""

    def __init__(self, picture: Srgb8, face: Face, mesh: Mesh) -> None:
        super().__init__(picture, face)
        self._given_mesh = mesh

    def mesh(self, network: FaceMesh) -> Mesh:
        """Return the known mesh."""
        del network
        return self._given_mesh


def build_face(crop: Srgb8) -> FaceView:
    """Return a face that has the crop as its right eye, and mirrored as its left eye.

    crop: (H, W, 3) uint8 sRGB.  The rest of the face repeats the edges of the crops.
    """
    height, width = crop.shape[:2]
    side = max(height, width)
    apart = round(_SQUARE * side)
    tile = _add_border(crop, apart - height, apart - width)
    band = np.hstack([tile, tile[:, ::-1]])
    above = round(_ABOVE * apart)
    picture = cv2.copyMakeBorder(band, above, round(_BELOW * apart), 0, 0, cv2.BORDER_REPLICATE)
    across = np.array([apart / 2, above + apart / 2], np.float32)
    eye, eyes = np.array([_EYE * side / 2, 0], np.float32), np.array([apart, 0], np.float32)
    middle = across + eyes / 2
    down, aside = np.array([0, apart], np.float32), np.array([_MOUTH_CORNER * apart, 0], np.float32)
    nose, mouth = middle + _NOSE * down, middle + _MOUTH * down
    points = np.tile(nose, (MESH_POINTS, 1))
    points[RIGHT_EYE[0]], points[RIGHT_EYE[1]] = across - eye, across + eye
    points[LEFT_EYE[0]], points[LEFT_EYE[1]] = across + eyes + eye, across + eyes - eye
    # Corners and lips of the mouth; chin, forehead and cheeks, by the numbers of the mesh.
    points[61], points[291] = mouth - aside, mouth + aside
    points[[0, 13, 14, 17]] = mouth
    points[152], points[10] = middle + _CHIN * down, middle - down
    points[234], points[454] = middle - eyes, middle + eyes
    landmarks = (across, across + eyes, nose, mouth - aside, mouth + aside)
    right_eye, left_eye, tip, right_corner, left_corner = (
        (float(x), float(y)) for x, y in landmarks
    )
    face = Face(
        box=(0.0, 0.0, float(picture.shape[1]), float(picture.shape[0])),
        score=1.0,
        landmarks=(right_eye, left_eye, tip, right_corner, left_corner),
    )
    return KnownFace(np.asarray(picture, dtype=np.uint8), face, Mesh(points, presence=1.0))


def _add_border(crop: Srgb8, down: int, across: int) -> Srgb8:
    """Return the crop with the given numbers of additional rows and columns, its edges repeated."""
    top, left = down // 2, across // 2
    border = cv2.copyMakeBorder(crop, top, down - top, left, across - left, cv2.BORDER_REPLICATE)
    return np.asarray(border, dtype=np.uint8)
