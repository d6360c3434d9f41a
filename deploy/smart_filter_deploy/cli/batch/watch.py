"""Scans a folder for complete photos; moves those of a watched folder away when they have ended."""

import errno
import fcntl
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from smart_filter_deploy.cli.terminal.exit_codes import CommandError
from smart_filter_wire.formats import free_name

# File extensions of photos; the server rejects a file that is not one.
PHOTO_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .avif .heic .heif .gif .bmp .tif .tiff".split()
)
PHOTO_FORMATS = "JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP and TIFF"
# Part of the names of pictures that this program wrote; they are not input.
_OUTPUT_MARK = ".smart-filter."
# A file unchanged for this long is complete; programs that copy or save write more often.
SETTLE_SECONDS = 2.0
# Added to a file's name while a browser or a sync program still fetches it.
_PARTIAL_SUFFIXES = (".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp")
# Folders that these make: Synology, macOS's archives, Picasa, QNAP, Windows and others.
_FOLDERS_OF_PROGRAMS: Final = frozenset(
    {"@eaDir", "__MACOSX", "#recycle", "@Recycle", "$RECYCLE.BIN", "lost+found", "Thumbnails"}
)

DONE, FAILED = "done", "failed"


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """A photo in a folder.

    name: path below the folder, with `/`.  version: size in bytes, and modification time in ns.
    """

    name: str
    path: Path
    version: tuple[int, int]


@dataclass(frozen=True, slots=True)
class FolderScan:
    """Result of one scan.

    photos: complete photos, by name.  unfinished: number of photos still being written.
    names: of both, sorted.
    skipped: number of files that are not photos, or links out of the folder.
    closed: folders that are not read, each with the reason.
    """

    photos: list[FoundPhoto]
    unfinished: int
    names: list[str]
    skipped: int
    closed: tuple[str, ...]


@dataclass(slots=True)
class WatchedFolder:
    """A folder that is scanned repeatedly.

    without: folders in it to exclude, such as the output folder.
    listed: the files to look at; None: every file of the folder.
    monotonic, now: clocks in seconds; files are dated by `now`.
    """

    root: Path
    without: tuple[Path, ...]
    recursive: bool
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    listed: Sequence[Path] | None = None
    _since: dict[str, tuple[tuple[int, int], float]] = field(default_factory=dict)

    def look(self) -> FolderScan:
        """Scan every file, except hidden ones and this program's outputs."""
        photos: list[FoundPhoto] = []
        names: list[str] = []
        skipped = 0
        closed: list[str] = []
        for path in self._files(closed):
            if path.suffix.lower() not in PHOTO_SUFFIXES:
                skipped += 1
                continue
            try:
                status = path.stat()
            except OSError as error:
                if self.listed is not None:
                    closed.append(f"{path} ({error.strerror})")
                continue  # deleted since the listing
            if not stat.S_ISREG(status.st_mode) or self._links_outside(path):
                skipped += 1
                continue
            name = path.relative_to(self.root).as_posix()
            photo = FoundPhoto(name, path, (status.st_size, status.st_mtime_ns))
            names.append(name)
            if self._is_settled(photo):
                photos.append(photo)
        photos.sort(key=lambda photo: photo.name)
        unfinished = len(names) - len(photos)
        return FolderScan(photos, unfinished, sorted(names), skipped, tuple(closed))

    def _files(self, closed: list[str]) -> Iterator[Path]:
        def note(error: OSError) -> None:
            closed.append(f"{error.filename} ({error.strerror})")

        if self.listed is not None:
            yield from (path for path in self.listed if _OUTPUT_MARK not in path.name)
            return
        without = {folder.resolve() for folder in self.without}
        made_by_programs: set[str] = set()
        for folder, folders, files in os.walk(self.root, onerror=note):
            here = Path(folder)
            if self.recursive:
                made_by_programs |= _FOLDERS_OF_PROGRAMS & {*folders}
            folders[:] = [
                name
                for name in sorted(folders)
                if self.recursive
                and not name.startswith(".")
                and name not in _FOLDERS_OF_PROGRAMS
                and (here / name).resolve() not in without
            ]
            yield from (
                here / name
                for name in files
                if not name.startswith(".") and _OUTPUT_MARK not in name
            )
        if made_by_programs:
            closed.append(f"{', '.join(sorted(made_by_programs))} (thumbnails or deleted files)")

    def _links_outside(self, path: Path) -> bool:
        """Return whether the file is a link out of the folder, which must not be sent."""
        return path.is_symlink() and not path.resolve().is_relative_to(self.root.resolve())

    def _is_settled(self, photo: FoundPhoto) -> bool:
        """Return whether a file is unchanged for a while, by its date or by our own scans."""
        moment = self.monotonic()
        version, since = self._since.get(photo.name, (None, moment))
        if version != photo.version:
            since = moment
        self._since[photo.name] = (photo.version, since)
        # A date in the future comes from another clock.
        is_old = self.now() - photo.version[1] / 1e9 >= SETTLE_SECONDS
        is_unchanged = is_old or moment - since >= SETTLE_SECONDS
        return is_unchanged and not _is_being_written(photo.path)


def _is_being_written(path: Path) -> bool:
    """Return whether a program still fetches a file, or has it open to write."""
    if any(_exists(path.with_name(path.name + suffix)) for suffix in _PARTIAL_SUFFIXES):
        return True
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False  # it cannot be read, which its outcome will say
    try:
        # The kernel gives a read lease only while no program has the file open to write. When a
        # writer comes meanwhile it sends a signal, by default one that ends this process.
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        # Any other error: a file system without leases, or another user's file.
        return error.errno == errno.EAGAIN
    finally:
        os.close(file)
    return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # such as a name that is too long for the file system


class HotFolder:
    """A watched folder, whose photos move to its folders `done` and `failed` when they have ended.

    root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root: Final = root

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders for photos that have ended."""
        return (self._root / DONE, self._root / FAILED)

    def prepare(self) -> None:
        """Create the two folders.  Raises CommandError."""
        for folder in self.folders:
            try:
                folder.mkdir(exist_ok=True)
            except OSError as error:
                raise CommandError(
                    f"cannot create {folder} ({error.strerror}): --watch moves photos there, so let"
                    " this user write in the watched folder"
                ) from error

    def put_away(self, photo: FoundPhoto, *, succeeded: bool) -> str | None:
        """Move a photo that has ended; return its new path below the folder.

        None for a photo that was changed or removed since it was read.  Raises CommandError.
        """
        target = self._root / (DONE if succeeded else FAILED) / photo.name
        try:
            status = photo.path.stat()
            if (status.st_size, status.st_mtime_ns) != photo.version:
                return None
            target.parent.mkdir(parents=True, exist_ok=True)
            return self._move(photo, target, set().__contains__)
        except FileNotFoundError:
            return None

    def set_apart(self, photo: FoundPhoto, is_taken: Callable[[str], bool]) -> None:
        """Rename a new photo, because an earlier one of its name has ended.  Raises CommandError.

        is_taken: whether another photo has had a name.
        """
        try:
            self._move(photo, photo.path, is_taken)
        except FileNotFoundError:
            return

    def _move(self, photo: FoundPhoto, wanted: Path, is_taken: Callable[[str], bool]) -> str:
        """Rename a photo to a path that is free; return it, relative to the folder."""
        target = wanted.with_name(
            free_name(
                wanted.stem,
                wanted.suffix,
                lambda name: (
                    os.path.lexists(place := wanted.with_name(name))
                    or is_taken(place.relative_to(self._root).as_posix())
                ),
            )
        )
        try:
            photo.path.rename(target)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise CommandError(
                f"cannot move {photo.path} to {target} ({error.strerror}): correct this and start"
                " --watch again; it continues where it stopped"
            ) from error
        return target.relative_to(self._root).as_posix()
