"""Run `prepare` on photos, in this process and in one thread."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.results import Face
from smart_filter_training.evaluation.base import PreparePhoto
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.models.catalog import ModelCatalog
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Photo, PreparedPhoto, Srgb8
from smart_filter_workers.stages.prepare import stage
from smart_filter_workers.stages.prepare.models.base import LightDetector, OrientationReader
from smart_filter_workers.system import resources


@contextmanager
def open_prepare_stage(
    weights: Path, *, turning: bool, research: bool = True
) -> Iterator[PreparePhoto]:
    """Yield a function that runs the stage with its default models.

    turning: whether photos are turned upright; a measurement leaves them as their answers need
    them.  research: whether models with research weights may run.  Models are loaded with the
    first photo.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        models = catalog.discover_models(research=research)
        loaded = ModelCache(models, weights, memory_limit=resources.get_limit(None))
        tasks = [TaskName.PREPARE, TaskName.ORIENTATION] if turning else [TaskName.PREPARE]
        yield partial(_prepare, loaded, {task: default_model_name(task, models) for task in tasks})
    finally:
        cv2.setNumThreads(threads)


def default_model_name(task: TaskName, models: ModelCatalog) -> str:
    """Return the name of the model that `auto` stands for."""
    return next(card.name for card in models.cards if card.task == task and card.default)


def _prepare(loaded: ModelCache, names: Mapping[TaskName, str], photo: Photo) -> PreparedPhoto:
    models = loaded.for_stage(names, {})
    run_by = stage.Models(
        prepare=cast("LightDetector", models[TaskName.PREPARE]),
        orientation=cast("OrientationReader", models.get(TaskName.ORIENTATION, _no_rotation)),
    )
    (prepared,) = stage.run(run_by, [stage.Inputs(photo)])
    return prepared


def _no_rotation(pictures: Sequence[Srgb8], faces: Sequence[tuple[Face, ...]], /) -> Sequence[int]:
    del faces
    return [0] * len(pictures)
