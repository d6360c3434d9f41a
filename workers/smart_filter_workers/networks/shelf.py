"""The networks of a model that has many files of weights: opened when asked for, a few kept."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Generic, TypeVar

from smart_filter_shared.errors import ModelNotLoaded, SetupFailed
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers import admitted
from smart_filter_workers.admitted import Admitted

# A network of this kind is 5 MB to a gigabyte; recipes of one tenant name one or two.
MOST_OPEN: Final = 2

Network = TypeVar("Network")

_log = logger("models")


class Shelf(Generic[Network]):
    """Opens networks by entry, keeps the last few; safe for threads.

    folder: the weights folder; kind: which of the admitted files are its own.
    open_network: is given a file's bytes, whose digest is right, and what the list says of it.
    """

    def __init__(
        self, folder: Path, kind: str, open_network: Callable[[bytes, Admitted], Network]
    ) -> None:
        self._folder = folder
        self._kind = kind
        self._open_network = open_network
        # The least recently used first.
        self._open: OrderedDict[str, Network] = OrderedDict()
        self._lock = threading.Lock()

    def network(self, entry: str) -> Network:
        """Return the network of an entry.

        Raises ModelNotLoaded when this machine has no such file, the file was changed, or
        it does not load: another worker may have a good one.
        """
        # One lock for all: of threads that want a new network at once, one opens it.
        with self._lock:
            if entry not in self._open:
                try:
                    opened = self._load(entry)
                except SetupFailed as error:
                    raise ModelNotLoaded(f"{self._kind} {entry}: {error}", leads=False) from error
                while len(self._open) >= MOST_OPEN:
                    self._open.popitem(last=False)
                self._open[entry] = opened
            self._open.move_to_end(entry)
            return self._open[entry]

    def warm(self, default: str) -> None:
        """Open the network that recipes get when they name none, or the first that opens.

        One bad file must not take the good ones with it: a job that asks for it fails alone.
        Raises ModelNotLoaded when there is none, or none can be opened.
        """
        there = admitted.entries(self._folder, self._kind)
        names = sorted(there, key=lambda name: (name != default, name))
        first_that_opens(names or [default], self.network, kind=self._kind)

    def _load(self, entry: str) -> Network:
        file = admitted.entries(self._folder, self._kind).get(entry)
        if file is None:
            raise SetupFailed(
                f"has no weights here: run `smart-filter models pull {self._kind}/{entry}`"
            )
        try:
            content = (self._folder / file.name).read_bytes()
        except OSError as error:
            raise SetupFailed(f"weights file {error.filename}: {error.strerror}") from error
        # The bytes that are checked are those that are loaded, whoever writes to the file.
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise SetupFailed(f"weights file {self._folder / file.name} has a wrong SHA-256")
        return self._open_network(content, file)


def first_that_opens(
    names: Iterable[str], open_network: Callable[[str], object], *, kind: str
) -> None:
    """Open networks in turn until one opens; say of those before it why they do not.

    Raises ModelNotLoaded, with every reason, when none opens.
    """
    faults: list[str] = []
    for name in names:
        try:
            open_network(name)
        except ModelNotLoaded as error:
            faults.append(str(error))
            _log.error("network does not open", model=kind, entry=name, reason=str(error))
        else:
            return
    raise ModelNotLoaded("; ".join(faults), leads=False)
