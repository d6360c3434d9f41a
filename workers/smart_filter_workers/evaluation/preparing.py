"""What `prepare` makes of photos, in this process and in one thread."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

import cv2

from smart_filter_shared.cards import TaskName
from smart_filter_workers import catalogue, memory
from smart_filter_workers.catalogue import Catalogue
from smart_filter_workers.evaluation.base import Prepare
from smart_filter_workers.loaded import LoadedModels
from smart_filter_workers.results import Face, Photo, Prepared, Srgb8
from smart_filter_workers.stages.prepare import stage
from smart_filter_workers.stages.prepare.models.base import LightDetector, OrientationReader


@contextmanager
def prepared_by(weights: Path, *, turning: bool, research: bool = True) -> Iterator[Prepare]:
    """Give the stage, with its default models.

    turning: whether photos are turned upright; those of a measurement stand as their answers
    do.  research: whether models with research weights may do it.  Models are loaded with the
    first photo.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        known = catalogue.find(research=research)
        loaded = LoadedModels(known, weights, room=memory.room(None))
        tasks = [TaskName.PREPARE, TaskName.ORIENTATION] if turning else [TaskName.PREPARE]
        yield partial(_prepare, loaded, {task: default_of(task, known) for task in tasks})
    finally:
        cv2.setNumThreads(threads)


def default_of(task: TaskName, known: Catalogue) -> str:
    """Return the name of the model that `auto` means."""
    return next(card.name for card in known.cards if card.task == task and card.default)


def _prepare(loaded: LoadedModels, names: Mapping[TaskName, str], photo: Photo) -> Prepared:
    models = loaded.of(names, {})
    run_by = stage.Models(
        prepare=cast("LightDetector", models[TaskName.PREPARE]),
        orientation=cast("OrientationReader", models.get(TaskName.ORIENTATION, _as_it_stands)),
    )
    (prepared,) = stage.run(run_by, [stage.Inputs(photo)])
    return prepared


def _as_it_stands(pictures: Sequence[Srgb8], faces: Sequence[tuple[Face, ...]], /) -> Sequence[int]:
    del faces
    return [0] * len(pictures)
