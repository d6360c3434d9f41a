"""Orientation: upright photos, turned by every quarter."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np

from smart_filter_workers.evaluation import folders, metrics
from smart_filter_workers.evaluation.base import Cell, Floats, Metric, Prepare, Score
from smart_filter_workers.results import Face, Photo, Srgb8
from smart_filter_workers.stages.prepare import stage
from smart_filter_workers.stages.prepare.models.base import OrientationReader

HOW: Final = (
    "Upright photos, each turned by 0, 90, 180 and 270 degrees. An answer is right when it makes"
    " the photo upright; to leave it as it is, because it cannot be told, is right for an upright"
    " one. Abstained: the share of all that were left standing wrongly; harmed: of upright ones"
    " that were turned."
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
    """By how many quarters each turned photo is to be turned, and whether it shows a face."""

    quarters: tuple[int, ...]
    with_face: bool


def examples(folder: Path) -> list[Example]:
    """Return the photos of a folder, or of its `images`.  Raises FolderUnreadable."""
    inner = folder / "images"
    photos = folders.pictures(inner if inner.is_dir() else folder)
    return [Example(photo.name, photo) for photo in photos]


def question(example: Example, prepare: Prepare) -> Question:
    """Turn a photo, and prepare each one as it stands."""
    srgb = prepare(folders.photo(example.photo)).proxy_srgb
    prepared = [
        prepare(Photo(np.ascontiguousarray(np.rot90(srgb, quarters)), format="jpg"))
        for quarters in range(LOOKS)
    ]
    return Question(
        turned=tuple(one.proxy_srgb for one in prepared),
        # The proxies are the photos here: their faces are where the detector saw them.
        faces=tuple(one.proposals for one in prepared),
    )


def answer(model: object, question: Question) -> Answer:
    """Ask about each turned photo by itself, as a worker does."""
    read = cast("OrientationReader", model)
    views = zip(question.turned, question.faces, strict=True)
    quarters = tuple(read([picture], [faces])[0] for picture, faces in views)
    return Answer(quarters, with_face=bool(question.faces[0]))


def score(example: Example, answer: Answer) -> Score:
    """Count what is right, what was turned, both, and whether the upright one is harmed."""
    right = [found == needed for found, needed in _with_needed(answer)]
    turned = [found != 0 for found in answer.quarters]
    turned_right = sum(one and other for one, other in zip(right, turned, strict=True))
    left = sum(not one and not other for one, other in zip(right, turned, strict=True))
    harmed = not right[0]
    return Score(
        photo=example.name,
        group="with a face" if answer.with_face else "without",
        numbers=(sum(right), left, sum(turned), turned_right, harmed),
        # Turning what was upright is worst; then turning wrongly; to abstain is no harm.
        badness=8.0 * harmed + 2 * (sum(turned) - turned_right) + left,
        told=f"{sum(right)} of {LOOKS} right · {left} left as they were",
    )


def figures(numbers: Floats, weights: Floats) -> Mapping[str, float]:
    """Return the shares."""
    right, left, turned, turned_right, harmed = numbers.T
    all_turned = float(turned @ weights)
    return {
        "accuracy": metrics.mean(right, weights) / LOOKS,
        "abstained": metrics.mean(left, weights) / LOOKS,
        "harmed": metrics.mean(harmed, weights),
        "accuracy_turned": float(turned_right @ weights) / all_turned if all_turned else math.nan,
    }


def confusion(numbers: Floats) -> None:
    """Return nothing: quarters are alike."""
    del numbers


def cells(example: Example, answer: Answer) -> tuple[Cell, Cell, Cell, Cell]:
    """Return a photo as the first wrong answer met it, upright, as it was turned, and how far."""
    proxy = stage.proxy_of(folders.photo(example.photo).srgb)
    quarters = _with_needed(answer)
    given = next((k for k, (found, needed) in enumerate(quarters) if found != needed), 0)
    found, needed = quarters[given]
    met = np.rot90(proxy, given)
    off = f"{90 * ((found - needed) % LOOKS)}° off" if found != needed else "the same"
    return np.ascontiguousarray(met), proxy, np.ascontiguousarray(np.rot90(met, found)), off


def _with_needed(answer: Answer) -> list[tuple[int, int]]:
    """Return each answer and the quarters, counter-clockwise, that would be right."""
    return [(found % LOOKS, (LOOKS - given) % LOOKS) for given, found in enumerate(answer.quarters)]
