"""Eyes: open or closed, on crops of single eyes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import cv2
import numpy as np

from smart_filter_workers.evaluation import folders, metrics
from smart_filter_workers.evaluation.base import Cell, Confusion, Floats, Metric, Prepare, Score
from smart_filter_workers.networks.face_mesh import (
    LEFT_EYE,
    MESH_POINTS,
    RIGHT_EYE,
    FaceMesh,
    FaceView,
    Mesh,
)
from smart_filter_workers.results import Eyes, Face, Srgb8
from smart_filter_workers.stages.smile.models.base import EyeReader

HOW: Final = (
    "Crops of single eyes in open/ and closed/. Each is laid, as a right eye and mirrored as a left"
    " one, where the eyes of an otherwise empty face are, and the model reads that face; its mesh"
    " is given. Unknown counts as not open, as it does in a rating; told is the share that is not"
    " unknown. Parts: crops in colour, and grey ones."
)
METRICS: Final = (
    Metric("accuracy", "accuracy"),
    Metric("accuracy_told", "accuracy of told", contract=False),
    Metric("told", "told", contract=False),
)
LOOKS: Final = 1
TRUTHS: Final = ("closed", "open")
ANSWERS: Final = ("closed", "open", "unknown")

# An eye fills a little over half of its crop; the square around it that the contours' network
# sees is 2.3 times as long as the eye, hence a third larger than the crop. So the figures of
# the first model were measured.
_EYE: Final = 0.58
_SQUARE: Final = 4 / 3
# Proportions of the face around, in distances of the eyes: height of forehead and of the rest,
# and where nose, mouth, chin, and the mouth's corners are.
_ABOVE, _BELOW = 0.55, 1.05
_NOSE, _MOUTH, _CHIN = 0.55, 1.05, 1.5
_MOUTH_CORNER: Final = 0.42


@dataclass(frozen=True, slots=True)
class Example:
    """A crop of an eye, and whether that is open."""

    name: str
    crop: Path
    is_open: bool


class KnownFace(FaceView):
    """A face whose mesh is known without looking."""

    def __init__(self, picture: Srgb8, face: Face, mesh: Mesh) -> None:
        super().__init__(picture, face)
        self._known = mesh

    def mesh(self, network: FaceMesh) -> Mesh:
        """Return the known mesh."""
        del network
        return self._known


def examples(folder: Path) -> list[Example]:
    """Return the crops of `open` and of `closed`.  Raises FolderUnreadable."""
    return [
        Example(crop.name, crop, is_open)
        for name, is_open in (("open", True), ("closed", False))
        for crop in folders.pictures(folder / name)
    ]


def question(example: Example, prepare: Prepare) -> Srgb8:
    """Return the crop."""
    del prepare
    return folders.photo(example.crop).srgb


def answer(model: object, question: Srgb8) -> Eyes:
    """Read the eyes of the face that the crop makes, as the smile stage does."""
    (eyes,) = cast("EyeReader", model)([face_of(question)])
    return eyes


def score(example: Example, answer: Eyes) -> Score:
    """Compare what was said."""
    said = _said(answer)
    crop = folders.photo(example.crop).srgb
    told = said is not None
    wrong = told and said != example.is_open
    return Score(
        photo=example.name,
        group="colour" if (crop[..., 0] != crop[..., 2]).any() else "grey",
        numbers=(example.is_open, 2 if said is None else said),
        badness=2.0 if wrong else float(example.is_open and not told),
        told="",
    )


def figures(numbers: Floats, weights: Floats) -> Mapping[str, float]:
    """Return the accuracy, and that of what was told."""
    is_open, said = numbers.T
    told = (said < len(TRUTHS)).astype(np.float64)
    return {
        "accuracy": metrics.mean(((said == 1) == is_open).astype(np.float64), weights),
        "accuracy_told": metrics.mean((said == is_open).astype(np.float64), weights * told),
        "told": metrics.mean(told, weights),
    }


def confusion(numbers: Floats) -> Confusion:
    """Return how often open and closed eyes were called what."""
    counts = metrics.confusion(numbers[:, 0], numbers[:, 1], np.ones(len(numbers)), len(ANSWERS))
    rows = tuple(tuple(round(cell) for cell in row) for row in counts[: len(TRUTHS)].tolist())
    return Confusion(TRUTHS, ANSWERS, rows)


def cells(example: Example, answer: Eyes) -> tuple[Cell, Cell, Cell, Cell]:
    """Return the crop, what is so, what was said, and whether that is right."""
    said = _said(answer)
    answered = ANSWERS[2] if said is None else ANSWERS[said]
    verdict = "right" if said == example.is_open else ("untold" if said is None else "wrong")
    return folders.photo(example.crop).srgb, TRUTHS[example.is_open], answered, verdict


def face_of(crop: Srgb8) -> FaceView:
    """Return a face that has the crop as its right eye, and mirrored as its left one.

    crop: (H, W, 3) uint8 sRGB.  Around the eyes the crops' edges go on.
    """
    height, width = crop.shape[:2]
    side = max(height, width)
    apart = round(_SQUARE * side)
    tile = _bordered(crop, apart - height, apart - width)
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
    # Corners and lips of the mouth; chin, forehead and cheeks, as the mesh numbers them.
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


def _bordered(crop: Srgb8, down: int, across: int) -> Srgb8:
    """Return the crop with so many more rows and columns, its edges going on."""
    top, left = down // 2, across // 2
    border = cv2.copyMakeBorder(crop, top, down - top, left, across - left, cv2.BORDER_REPLICATE)
    return np.asarray(border, dtype=np.uint8)


def _said(answer: Eyes) -> bool | None:
    """Return what was said of either eye: they are mirror images of one crop."""
    return answer.left_open if answer.right_open is None else answer.right_open
