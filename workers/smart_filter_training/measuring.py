"""What a model of the product reaches on photos with known answers, as `smart-filter eval` says."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from smart_filter_workers.evaluation import intervals
from smart_filter_workers.evaluation.base import TaskCode
from smart_filter_workers.evaluation.intervals import Figure
from smart_filter_workers.results import Photo, Prepared
from smart_filter_workers.stages.prepare.stage import proxy_of


def measured(code: TaskCode, model: object, folder: Path) -> Mapping[str, Figure]:
    """Return the figures of a task that a model reaches on photos with known answers.

    folder: as `smart-filter eval` takes it.  Raises FolderUnreadable.
    """
    scores = [
        code.score(one, code.answer(model, code.question(one, _prepared)))
        for one in code.examples(folder)
    ]
    return intervals.figures(
        np.array([score.numbers for score in scores], np.float64), code.figures
    )


def _prepared(photo: Photo) -> Prepared:
    # As the stage does, but for the proposals of its light detector, which nobody here asks for.
    height, width = photo.srgb.shape[:2]
    return Prepared(width, height, photo.format, proxy_of(photo.srgb), proposals=())
