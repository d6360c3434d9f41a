"""Journal of a batch: the state of each photo, in the output folder, to resume from.

One line of JSON for every step of a photo; the last line of a photo is valid. Lines are only
appended, so a killed process leaves at worst an incomplete last line.
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
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, TypeAdapter

from smart_filter_deploy.cli.batch.watch import FoundPhoto
from smart_filter_deploy.cli.terminal.exit_codes import WRONG_USAGE, CommandError
from smart_filter_deploy.cli.terminal.outputs import output_stem
from smart_filter_shared import documents

FILE_NAME = ".smart-filter-batch.jsonl"
# Of an entry, which has a smile per face; a longer line was not written by this program.
_MAX_LINE_BYTES = 1_000_000
WAITING, SENT, SUCCEEDED, FAILED = "waiting", "sent", "succeeded", "failed"


def _refuse_outside(path: str) -> str:
    """Return a path below the folder.  Raises ValueError: another program may have written it."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or b"\0" in os.fsencode(path):
        raise ValueError(f"{path!r} is not a path below the folder")
    return path


_PathBelow = Annotated[str, AfterValidator(_refuse_outside)]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """The recorded state of one photo.

    photo: its name below the folder.  place: path of its pictures, below the output folder and
        without the suffix that `OutputPaths` adds; unique per photo.
    bytes, modified_ns, digest: of the file as read; SHA-256 in hexadecimal.
    number: its `{n}` in names of files, from 1; 0 until it has one.
    copy: from 2 on, what the names of its files end in, because others have the first names.
    recipe: digest of the recipe, saved ones included.
    again: "" for the first try, random for each retry.
    state: waiting, sent, or the final state of its job.  outputs: files below the output folder,
        by name.
    smile: one level per face.  seconds: from reading the photo to the written picture.
    code, error: why there is no picture.
    moved: where `--watch` has put the photo, below the folder; "" before.
    album: the id of its album; "" without.  rank, reasons: in it: 1 is the best, and why.
    """

    photo: _PathBelow
    place: _PathBelow
    bytes: int
    modified_ns: int
    digest: str
    recipe: str
    again: str = ""
    number: int = 0
    copy: int = 1
    job_id: str | None = None
    state: str = WAITING
    people: int | None = None
    faces: int | None = None
    smile: tuple[str, ...] = ()
    rating: float | None = None
    printability: str | None = None
    seconds: float | None = None
    outputs: Mapping[str, _PathBelow] = field(default_factory=dict)
    code: str | None = None
    error: str | None = None
    moved: _PathBelow | Literal[""] = ""
    album: str = ""
    rank: int | None = None
    reasons: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The Idempotency-Key: a photo and a recipe are one job however often they are sent.

        So is the photo's name, which names of files may hold.
        """
        text = f"{self.digest} {self.recipe} {self.again} {PurePosixPath(self.photo).name!r}"
        return f"batch-{hashlib.sha256(text.encode()).hexdigest()[:40]}"

    @property
    def is_final(self) -> bool:
        """Whether no work is left for the photo."""
        return self.state not in {WAITING, SENT}


_ENTRY: Final = TypeAdapter(JournalEntry)


class Journal:
    """The journal of an output folder; one process holds it. Thread-safe."""

    def __init__(self, folder: Path, file: int, entries: dict[str, JournalEntry]) -> None:
        self.folder: Final = folder
        self._file = file
        self._entries = entries
        self._places = {entry.place for entry in entries.values()}
        self._numbers = {entry.photo: entry.number for entry in entries.values() if entry.number}
        self._owners = {
            path: entry.photo for entry in entries.values() for path in entry.outputs.values()
        }
        self._lock = threading.Lock()

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator["Journal"]:
        """Open the journal of an existing folder; one that stays empty is removed.

        Raises CommandError when another process holds it or the file cannot be written.
        """
        path = folder / FILE_NAME
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CommandError(
                f"cannot write {path} ({error.strerror}); choose another folder with -o",
                WRONG_USAGE,
            ) from error
        try:
            if not _lock(file):
                raise CommandError(
                    f"another batch writes into {folder}; choose another folder with -o",
                    WRONG_USAGE,
                )
            length = os.fstat(file).st_size
            if length and os.pread(file, 1, length - 1) != b"\n":
                # The last write was interrupted: start a new line.
                os.write(file, b"\n")
            try:
                yield cls(folder, file, {entry.photo: entry for entry in _parse_lines(path)})
            finally:
                if not os.fstat(file).st_size:
                    path.unlink(missing_ok=True)
        finally:
            os.close(file)

    def entry(self, photo: str) -> JournalEntry | None:
        """Return the state of a photo, or None."""
        return self._entries.get(photo)

    def entries(self) -> list[JournalEntry]:
        """Return the states of all photos, ordered by name."""
        with self._lock:
            return sorted(self._entries.values(), key=lambda entry: entry.photo)

    def is_done(self, photo: FoundPhoto, recipe: str) -> bool:
        """Return whether no work is left for a photo, judged by its size and modification time."""
        entry = self.entry(photo.name)
        return (
            entry is not None
            and entry.recipe == recipe
            and entry.is_final
            and (entry.bytes, entry.modified_ns) == photo.version
            and (entry.state != SUCCEEDED or self.has_pictures(entry))
        )

    def has_pictures(self, entry: JournalEntry) -> bool:
        """Return whether all outputs of a photo still exist in the folder."""
        return all((self.folder / path).is_file() for path in entry.outputs.values())

    def note(self, entry: JournalEntry) -> None:
        """Append the state of a photo.  Raises OSError."""
        line = json.dumps(dataclasses.asdict(entry)) + "\n"
        with self._lock:
            # One write per line, and no fsync: after a power loss the last lines may be missing,
            # and their photos are processed again under the same Idempotency-Key.
            os.write(self._file, line.encode())
            self._entries[entry.photo] = entry

    def number(self, photo: str) -> int:
        """Return the number of a photo; a new photo gets the next one."""
        with self._lock:
            return self._numbers.setdefault(photo, max(self._numbers.values(), default=0) + 1)

    def claim_file(self, photo: str, output: str, file: Path) -> Path:
        """Return the path for an output of a photo: `file`, or with a number where that is taken.

        All outputs of a photo end in the same number, unless other files are in the way.
        The journal keeps it, so that a later run writes to the same file.  Raises OSError.
        """
        with self._lock:
            entry = self._entries[photo]
            copy = entry.copy
            path = _numbered(file, copy)
            while self._owner(path) not in {photo, None}:
                copy += 1
                path = _numbered(file, copy)
            place = path.relative_to(self.folder).as_posix()
            self._owners[place] = photo
        outputs = {**entry.outputs, output: place}
        self.note(dataclasses.replace(entry, copy=copy, outputs=outputs))
        return path

    def _owner(self, path: Path) -> str | None:
        """Return the photo whose output a file is, "" for another file, None for a free path."""
        owner = self._owners.get(path.relative_to(self.folder).as_posix())
        return "" if owner is None and path.exists() else owner

    def place(self, photo: str) -> str:
        """Return the output path of a photo; later photos of the same name get a number."""
        entry = self._entries.get(photo)
        if entry is not None:
            return entry.place
        path = PurePosixPath(photo)
        with self._lock:
            stem, number = output_stem(path), 1
            place = path.with_name(stem)
            while str(place) in self._places:
                number += 1
                place = path.with_name(f"{stem}-{number}")
            self._places.add(str(place))
        return str(place)


def _lock(file: int) -> bool:
    """Return whether this process holds a journal now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # Another batch may just have removed it, because it was empty.
    return os.fstat(file).st_nlink > 0


def _numbered(file: Path, copy: int) -> Path:
    return file if copy == 1 else file.with_name(f"{file.stem}-{copy}{file.suffix}")


def _parse_lines(path: Path) -> Iterator[JournalEntry]:
    with path.open("rb") as file:
        while line := file.readline(_MAX_LINE_BYTES):
            try:
                yield _ENTRY.validate_python(documents.parse_json(line.decode(errors="replace")))
            except ValueError:
                # An incomplete or foreign line: its photo counts as new.
                continue
