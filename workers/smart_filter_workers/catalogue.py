"""Which models there are, found as files, and loaded once a process.

A model is a file `stages/<stage>/models/<name>.py` with `CARD` and `load`; adding the file
adds the model. Nothing registers itself: `find` looks.
"""

import importlib
import pkgutil
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import PIPELINE, StageName
from smart_filter_workers import weights

_INTERFACE = "base"  # the module of each models folder that holds its Protocol


class ModelFile(Protocol):
    """What a model's module exposes."""

    CARD: ModelCard
    # What comes back is the callable that the task's own Protocol describes.
    load: Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The models that a process knows, by task and name."""

    files: Mapping[tuple[TaskName, str], ModelFile]

    @property
    def cards(self) -> list[ModelCard]:
        """Every card."""
        return [file.CARD for file in self.files.values()]

    def capabilities(self, stages: Iterable[StageName]) -> list[Capability]:
        """Return what a worker serves that runs these stages."""
        wanted = set(stages)
        leading = {card.capability for card in self.cards if card.leads and card.stage in wanted}
        return sorted(leading)

    def batch_size(self, capability: Capability) -> int:
        """Return the most photos that one forward pass of a capability takes."""
        return min(card.batch_size for card in self.cards if card.capability == capability)


def find(extra: Iterable[ModuleType] = ()) -> Catalogue:
    """Return every model of the stages' `models` folders, and of `extra` modules.

    Raises SetupFailed when two models of a task share a name, or a task has not exactly
    one default.
    """
    modules = [module for stage in PIPELINE for module in _model_modules(stage.name)]
    files: dict[tuple[TaskName, str], ModelFile] = {}
    for module in [*modules, *extra]:
        file = cast("ModelFile", module)
        place = (file.CARD.task, file.CARD.name)
        if place in files:
            raise SetupFailed(f"two models of {place[0]} are named {place[1]}; rename one")
        files[place] = file
    for task in TaskName:
        defaults = [file.CARD.name for file in files.values() if _is_default(file.CARD, task)]
        if len(defaults) != 1:
            raise SetupFailed(f"{task} needs exactly one default model, has {defaults}")
    return Catalogue(files)


class LoadedModels:
    """Models in memory: each one is loaded at its first use, once; safe for threads."""

    def __init__(self, catalogue: Catalogue, weights_folder: Path) -> None:
        self._catalogue = catalogue
        self._folder = weights_folder
        self._loaded: dict[tuple[TaskName, str], object] = {}
        self._lock = threading.Lock()

    def warm_up(self, capabilities: Iterable[Capability]) -> None:
        """Load whatever the capabilities need.

        Raises SetupFailed naming the file when weights are missing or changed.
        """
        served = set(capabilities)
        stages = {capability.partition(".")[0] for capability in served}
        for (task, name), file in self._catalogue.files.items():
            beside = not file.CARD.leads and file.CARD.stage in stages
            if beside or file.CARD.capability in served:
                self._model(task, name)

    def of(self, names: Mapping[TaskName, str]) -> dict[TaskName, object]:
        """Return the models of a stage by task."""
        return {task: self._model(task, name) for task, name in names.items()}

    def _model(self, task: TaskName, name: str) -> object:
        place = (task, name)
        with self._lock:
            if place not in self._loaded:
                file = self._catalogue.files[place]
                weights.verify(self._folder, file.CARD.weights)
                self._loaded[place] = file.load(self._folder)
            return self._loaded[place]


def _model_modules(stage: StageName) -> list[ModuleType]:
    package = importlib.import_module(f"smart_filter_workers.stages.{stage}.models")
    return [
        importlib.import_module(f"{package.__name__}.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
        if found.name != _INTERFACE
    ]


def _is_default(card: ModelCard, task: TaskName) -> bool:
    return card.task == task and card.default
