"""Keep loaded models in memory: one copy per process; low memory drops the least recent."""

import functools
import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, cast

from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.errors import ModelNotLoaded, SetupFailed, TryAgain
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.models.catalog import ModelCatalog, ModelFile
from smart_filter_workers.networks.runtimes import litert, onnx_network
from smart_filter_workers.system.resources import MemoryLimit
from smart_filter_workers.weights import files
from smart_filter_workers.weights.trained_weights import TrainedWeights

# Task, model name, and digest of trained weights; "" for the model's own weights.
ModelKey = tuple[TaskName, str, str]
Model = Callable[..., object]
NO_DIGESTS: Final[Mapping[TaskName, str]] = {}

_log = logger("models")


class ModelCache:
    """Models by task, name and weights, loaded at their first use; safe for threads.

    memory_limit: of the process.  A thread that uses a dropped model keeps it until it is done.
    trained: the source of trained weights; None: no source.
    """

    def __init__(
        self,
        catalog: ModelCatalog,
        weights_folder: Path,
        *,
        memory_limit: MemoryLimit,
        trained: TrainedWeights | None = None,
    ) -> None:
        self._catalog = catalog
        self._folder = weights_folder
        self._memory_limit = memory_limit
        self._trained = trained or TrainedWeights(weights_folder, None)
        # In order of use: the least recent is first.
        self._loaded: OrderedDict[ModelKey, Model] = OrderedDict()
        self._loading: dict[ModelKey, threading.Lock] = {}
        self._lock = threading.Lock()

    def for_stage(
        self,
        names: Mapping[TaskName, str],
        parameters: Mapping[TaskName, Parameters],
        digests: Mapping[TaskName, str] = NO_DIGESTS,
    ) -> dict[TaskName, Model]:
        """Return the models of a stage by task, each with its parameters filled in.

        digests: the digests of trained weights, for tasks that run with such weights.
        Raises ModelNotLoaded, StorageUnavailable.
        """
        return {
            task: self._complete(task, name, parameters.get(task, {}), digests.get(task, ""))
            for task, name in names.items()
        }

    def digests(
        self,
        names: Mapping[TaskName, str],
        parameters: Mapping[TaskName, Parameters],
        digests: Mapping[TaskName, str] = NO_DIGESTS,
    ) -> dict[TaskName, str]:
        """Return the digests of the weights that `for_stage` would use, if a model has any."""
        by_task = {
            task: digests.get(task)
            or self._catalog.digest(task, name, parameters.get(task, {}), self._folder)
            for task, name in names.items()
        }
        return {task: digest for task, digest in by_task.items() if digest is not None}

    def model(self, task: TaskName, name: str, digest: str = "") -> Model:
        """Return one model as its module loads it.  Raises ModelNotLoaded, StorageUnavailable."""
        place = (task, name, digest)
        with self._lock:
            turn = self._loading.setdefault(place, threading.Lock())
        # One lock per model: a model that takes a minute to load delays no other.
        with turn:
            with self._lock:
                if place in self._loaded:
                    self._loaded.move_to_end(place)
                    return self._loaded[place]
            loaded = self._load(place)
            with self._lock:
                self._loaded[place] = loaded
        self.relieve(except_for={place})
        return loaded

    def relieve(self, *, except_for: Iterable[ModelKey] = ()) -> None:
        """Drop the least recently used models while the process exceeds its memory limit."""
        kept = set(except_for)
        while self._memory_limit.is_exceeded():
            with self._lock:
                oldest = next((place for place in self._loaded if place not in kept), None)
                if oldest is None:
                    return
                del self._loaded[oldest]
            _log.info("model_unloaded_low_memory", task=oldest[0], model=oldest[1])
            gc.collect()
            self._memory_limit.give_back()

    def give_back(self) -> None:
        """Return to the system the memory that networks keep between two passes."""
        litert.close_idle()
        onnx_network.shrink_arena()
        self._memory_limit.give_back()

    def names(self) -> list[ModelKey]:
        """Return the keys of the loaded models, the least recently used first."""
        with self._lock:
            return list(self._loaded)

    def _load(self, place: ModelKey) -> Model:
        task, name, digest = place
        file = self._catalog.files.get((task, name))
        if file is None:
            raise ModelNotLoaded(f"{task} {name}: this version has no such model", leads=True)
        try:
            self._catalog.ensure_may_run(file.CARD)
            folder = self._folder
            if digest:
                folder = self._trained.folder_of(file.CARD, digest)
            else:
                files.verify(folder, file.CARD.weights)
            return _load_file(file, folder, lambda other: self._complete(task, other, {}))
        except TryAgain:
            raise
        except Exception as error:
            # A framework may raise anything. Only this model is unusable then; with trained
            # weights, only those weights are.
            card = file.CARD
            raise ModelNotLoaded(
                f"{task} {name}{f' with weights {digest}' if digest else ''}: {error}",
                # Another model of the family may stand in for one that is turned off.
                leads=card.leads and not digest and self._catalog.refusal(card) is None,
                capability=card.capability,
            ) from error

    def _complete(self, task: TaskName, name: str, given: Parameters, digest: str = "") -> Model:
        """Return a model bound to the given parameters, with defaults for the others."""
        model = self.model(task, name, digest)
        if not self._catalog.files[task, name].CARD.parameters:
            return model
        try:
            self._catalog.ensure_entry_may_run(task, name, given, self._folder)
        except SetupFailed as error:
            raise ModelNotLoaded(f"{task} {name}: {error}", leads=False) from error
        card = self._catalog.card(task, name, self._folder)
        return functools.partial(model, parameters=card.completed(given))


def _load_file(file: ModelFile, folder: Path, others: Callable[[str], Model]) -> Model:
    loaded = file.load(folder, others) if file.CARD.combines else file.load(folder)
    return cast("Model", loaded)
