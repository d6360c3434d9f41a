"""Find the code of each stage, `stages/<stage>/stage.py`, by the stage's name."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

from smart_filter_shared.pipeline import StageName, TaskName


class StageCode(Protocol):
    """Interface of a stage's module: its inputs and its function."""

    # A dataclass; its field names select the artifacts to load for it (artifacts/store.py).
    Inputs: type

    def run(self, models: Mapping[TaskName, object], batch: Sequence[object]) -> list[object]:
        """Return a result for each entry of the batch, in order."""
        ...


def get_stage(stage: StageName) -> StageCode:
    """Return the code of a stage."""
    return cast("StageCode", importlib.import_module(f"smart_filter_workers.stages.{stage}.stage"))
