"""Orientation: upright photos, each turned by all four quarters."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np

from smart_filter_shared.results import Face
from smart_filter_training.evaluation import dataset_files, metrics
from smart_filter_training.evaluation.base import Cell, Metric, PreparePhoto, Score
from smart_filter_workers.results import Doubles, Photo, Srgb8
from smart_filter_workers.stages.prepare import stage
from smart_filter_workers.stages.prepare.models.base import OrientationReader

HOW: Final = (
    "Upright photos, each turned by 0, 90, 180 and 270 degrees. An answer is right when it makes"
    " the photo upright; leaving a photo as it is, because its orientation is unclear, is right"
    " for an upright one. Abstained: the share of all photos that were wrongly left as they were;"
    " harmed: the share of upright photos that were turned."
    " Parts: photos in which the light detector proposes a face while they are upright, and others."
)
METRICS: Final = (
    Metric("accuracy", "accuracy"),
    Metric("abstained", "abstained", less_is_better=True),
    Metric("harmed", "harmed", less_is_better=True),
    Metric("accuracy_turned", "right of turned", contract=False),
)
# One for each quarter.
LOOKS: Final = 4


@dataclass(frozen=True, slots=True)
class Example:
    """An upright photo."""

    name: str
    photo: Path


@dataclass(frozen=True, slots=True)
class Question:
    """A photo turned by 0, 1, 2 and 3 quarters counter-clockwise, with the faces of each."""

    turned: tuple[Srgb8, ...]
    faces: tuple[tuple[Face, ...], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The quarters by which each photo is to be turned, and whether the upright one has a face."""

    quarters: tuple[int, ...]
    with_face: bool


def examples(folder: Path) -> list[Example]:
    """Return the photos of a folder, or of its `images`.  Raises FolderUnreadable."""
    inner = folder / "images"
    photos = dataset_files.list_pictures(inner if inner.is_dir() else folder)
    return [Example(photo.name, photo) for photo in photos]


def question(example: Example, prepare: PreparePhoto) -> Question:
    """Turn a photo by each quarter, and prepare each result without turning it back."""
    srgb = prepare(dataset_files.read_photo(example.photo)).proxy_srgb
    prepared = [
        prepare(Photo(np.ascontiguousarray(np.rot90(srgb, quarters)), format="jpg"))
        for quarters in range(LOOKS)
    ]
    return Question(
        turned=tuple(photo.proxy_srgb for photo in prepared),
        # The proxies serve as the photos here, so the proposals are already in their coordinates.
        faces=tuple(photo.proposals for photo in prepared),
    )


def answer(model: object, question: Question) -> Answer:
    """Run the model on each turned photo separately, as a worker does."""
    read = cast("OrientationReader", model)
    views = zip(question.turned, question.faces, strict=True)
    quarters = tuple(read([picture], [faces])[0] for picture, faces in views)
    return Answer(quarters, with_face=bool(question.faces[0]))


def score(example: Example, answer: Answer) -> Score:
    """Count right answers, turned photos, both, and whether the upright photo was turned."""
    right = [turn == needed for turn, needed in _pair_with_expected(answer)]
    turned = [turn != 0 for turn in answer.quarters]
    turned_right = sum(fits and moved for fits, moved in zip(right, turned, strict=True))
    left = sum(not fits and not moved for fits, moved in zip(right, turned, strict=True))
    harmed = not right[0]
    return Score(
        photo=example.name,
        group="with a face" if answer.with_face else "without",
        numbers=(sum(right), left, sum(turned), turned_right, harmed),
        # Turning an upright photo is the worst error, then turning wrongly; abstaining is harmless.
        badness=8.0 * harmed + 2 * (sum(turned) - turned_right) + left,
        summary=f"{sum(right)} of {LOOKS} right · {left} left as they were",
    )


def figures(numbers: Doubles, weights: Doubles) -> Mapping[str, float]:
    """Return the shares of the metrics."""
    right, left, turned, turned_right, harmed = numbers.T
    all_turned = float(turned @ weights)
    return {
        "accuracy": metrics.weighted_mean(right, weights) / LOOKS,
        "abstained": metrics.weighted_mean(left, weights) / LOOKS,
        "harmed": metrics.weighted_mean(harmed, weights),
        "accuracy_turned": float(turned_right @ weights) / all_turned if all_turned else math.nan,
    }


def confusion(numbers: Doubles) -> None:
    """Return None: all quarters are equivalent."""
    del numbers


def cells(example: Example, answer: Answer) -> tuple[Cell, Cell, Cell, Cell]:
    """Return a wrongly answered photo: as given, upright, as answered, and how far it is off."""
    proxy = stage.make_proxy(dataset_files.read_photo(example.photo).srgb)
    quarters = _pair_with_expected(answer)
    given = next((k for k, (turn, needed) in enumerate(quarters) if turn != needed), 0)
    turn, needed = quarters[given]
    met = np.rot90(proxy, given)
    off = f"{90 * ((turn - needed) % LOOKS)}° off" if turn != needed else "the same"
    return np.ascontiguousarray(met), proxy, np.ascontiguousarray(np.rot90(met, turn)), off


def _pair_with_expected(answer: Answer) -> list[tuple[int, int]]:
    """Return each answer with the quarters, counter-clockwise, that would be right."""
    return [(turn % LOOKS, (LOOKS - given) % LOOKS) for given, turn in enumerate(answer.quarters)]
