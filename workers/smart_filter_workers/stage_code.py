"""The code of each stage: `stages/<stage>/stage.py`, found by the stage's name."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

from smart_filter_shared.cards import TaskName
from smart_filter_shared.pipeline import StageName


class StageCode(Protocol):
    """What a stage's module exposes: what it reads, and what it does."""

    # A dataclass whose fields' names say what is loaded for it (artifacts.py).
    Inputs: type

    def run(self, models: Mapping[TaskName, object], batch: Sequence[object]) -> list[object]:
        """Return a result for each entry of the batch, in order."""
        ...


def of(stage: StageName) -> StageCode:
    """Return the code of a stage."""
    return cast("StageCode", importlib.import_module(f"smart_filter_workers.stages.{stage}.stage"))
