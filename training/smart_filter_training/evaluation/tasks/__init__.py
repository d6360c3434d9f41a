"""One module for each task that can be measured, found by the task's name."""

import importlib
from typing import Final, cast

from smart_filter_shared.pipeline import TaskName
from smart_filter_training.evaluation.base import TaskCode

TASKS: Final = (
    TaskName.SEGMENTATION,
    TaskName.FACE,
    TaskName.SMILE,
    TaskName.EYES,
    TaskName.ORIENTATION,
)


def get_task(task: TaskName) -> TaskCode:
    """Return the module that measures a task."""
    return cast("TaskCode", importlib.import_module(f"{__name__}.{task}"))
