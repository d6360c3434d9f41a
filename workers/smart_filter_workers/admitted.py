"""Which foreign files of weights an operator has let in: `admitted.json` in the weights folder.

A file that no manifest pins by SHA-256 is admitted once, by a person; from then on its digest
is what counts. Nothing loads a file that is neither pinned nor admitted.
"""

import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, cast

from smart_filter_shared.cards import WeightsFile
from smart_filter_shared.errors import SetupFailed

LIST: Final = "admitted.json"
REMEDY: Final = "admit it with `smart-filter models admit`"
# Before the digest of an operator's own configuration; it is asked for by so much of both.
DIGEST: Final = "sha256:"
ADDRESS_LENGTH: Final = len(DIGEST) + 12
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TEXTS = ("kind", "config", "entry", "source", "licence", "data_terms")


@dataclass(frozen=True, slots=True)
class Admitted:
    """One file that was let in.

    name: its path below the weights folder; sha256: lower-case hex digest of its bytes.
    kind: which model reads it, such as "detectron2"; config: what the model is to do with it.
    classes: names of what it finds, in the order of its outputs; () when its config says.
    entry: what a recipe calls it; handling: how the model uses it, as `networks.handling` reads.
    source: where it came from; licence, data_terms: of the weights, as far as they were told.
    """

    name: str
    sha256: str
    kind: str
    config: str = ""
    classes: tuple[str, ...] = ()
    entry: str = ""
    handling: Mapping[str, object] = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    data_terms: str = ""

    @property
    def file(self) -> WeightsFile:
        """The file and the digest that it must have."""
        return WeightsFile(self.name, self.sha256)


def read(folder: Path) -> tuple[Admitted, ...]:
    """Return every admitted file of a weights folder, by name.

    Raises SetupFailed when the list cannot be read.
    """
    path = folder / LIST
    if not path.is_file():
        return ()
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return tuple(_entry(name, files[name]) for name in sorted(files))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SetupFailed(f"{path} cannot be read ({error}): remove it and admit again") from error


def entries(folder: Path, kind: str) -> dict[str, Admitted]:
    """Return the files of one kind that are there, by what a recipe calls them.

    Raises SetupFailed when the list cannot be read.
    """
    return {
        one.entry: one
        for one in read(folder)
        if one.kind == kind and one.entry and (folder / one.name).is_file()
    }


def add(folder: Path, file: Admitted) -> None:
    """Put a file on the list, or change what the list says of it; in one step."""
    with _locked(folder):
        _write(folder, {one.name: one for one in read(folder)} | {file.name: file})


def remove(folder: Path, kind: str, entry: str) -> Admitted:
    """Take a file off the list, then out of the folder; return what the list said of it.

    entry: what a recipe calls it.
    Raises SetupFailed when no file of that kind is called so, or others on the list need it.
    """
    if not (folder / LIST).is_file():
        raise SetupFailed(f"{folder} has no admitted files")
    with _locked(folder):
        files = {one.name: one for one in read(folder)}
        found = next((one for one in files.values() if _iscalled(one, kind, entry)), None)
        if found is None:
            there = ", ".join(called(one) for one in files.values()) or "none"
            raise SetupFailed(f"{kind}/{entry} was never admitted here; there are {there}")
        needing = [one for one in files.values() if one.config == f"{DIGEST}{found.sha256}"]
        if needing:
            raise SetupFailed(f"{called(needing[0])} needs it: remove that first")
        del files[found.name]
        _write(folder, files)
        # Off the list first: a file that nobody lists is never loaded.
        (folder / found.name).unlink(missing_ok=True)
    return found


def called(file: Admitted) -> str:
    """Return MODEL/ENTRY, as commands and recipes call a file."""
    own = file.entry or file.config or f"{DIGEST}{file.sha256}"
    # Own configurations are asked for by the beginning of their digest.
    return f"{file.kind}/{own[:ADDRESS_LENGTH] if own.startswith(DIGEST) else own}"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # Two commands at once must not each forget what the other lets in.
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _iscalled(file: Admitted, kind: str, entry: str) -> bool:
    return entry != "" and called(file) == f"{kind}/{entry}"


def _write(folder: Path, files: Mapping[str, Admitted]) -> None:
    told = {
        name: {key: value for key, value in asdict(one).items() if key != "name" and value}
        for name, one in sorted(files.items())
    }
    handle, scratch = tempfile.mkstemp(prefix=".admitted-", dir=folder)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump({"files": told}, stream, indent=2)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    # mkstemp's files are for their maker only; other workers' users read this one.
    Path(scratch).chmod(0o644)
    Path(scratch).replace(folder / LIST)


def _entry(name: str, told: Mapping[str, object]) -> Admitted:
    """Return an entry of the list.  Raises ValueError when it is not one of ours."""
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts or "\\" in name:
        raise ValueError(f"{name!r} is no path below the folder")
    digest = told["sha256"]
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ValueError(f"{name}: {digest!r} is no SHA-256")
    classes, handling = told.get("classes", []), told.get("handling", {})
    if not isinstance(classes, list) or not all(isinstance(one, str) for one in classes):
        raise TypeError(f"{name}: classes is a list of strings")
    if not isinstance(handling, dict):
        raise TypeError(f"{name}: handling is an object")
    texts = {one: told.get(one, "") for one in _TEXTS}
    if not told.get("kind") or not all(isinstance(value, str) for value in texts.values()):
        raise TypeError(f"{name}: {', '.join(_TEXTS)} are strings, and kind is one")
    return Admitted(
        name,
        digest,
        classes=tuple(cast("list[str]", classes)),
        handling=handling,
        **cast("dict[str, str]", texts),
    )
