"""Cache of networks for a model with many weights files: opened on first use, a few kept."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Generic, TypeVar

from cachetools import LRUCache

from smart_filter_shared.errors import ModelNotLoaded, SetupFailed
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.weights import allowlist, files
from smart_filter_workers.weights.allowlist import AdmittedFile

# Most open networks. One takes 5 MB to a gigabyte; recipes of one tenant name one or two.
MAX_OPEN: Final = 2

Network = TypeVar("Network")

_log = logger("models")


class NetworkCache(Generic[Network]):
    """Opens networks by entry and keeps the last few open; thread-safe.

    folder: the weights folder; kind: the kind of admitted files to use. open_network: called with a
    file's bytes, whose digest was checked, and the file's entry.
    """

    def __init__(
        self, folder: Path, kind: str, open_network: Callable[[bytes, AdmittedFile], Network]
    ) -> None:
        self._folder = folder
        self._kind = kind
        self._open_network = open_network
        self._open: LRUCache[str, Network] = LRUCache(MAX_OPEN)
        self._lock = threading.Lock()

    def network(self, entry: str) -> Network:
        """Return the network of an entry.

        Raises ModelNotLoaded when this machine lacks the file, the file was changed, or it does not
        load: another worker may have a good one.
        """
        # Hold one lock for all entries, so that a network is opened only once.
        with self._lock:
            opened = self._open.get(entry)
            if opened is None:
                try:
                    opened = self._load(entry)
                except SetupFailed as error:
                    raise ModelNotLoaded(f"{self._kind} {entry}: {error}", leads=False) from error
                self._open[entry] = opened
            return opened

    def warm(self, default: str) -> None:
        """Open the default network, or the first that opens.

        One bad file must not disable the good ones: only jobs that name it fail.
        Raises ModelNotLoaded when there is none, or none can be opened.
        """
        there = allowlist.entries(self._folder, self._kind)
        names = sorted(there, key=lambda name: (name != default, name))
        open_first(names or [default], self.network, kind=self._kind)

    def _load(self, entry: str) -> Network:
        file = allowlist.entries(self._folder, self._kind).get(entry)
        if file is None:
            raise SetupFailed(
                f"has no weights here: run `smart-filter models pull {self._kind}/{entry}`"
            )
        return self._open_network(files.read_verified(self._folder, file.file), file)


def open_first(names: Iterable[str], open_network: Callable[[str], object], *, kind: str) -> None:
    """Open networks in turn until one opens; log the reason of each failure.

    Raises ModelNotLoaded, with every reason, when none opens.
    """
    faults: list[str] = []
    for name in names:
        try:
            open_network(name)
        except ModelNotLoaded as error:
            faults.append(str(error))
            _log.error("network_open_failed", model=kind, entry=name, reason=str(error))
        else:
            return
    raise ModelNotLoaded("; ".join(faults), leads=False)
