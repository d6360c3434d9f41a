"""One module for each task that can be measured, found by the task's name."""

import importlib
from typing import Final, cast

from smart_filter_shared.cards import TaskName
from smart_filter_workers.evaluation.base import TaskCode

TASKS: Final = (
    TaskName.SEGMENTATION,
    TaskName.FACE,
    TaskName.SMILE,
    TaskName.EYES,
    TaskName.ORIENTATION,
)


def of(task: TaskName) -> TaskCode:
    """Return how a task is measured."""
    return cast("TaskCode", importlib.import_module(f"{__name__}.{task}"))
