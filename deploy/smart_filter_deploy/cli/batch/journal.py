"""Journal of a batch: the job of each photo, in the output folder, to resume from.

The last line of a photo is valid. Lines are only appended, so a killed process leaves at worst an
incomplete last line.
"""

import dataclasses
import fcntl
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
from smart_filter_deploy.cli.terminal.exit_codes import CommandError
from smart_filter_deploy.cli.terminal.outputs import output_stem
from smart_filter_shared import documents
from smart_filter_wire.formats import free_name

FILE_NAME = ".smart-filter-batch.jsonl"
# A longer line was not written by this program.
_MAX_LINE_BYTES = 1_000_000


def _refuse_outside(path: str) -> str:
    """Return a path below the folder.  Raises ValueError: another program may have written it."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or b"\0" in os.fsencode(path):
        raise ValueError(f"{path!r} is not a path below the folder")
    return path


_PathBelow = Annotated[str, AfterValidator(_refuse_outside)]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """The job of one photo, and its files; the service knows everything else.

    photo: its name below the folder.  place: path of its pictures, below the output folder and
        without the suffix that `OutputPaths` adds; unique per photo.
    bytes, modified_ns, digest: of the file as sent; SHA-256 in hexadecimal, "" of one that is
        not read.
    recipe: digest of the recipe, saved ones included.
    number: its `{n}` in names of files, from 1; 0 for a take.
    copy: from 2 on, what the names of its files end in, because others have the first names.
    job_id: None for a photo of an album that has no job.  album: its id; "" without.
    outputs: files below the output folder, by name.  is_done: whether all are written.
    moved: where `--watch` has put the photo, below the folder; "" before.
    """

    photo: _PathBelow
    place: _PathBelow
    bytes: int
    modified_ns: int
    digest: str
    recipe: str
    number: int = 0
    copy: int = 1
    job_id: str | None = None
    album: str = ""
    outputs: Mapping[str, _PathBelow] = field(default_factory=dict)
    is_done: bool = False
    moved: _PathBelow | Literal[""] = ""

    @property
    def version(self) -> tuple[int, int]:
        """Size and modification time of the file, as `FoundPhoto` has them."""
        return self.bytes, self.modified_ns


_ENTRY: Final = TypeAdapter(JournalEntry)


class Journal:
    """The journal of an output folder; one process holds it. Thread-safe."""

    def __init__(self, folder: Path, file: int, entries: dict[str, JournalEntry]) -> None:
        self.folder: Final = folder
        self._file = file
        self._entries = entries
        self._places = {entry.place: entry.photo for entry in entries.values()}
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
                f"cannot write {path} ({error.strerror}); choose another folder with -o"
            ) from error
        try:
            if not _lock(file):
                raise CommandError(
                    f"another batch writes into {folder}; choose another folder with -o"
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
        """Return the entry of a photo, or None."""
        return self._entries.get(photo)

    def entries(self) -> list[JournalEntry]:
        """Return the entries of all photos, ordered by name."""
        with self._lock:
            return sorted(self._entries.values(), key=lambda entry: entry.photo)

    def is_done(self, photo: FoundPhoto, recipe: str) -> bool:
        """Return whether no work is left for a photo, judged by its size and modification time."""
        entry = self.entry(photo.name)
        return (
            entry is not None
            and (entry.recipe, entry.version) == (recipe, photo.version)
            and self.has_pictures(entry)
        )

    def has_pictures(self, entry: JournalEntry) -> bool:
        """Return whether all outputs of a photo were written and still exist in the folder."""
        return entry.is_done and all(
            (self.folder / path).is_file() for path in entry.outputs.values()
        )

    def note(self, entry: JournalEntry) -> JournalEntry:
        """Append the entry of a photo if it is new; return it.  Raises OSError."""
        line = json.dumps(dataclasses.asdict(entry)) + "\n"
        with self._lock:
            if entry != self._entries.get(entry.photo):
                # One write per line, and no fsync: after a power loss the last lines may be
                # missing, and their photos are sent again under the same Idempotency-Key.
                os.write(self._file, line.encode())
                self._entries[entry.photo] = entry
        return entry

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
            return free_name(
                str(path.with_name(output_stem(path))),
                "",
                lambda place: self._places.setdefault(place, photo) != photo,
            )


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
