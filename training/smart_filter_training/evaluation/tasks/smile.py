"""Smile: levels compared with the votes of ten raters, on small gray crops of faces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.results import Face, Point, Smile
from smart_filter_training.evaluation import dataset_files, metrics
from smart_filter_training.evaluation.base import Cell, Confusion, Metric, PreparePhoto, Score
from smart_filter_workers.networks.faces.face_mesh import FaceView
from smart_filter_workers.results import Doubles, Srgb8
from smart_filter_workers.stages.smile.models.base import SmileRater

HOW: Final = (
    "X_labels.csv with levels, and X.npz or X.png with crops of 48×48 pixels. The whole crop is"
    " the face. Macro F1 is the mean over levels; kappa has quadratic weights; AUC is of the score,"
    " any smile against none; levels off is the mean distance. The default model detects its points"
    " in each crop, and that time is included."
)
METRICS: Final = (
    Metric("accuracy", "accuracy"),
    Metric("macro_f1", "macro F1"),
    Metric("kappa", "kappa"),
    Metric("auc", "AUC"),
    Metric("mae_levels", "levels off", less_is_better=True),
)
LOOKS: Final = 1
LEVELS: Final = tuple(SmileLevel)

# A detector's result for the face of a crop: its box; eyes, nose and corners of the mouth.
_BOX: Final = (4.0, 4.0, 40.0, 40.0)
_LANDMARKS: Final[tuple[Point, Point, Point, Point, Point]] = (
    (15.0, 18.0),
    (33.0, 18.0),
    (24.0, 28.0),
    (17.0, 36.0),
    (31.0, 36.0),
)


@dataclass(frozen=True, slots=True)
class Example:
    """A crop, (48, 48) uint8 gray, and its level by the raters."""

    name: str
    crop: NDArray[np.uint8]
    level: SmileLevel


def examples(folder: Path) -> list[Example]:
    """Return the crops with a level.  Raises FolderUnreadable."""
    crops, rows = dataset_files.read_crops(folder)
    pairs = zip(crops, rows, strict=True)
    return [Example(row["Image name"], crop, _level(row["level"])) for crop, row in pairs]


def question(example: Example, prepare: PreparePhoto) -> Srgb8:
    """Return the crop in color."""
    del prepare
    return _to_rgb(example.crop)


def answer(model: object, question: Srgb8) -> Smile:
    """Rate the face, as the smile stage does."""
    view = FaceView(question, Face(box=_BOX, score=1.0, landmarks=_LANDMARKS))
    (smile,) = cast("SmileRater", model)([view])
    return smile


def score(example: Example, answer: Smile) -> Score:
    """Compare the levels."""
    truth, given = LEVELS.index(example.level), LEVELS.index(answer.level)
    # Among photos with the same distance, those with the most confident wrong answer come first.
    sureness = answer.score if given > truth else 1 - answer.score
    return Score(
        photo=example.name,
        group="",
        numbers=(truth, given, answer.score),
        badness=abs(truth - given) + sureness if truth != given else 0.0,
        summary=f"score {answer.score:.2f}",
    )


def figures(numbers: Doubles, weights: Doubles) -> Mapping[str, float]:
    """Return the figures of the levels, and of the score."""
    truth, given, scores = numbers.T
    counts = metrics.confusion_matrix(truth, given, weights, len(LEVELS))
    return {
        "accuracy": metrics.accuracy(counts),
        "macro_f1": metrics.macro_f1(counts),
        "kappa": metrics.quadratic_kappa(counts),
        "auc": metrics.auc(scores, truth > 0, weights),
        "mae_levels": metrics.mean_distance(counts),
    }


def confusion(numbers: Doubles) -> Confusion:
    """Return the counts of levels by true level."""
    counts = metrics.confusion_matrix(
        numbers[:, 0], numbers[:, 1], np.ones(len(numbers)), len(LEVELS)
    )
    names = tuple(map(str, LEVELS))
    return Confusion(names, names, _round_counts(counts.tolist()))


def cells(example: Example, answer: Smile) -> tuple[Cell, Cell, Cell, Cell]:
    """Return the crop, both levels, and their distance."""
    off = LEVELS.index(answer.level) - LEVELS.index(example.level)
    apart = "the same" if not off else f"{abs(off)} too {'high' if off > 0 else 'low'}"
    return _to_rgb(example.crop), str(example.level), str(answer.level), apart


def _level(text: str) -> SmileLevel:
    try:
        return SmileLevel(text)
    except ValueError as error:
        raise FolderUnreadable(f"level {text!r} is none of {', '.join(LEVELS)}") from error


def _to_rgb(crop: NDArray[np.uint8]) -> Srgb8:
    return np.ascontiguousarray(np.repeat(crop[..., np.newaxis], 3, axis=2))


def _round_counts(rows: Sequence[Sequence[float]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(round(cell) for cell in row) for row in rows)
