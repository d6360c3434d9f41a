"""Models in memory: each one loaded once a process, the least used dropped when room is short."""

import functools
import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import cast

from smart_filter_shared.cards import TaskName
from smart_filter_shared.errors import ModelNotLoaded
from smart_filter_shared.parameters import Parameters
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers import weights
from smart_filter_workers.catalogue import Catalogue, ModelFile
from smart_filter_workers.memory import Room

Place = tuple[TaskName, str]
Model = Callable[..., object]

_log = logger("models")


class LoadedModels:
    """Models by task and name, loaded at their first use; safe for threads.

    room: how much memory the process may take.  Whoever is at work with a model that is
    dropped keeps it until it is done.
    """

    def __init__(self, catalogue: Catalogue, weights_folder: Path, *, room: Room) -> None:
        self._catalogue = catalogue
        self._folder = weights_folder
        self._room = room
        # The least recently used first.
        self._loaded: OrderedDict[Place, Model] = OrderedDict()
        self._loading: dict[Place, threading.Lock] = {}
        self._lock = threading.Lock()

    def of(
        self, names: Mapping[TaskName, str], parameters: Mapping[TaskName, Parameters]
    ) -> dict[TaskName, Model]:
        """Return the models of a stage by task, each with its parameters filled in.

        Raises ModelNotLoaded.
        """
        return {
            task: self._complete(task, name, parameters.get(task, {}))
            for task, name in names.items()
        }

    def model(self, task: TaskName, name: str) -> Model:
        """Return one model, as its file loads it.  Raises ModelNotLoaded."""
        place = (task, name)
        with self._lock:
            turn = self._loading.setdefault(place, threading.Lock())
        # Its own lock: a model that takes a minute to load holds up nobody else.
        with turn:
            with self._lock:
                if place in self._loaded:
                    self._loaded.move_to_end(place)
                    return self._loaded[place]
            loaded = self._load(place)
            with self._lock:
                self._loaded[place] = loaded
        self.relieve(keeping={place})
        return loaded

    def relieve(self, *, keeping: Iterable[Place] = ()) -> None:
        """Drop the least recently used models while the process takes more than its room."""
        kept = set(keeping)
        while self._room.is_exceeded():
            with self._lock:
                oldest = next((place for place in self._loaded if place not in kept), None)
                if oldest is None:
                    return
                del self._loaded[oldest]
            _log.info("model unloaded, memory is short", task=oldest[0], model=oldest[1])
            gc.collect()
            self._room.give_back()

    def names(self) -> list[Place]:
        """Return what is loaded, the least recently used first."""
        with self._lock:
            return list(self._loaded)

    def _load(self, place: Place) -> Model:
        task, name = place
        file = self._catalogue.files.get(place)
        if file is None:
            raise ModelNotLoaded(f"{task} {name}: this version has no such model", leads=True)
        try:
            self._catalogue.ensure_may_run(file.CARD)
            weights.verify(self._folder, file.CARD.weights)
            return _loaded(file, self._folder, lambda other: self._complete(task, other, {}))
        except Exception as error:
            # A framework may raise anything; whatever it is, only this model is unusable.
            card = file.CARD
            raise ModelNotLoaded(
                f"{task} {name}: {error}", leads=card.leads, capability=card.capability
            ) from error

    def _complete(self, task: TaskName, name: str, given: Parameters) -> Model:
        """Return a model that takes its parameters as they were given, else at their defaults."""
        model = self.model(task, name)
        card = self._catalogue.card(task, name, self._folder)
        if not card.parameters:
            return model
        return functools.partial(model, parameters=card.completed(given))


def _loaded(file: ModelFile, folder: Path, others: Callable[[str], Model]) -> Model:
    loaded = file.load(folder, others) if file.CARD.combines else file.load(folder)
    return cast("Model", loaded)
