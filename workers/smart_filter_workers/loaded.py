"""Models in memory: each one loaded once a process, the least used dropped when room is short."""

import functools
import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, cast

from smart_filter_shared.cards import TaskName
from smart_filter_shared.errors import ModelNotLoaded, TryAgain
from smart_filter_shared.parameters import Parameters
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers import weights
from smart_filter_workers.catalogue import Catalogue, ModelFile
from smart_filter_workers.memory import Room
from smart_filter_workers.trained import TrainedWeights

# Of a model: its task, its name, and the digest of its weights, "" for those that are its own.
Place = tuple[TaskName, str, str]
Model = Callable[..., object]
NOTHING: Final[Mapping[TaskName, str]] = {}

_log = logger("models")


class LoadedModels:
    """Models by task, name and weights, loaded at their first use; safe for threads.

    room: how much memory the process may take.  Whoever is at work with a model that is
    dropped keeps it until it is done.  trained: where other weights are had; None: nowhere.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        weights_folder: Path,
        *,
        room: Room,
        trained: TrainedWeights | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._folder = weights_folder
        self._room = room
        self._trained = trained or TrainedWeights(weights_folder, None)
        # The least recently used first.
        self._loaded: OrderedDict[Place, Model] = OrderedDict()
        self._loading: dict[Place, threading.Lock] = {}
        self._lock = threading.Lock()

    def of(
        self,
        names: Mapping[TaskName, str],
        parameters: Mapping[TaskName, Parameters],
        digests: Mapping[TaskName, str] = NOTHING,
    ) -> dict[TaskName, Model]:
        """Return the models of a stage by task, each with its parameters filled in.

        digests: trained weights, of those that run with other weights than their own.
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
        digests: Mapping[TaskName, str] = NOTHING,
    ) -> dict[TaskName, str]:
        """Return what the weights are known by with which `of` runs models, of those with any."""
        found = {
            task: digests.get(task)
            or self._catalogue.digest(task, name, parameters.get(task, {}), self._folder)
            for task, name in names.items()
        }
        return {task: digest for task, digest in found.items() if digest is not None}

    def model(self, task: TaskName, name: str, digest: str = "") -> Model:
        """Return one model, as its file loads it.  Raises ModelNotLoaded, StorageUnavailable."""
        place = (task, name, digest)
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
        task, name, digest = place
        file = self._catalogue.files.get((task, name))
        if file is None:
            raise ModelNotLoaded(f"{task} {name}: this version has no such model", leads=True)
        try:
            self._catalogue.ensure_may_run(file.CARD)
            folder = self._folder
            if digest:
                folder = self._trained.folder_of(file.CARD, digest)
            else:
                weights.verify(folder, file.CARD.weights)
            return _loaded(file, folder, lambda other: self._complete(task, other, {}))
        except TryAgain:
            raise
        except Exception as error:
            # A framework may raise anything; whatever it is, only this model is unusable, and
            # with other weights than its own only those are.
            card = file.CARD
            raise ModelNotLoaded(
                f"{task} {name}{f' with weights {digest}' if digest else ''}: {error}",
                leads=card.leads and not digest,
                capability=card.capability,
            ) from error

    def _complete(self, task: TaskName, name: str, given: Parameters, digest: str = "") -> Model:
        """Return a model that takes its parameters as they were given, else at their defaults."""
        model = self.model(task, name, digest)
        card = self._catalogue.card(task, name, self._folder)
        if not card.parameters:
            return model
        return functools.partial(model, parameters=card.completed(given))


def _loaded(file: ModelFile, folder: Path, others: Callable[[str], Model]) -> Model:
    loaded = file.load(folder, others) if file.CARD.combines else file.load(folder)
    return cast("Model", loaded)
