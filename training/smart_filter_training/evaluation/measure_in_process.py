"""Measure a model of the product in this process, as `smart-filter eval` does in its own."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from smart_filter_training.evaluation import confidence_intervals
from smart_filter_training.evaluation.base import Score, TaskCode
from smart_filter_training.evaluation.confidence_intervals import Figure
from smart_filter_workers.results import Photo, PreparedPhoto
from smart_filter_workers.stages.prepare.stage import make_proxy


def measure_model(code: TaskCode, model: object, folder: Path) -> Mapping[str, Figure]:
    """Return the figures of a model on a folder with known answers.  Raises FolderUnreadable."""
    scores = score_model(code, model, folder)
    numbers = np.array([score.numbers for score in scores], np.float64)
    return confidence_intervals.compute_figures(numbers, code.figures)


def score_model(code: TaskCode, model: object, folder: Path) -> list[Score]:
    """Return the score of each photo of a folder with known answers.  Raises FolderUnreadable."""
    return [
        code.score(example, code.answer(model, code.question(example, _prepare)))
        for example in code.examples(folder)
    ]


def _prepare(photo: Photo) -> PreparedPhoto:
    """Return the result of the stage `prepare` without the proposals of its face detector."""
    height, width = photo.srgb.shape[:2]
    return PreparedPhoto(
        width, height, photo.format, proxy_srgb=make_proxy(photo.srgb), proposals=()
    )
