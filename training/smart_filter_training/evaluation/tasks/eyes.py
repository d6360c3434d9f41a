"""Eyes: open or closed, on crops of single eyes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np

from smart_filter_training.evaluation import dataset_files, metrics
from smart_filter_training.evaluation.base import Cell, Confusion, Metric, PreparePhoto, Score
from smart_filter_wire.findings import Eyes
from smart_filter_workers.learning.register import build_face
from smart_filter_workers.results import Doubles, Srgb8
from smart_filter_workers.stages.smile.models.base import EyeReader

HOW: Final = (
    "Crops of single eyes in open/ and closed/. Each crop is placed, as the right eye and mirrored"
    " as the left eye, into an otherwise empty face, and the model reads that face; its mesh is"
    " given. Unknown counts as not open, as in a rating; answered is the share that is not"
    " unknown. Parts: crops in color, and gray ones."
)
METRICS: Final = (
    Metric("accuracy", "accuracy"),
    Metric("accuracy_told", "accuracy of answered", contract=False),
    Metric("told", "answered", contract=False),
)
LOOKS: Final = 1
TRUTHS: Final = ("closed", "open")
ANSWERS: Final = ("closed", "open", "unknown")


@dataclass(frozen=True, slots=True)
class Example:
    """A crop of an eye, and whether the eye is open."""

    name: str
    crop: Path
    is_open: bool


def examples(folder: Path) -> list[Example]:
    """Return the crops of `open` and of `closed`.  Raises FolderUnreadable."""
    return [
        Example(crop.name, crop, is_open)
        for name, is_open in (("open", True), ("closed", False))
        for crop in dataset_files.list_pictures(folder / name)
    ]


def question(example: Example, prepare: PreparePhoto) -> Srgb8:
    """Return the crop."""
    del prepare
    return dataset_files.read_photo(example.crop).srgb


def answer(model: object, question: Srgb8) -> Eyes:
    """Read the eyes of the face made from the crop, as the smile stage does."""
    (eyes,) = cast("EyeReader", model)([build_face(question)])
    return eyes


def score(example: Example, answer: Eyes) -> Score:
    """Compare the answer with the truth."""
    given = _list_answers(answer)
    crop = dataset_files.read_photo(example.crop).srgb
    is_answered = given is not None
    is_wrong = is_answered and given != example.is_open
    return Score(
        photo=example.name,
        group="colour" if (crop[..., 0] != crop[..., 2]).any() else "grey",
        numbers=(example.is_open, 2 if given is None else given),
        badness=2.0 if is_wrong else float(example.is_open and not is_answered),
        summary="",
    )


def figures(numbers: Doubles, weights: Doubles) -> Mapping[str, float]:
    """Return the accuracy of all answers, and of the answers that are not unknown."""
    is_open, given = numbers.T
    answered = (given < len(TRUTHS)).astype(np.float64)
    return {
        "accuracy": metrics.weighted_mean(((given == 1) == is_open).astype(np.float64), weights),
        "accuracy_told": metrics.weighted_mean(
            (given == is_open).astype(np.float64), weights * answered
        ),
        "told": metrics.weighted_mean(answered, weights),
    }


def confusion(numbers: Doubles) -> Confusion:
    """Return the counts of answers for open and closed eyes."""
    counts = metrics.confusion_matrix(
        numbers[:, 0], numbers[:, 1], np.ones(len(numbers)), len(ANSWERS)
    )
    rows = tuple(tuple(round(cell) for cell in row) for row in counts[: len(TRUTHS)].tolist())
    return Confusion(TRUTHS, ANSWERS, rows)


def cells(example: Example, answer: Eyes) -> tuple[Cell, Cell, Cell, Cell]:
    """Return the crop, the truth, the answer, and whether it is right."""
    given = _list_answers(answer)
    answered = ANSWERS[2] if given is None else ANSWERS[given]
    verdict = "right" if given == example.is_open else ("unknown" if given is None else "wrong")
    return dataset_files.read_photo(example.crop).srgb, TRUTHS[example.is_open], answered, verdict


def _list_answers(answer: Eyes) -> bool | None:
    """Return the answer for one eye; both are mirror images of the same crop."""
    return answer.left_open if answer.right_open is None else answer.right_open
