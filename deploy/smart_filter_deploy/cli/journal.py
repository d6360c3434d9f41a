"""What became of the photos of a batch, kept beside the pictures so that it can go on.

One line of JSON for every step of a photo; the last line of a photo is what holds. Lines are
only ever added, so whatever kills the program leaves at worst the end of a line.
"""

import dataclasses
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending
from smart_filter_deploy.cli.photo_folder import Found

NAME = ".smart-filter-batch.jsonl"
WAITING, SENT, SUCCEEDED = "waiting", "sent", "succeeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of one photo.

    photo: its name below the folder.  place: where its pictures go, below the output folder and
        without what `photos.Place` adds; no other photo has it.
    bytes, modified_ns, digest: of the file as it was read; SHA-256 in hexadecimal.
    recipe: the digest of what was asked for.  again: "" at first, else drawn for another try.
    state: waiting, sent, or how its job ended.  outputs: files below the output folder, by name.
    smile: a level for each face.  seconds: from reading it to the written picture.
    code, error: why there is no picture.
    """

    photo: str
    place: str
    bytes: int
    modified_ns: int
    digest: str
    recipe: str
    again: str = ""
    job_id: str | None = None
    state: str = WAITING
    people: int | None = None
    faces: int | None = None
    smile: tuple[str, ...] = ()
    rating: float | None = None
    printability: str | None = None
    seconds: float | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None
    error: str | None = None

    @property
    def key(self) -> str:
        """The Idempotency-Key, by which a photo and a recipe are one job however often sent."""
        text = f"{self.digest} {self.recipe} {self.again}"
        return f"batch-{hashlib.sha256(text.encode()).hexdigest()[:40]}"

    @property
    def is_final(self) -> bool:
        """Whether nothing is left to be done for it."""
        return self.state not in {WAITING, SENT}


class Journal:
    """The journal of an output folder, held by one process; safe to share between threads."""

    def __init__(self, folder: Path, file: int, entries: dict[str, Entry]) -> None:
        self.folder: Final = folder
        self._file = file
        self._entries = entries
        self._places = {entry.place for entry in entries.values()}
        self._lock = threading.Lock()

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator["Journal"]:
        """Open the journal of a folder that exists; ends the command when another one holds it."""
        path = folder / NAME
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Ending(
                f"cannot write {path} ({error.strerror}); choose another place with -o", WRONG_USAGE
            ) from error
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Ending(
                    f"another batch writes into {folder}; choose another place with -o", WRONG_USAGE
                ) from error
            text = path.read_bytes().decode(errors="replace")
            if text and not text.endswith("\n"):
                # Killed within a line: what follows begins a new one.
                os.write(file, b"\n")
            yield cls(folder, file, {entry.photo: entry for entry in _entries(text)})
        finally:
            os.close(file)

    def entry(self, photo: str) -> Entry | None:
        """Return what is known of a photo."""
        return self._entries.get(photo)

    def entries(self) -> list[Entry]:
        """Return what is known of all photos, by their names."""
        with self._lock:
            return sorted(self._entries.values(), key=lambda entry: entry.photo)

    def is_done(self, found: Found, recipe: str) -> bool:
        """Whether nothing is left to be done for a photo, as far as its size and date tell."""
        entry = self.entry(found.name)
        return (
            entry is not None
            and entry.recipe == recipe
            and entry.is_final
            and (entry.bytes, entry.modified_ns) == found.version
            and (entry.state != SUCCEEDED or self.has_pictures(entry))
        )

    def has_pictures(self, entry: Entry) -> bool:
        """Whether all that was made of a photo still lies in the folder."""
        return all((self.folder / path).is_file() for path in entry.outputs.values())

    def note(self, entry: Entry) -> None:
        """Keep what is known of a photo from now on.  Raises OSError."""
        line = json.dumps(dataclasses.asdict(entry)) + "\n"
        with self._lock:
            # One write for a line, and no fsync: without power the last lines may be lost, and
            # what they told is then done again under the same Idempotency-Key.
            os.write(self._file, line.encode())
            self._entries[entry.photo] = entry

    def place(self, photo: str) -> str:
        """Return where a photo's pictures go; the first of several that would share one has it."""
        known = self._entries.get(photo)
        if known is not None:
            return known.place
        path = PurePosixPath(photo)
        with self._lock:
            place, number = path.with_suffix(""), 1
            while str(place) in self._places:
                number += 1
                place = path.with_name(f"{path.stem}-{number}")
            self._places.add(str(place))
        return str(place)


def _entries(text: str) -> Iterator[Entry]:
    for line in text.split("\n"):
        try:
            yield _entry(json.loads(line))
        except (ValueError, TypeError, AttributeError, RecursionError):
            # The end of a line, or none of ours: its photo is looked at as if it were new.
            continue


def _entry(line: Mapping[str, object]) -> Entry:
    """Return what a line tells; raises ValueError, TypeError, AttributeError when it is damaged."""
    kinds = {one.name: one.type for one in dataclasses.fields(Entry)}
    known = {name: value for name, value in line.items() if name in kinds}
    smile, outputs = known.pop("smile", []), known.pop("outputs", {})
    if not (isinstance(smile, list) and isinstance(outputs, dict)):
        raise TypeError("smile is a list, outputs are a mapping")
    for name, value in known.items():
        # As json has them: a number that is whole may be any number.
        kind = float | int | None if kinds[name] == float | None else kinds[name]
        if not isinstance(value, kind):  # type: ignore[arg-type]  # no name of a type
            raise TypeError(f"{name} is no {kind}")
    if not all(isinstance(level, str) for level in smile):
        raise TypeError("a level is a word")
    for path in (known.get("place"), *outputs.values()):
        _refuse_leading_out(path)
    return Entry(**known, smile=tuple(smile), outputs=outputs)  # type: ignore[arg-type]  # as checked


def _refuse_leading_out(path: object) -> None:
    """Refuse what is no name below a folder: others than we may have written the journal."""
    if not isinstance(path, str):
        raise TypeError("a path is a text")
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or b"\0" in os.fsencode(path):
        raise ValueError(f"{path!r} lies in no folder")
