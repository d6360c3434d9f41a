"""The list of foreign weights that an operator has admitted: `admitted.json` in the folder.

A person admits a file that no manifest pins by SHA-256 once; after that, its digest decides.
No code loads a file that is neither pinned nor admitted.
"""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from smart_filter_shared.catalog.model_card import Commercial, WeightsFile
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.typed_json import adapter

LIST_FILE: Final = "admitted.json"
REMEDY: Final = "admit it with `smart-filter models admit`"
# Prefix of the digest of an operator's own configuration. A name for it consists of the prefix
# and the first 12 digits.
DIGEST_PREFIX: Final = "sha256:"
ADDRESS_LENGTH: Final = len(DIGEST_PREFIX) + 12


def _check_path(name: str) -> str:
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts or "\\" in name:
        raise ValueError("is not a path below the folder")
    return name


@dataclass(frozen=True, slots=True)
class AdmittedFile:
    """One admitted file.

    name: its path below the weights folder; sha256: lower-case hex digest of its bytes.
    kind: the model that reads it, such as "detectron2"; config: its configuration for that model.
    classes: the names of its classes, in the order of its outputs; () when its config has them.
    entry: its name in recipes; handling: how the model uses it, as `networks.handling` reads.
    source: its origin; license, data_terms: of the weights, as far as they were given.
    commercial: whether these allow commercial use.
    """

    name: Annotated[str, AfterValidator(_check_path)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    kind: Annotated[str, Field(min_length=1)]
    config: str = ""
    classes: tuple[str, ...] = ()
    entry: str = ""
    handling: Mapping[str, object] = field(default_factory=dict)
    source: str = ""
    license: str = ""
    data_terms: str = ""
    commercial: Commercial = Commercial.ASK

    @property
    def file(self) -> WeightsFile:
        """The file and the digest that it must have."""
        return WeightsFile(self.name, self.sha256)

    @property
    def address(self) -> str:
        """Its name in recipes; an own configuration is named by the beginning of its digest."""
        name = self.entry or self.config or f"{DIGEST_PREFIX}{self.sha256}"
        return name[:ADDRESS_LENGTH] if name.startswith(DIGEST_PREFIX) else name

    @property
    def full_name(self) -> str:
        """MODEL/ENTRY, its name in commands."""
        return f"{self.kind}/{self.address}"


def read_allowlist(folder: Path) -> tuple[AdmittedFile, ...]:
    """Return every admitted file of a weights folder, by name.

    Raises SetupFailed when the list cannot be read.
    """
    path = folder / LIST_FILE
    if not path.is_file():
        return ()
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return tuple(
            adapter(AdmittedFile).validate_python({**files[name], "name": name})
            for name in sorted(files)
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise SetupFailed(f"{path} cannot be read ({reason}): remove it and admit again") from error


def entries(folder: Path, kind: str) -> dict[str, AdmittedFile]:
    """Return the existing files of one kind, by their names in recipes.

    Raises SetupFailed when the list cannot be read.
    """
    return {
        file.entry: file
        for file in read_allowlist(folder)
        if file.kind == kind and file.entry and (folder / file.name).is_file()
    }


def add(folder: Path, file: AdmittedFile) -> None:
    """Add a file to the list, or replace its entry; in one atomic step."""
    with _hold_lock(folder):
        _write(
            folder, {listed.name: listed for listed in read_allowlist(folder)} | {file.name: file}
        )


def remove(folder: Path, kind: str, entry: str) -> AdmittedFile:
    """Remove a file from the list, then from the folder; return its entry.

    entry: its name in recipes.
    Raises SetupFailed when the kind has no such entry, or another entry needs the file.
    """
    if not (folder / LIST_FILE).is_file():
        raise SetupFailed(f"{folder} has no admitted files")
    with _hold_lock(folder):
        files = {file.name: file for file in read_allowlist(folder)}
        matching = [
            file for file in files.values() if entry and file.full_name == f"{kind}/{entry}"
        ]
        removed = matching[0] if matching else None
        if removed is None:
            there = ", ".join(file.full_name for file in files.values()) or "none"
            raise SetupFailed(f"{kind}/{entry} was never admitted here; there are {there}")
        needing = [
            file for file in files.values() if file.config == f"{DIGEST_PREFIX}{removed.sha256}"
        ]
        if needing:
            raise SetupFailed(f"{needing[0].full_name} needs it: remove that first")
        del files[removed.name]
        _write(folder, files)
        # The list comes first: a file that is not listed is never loaded.
        (folder / removed.name).unlink(missing_ok=True)
    return removed


@contextmanager
def _hold_lock(folder: Path) -> Iterator[None]:
    # Two concurrent commands must not overwrite each other's entries.
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _write(folder: Path, files: Mapping[str, AdmittedFile]) -> None:
    entries_json = {
        name: {key: value for key, value in asdict(file).items() if key != "name" and value}
        for name, file in sorted(files.items())
    }
    handle, scratch = tempfile.mkstemp(prefix=".admitted-", dir=folder)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump({"files": entries_json}, stream, indent=2)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    # mkstemp makes files readable only by their owner; workers of other users read this one.
    Path(scratch).chmod(0o644)
    Path(scratch).replace(folder / LIST_FILE)
