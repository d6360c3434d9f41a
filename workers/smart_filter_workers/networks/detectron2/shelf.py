"""What can be run here: configurations whose weights were admitted, loaded when asked for."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from typing import Final

from smart_filter_shared.errors import ModelNotLoaded, SetupFailed
from smart_filter_workers import admitted
from smart_filter_workers.admitted import ADDRESS_LENGTH, DIGEST, Admitted
from smart_filter_workers.networks.detectron2 import building, checkpoints, documents, keys, zoo
from smart_filter_workers.networks.detectron2.documents import Document
from smart_filter_workers.networks.detectron2.predictor import Predictor

# What `admitted.json` calls weights for cutting out, own configurations, weights for faces.
WEIGHTS: Final = "detectron2"
CONFIG: Final = "detectron2-config"
FACES: Final = "detectron2-faces"
# Each takes 0.2 to 0.6 GB.
MOST_LOADED: Final = 2


@dataclass(frozen=True, slots=True)
class Shelved:
    """A configuration that has weights.

    own: the operator's file that it is; None for one of the zoo, which `weights` names.
    """

    weights: Admitted
    own: Admitted | None

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from every other: its configuration and the digest of its weights."""
        return self.weights.config, self.weights.sha256


class Shelf:
    """The configurations of a weights folder; any thread may call it.

    kind: which of the admitted weights it holds.
    """

    def __init__(self, folder: Path, *, kind: str = WEIGHTS) -> None:
        self._folder = folder
        self._kind = kind
        # The least recently used first.
        self._loaded: OrderedDict[tuple[str, str], Predictor] = OrderedDict()
        self._lock = threading.Lock()

    def predictor(self, address: str) -> Predictor:
        """Return the model of a configuration, loaded if it is not yet.

        address: a name of the zoo, or `sha256:` and the first letters of an own file's digest.
        Raises ModelNotLoaded when this machine has no weights of it, or its files are not what
        was admitted: another worker may have good ones.
        """
        try:
            return self._predictor(self._found(address))
        except SetupFailed as error:
            raise ModelNotLoaded(f"{self._kind}: {error}", leads=False) from error

    def _found(self, address: str) -> Shelved:
        found = shelved(self._folder, kind=self._kind).get(address)
        if found is None:
            raise SetupFailed(f"no weights for {address} here: {admitted.REMEDY}")
        return found

    def _predictor(self, found: Shelved) -> Predictor:
        # One at a time: two at once would take twice the room.
        with self._lock:
            if found.key not in self._loaded:
                while len(self._loaded) >= MOST_LOADED:
                    self._loaded.popitem(last=False)
                self._loaded[found.key] = self._load(found)
            self._loaded.move_to_end(found.key)
            return self._loaded[found.key]

    def _load(self, found: Shelved) -> Predictor:
        document = (
            of_zoo(found.weights.config) if found.own is None else own(self._folder, found.own)
        )
        device = building.device()
        names = found.weights.classes or (found.own.classes if found.own else ())
        built = building.build(document, device=device, names=names)
        building.fill(built, checkpoints.read(self._folder, found.weights.file))
        return Predictor(built)


def shelved(folder: Path, *, kind: str = WEIGHTS) -> Mapping[str, Shelved]:
    """Return what can be asked for by its address.  Raises SetupFailed for an unreadable list."""
    files = [one for one in admitted.read(folder) if (folder / one.name).is_file()]
    configs = {f"{DIGEST}{one.sha256}": one for one in files if one.kind == CONFIG}
    found: dict[str, Shelved] = {}
    for one in files:
        if one.kind != kind:
            continue
        if one.config in configs:
            found[address_of(configs[one.config].sha256)] = Shelved(one, configs[one.config])
        elif one.config in zoo.configs():
            found[one.config] = Shelved(one, None)
    return found


def address_of(sha256: str) -> str:
    """Return how an own configuration is asked for."""
    return f"{DIGEST}{sha256}"[:ADDRESS_LENGTH]


def of_zoo(name: str) -> Document:
    """Return a configuration of the zoo that is on the list.  Raises SetupFailed."""
    return documents.without_training(documents.of_zoo(f"{zoo.find(name).name}.yaml", packaged))


def own(folder: Path, file: Admitted) -> Document:
    """Return an operator's own configuration.  Raises SetupFailed when it was changed."""
    path = folder / file.name
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise SetupFailed(f"configuration {path} is not what was admitted: admit it again")
    return of_operator(content.decode("utf-8"), str(path))


def of_operator(text: str, title: str) -> Document:
    """Return an operator's configuration, each key checked.  Raises SetupFailed."""
    keys.check(documents.parsed(text, title), title)
    whole = documents.of_operator(text, title, packaged)
    return documents.without_training(whole)


def packaged(path: str) -> str:
    """Return a file of the installed detectron2's zoo; raises FileNotFoundError."""
    configs = resources("detectron2").joinpath("model_zoo", "configs")
    return configs.joinpath(*path.split("/")).read_text(encoding="utf-8")
