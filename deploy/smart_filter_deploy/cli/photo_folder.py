"""Photos in a folder: which there are, and which are whole by now."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

# By which a photo is known; what is none after all the server refuses.
ENDINGS = frozenset(".jpg .jpeg .jpe .jfif .png .webp .avif .heic .heif".split())
# Pictures that this program made are no photos.
_MADE_HERE = ".smart-filter."
# Whoever copies or saves a photo writes more often than that.
REST_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Found:
    """A photo in a folder.

    name: below the folder, with `/`.  version: size in bytes, and when it was changed, in ns.
    """

    name: str
    path: Path
    version: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found.

    photos: those that are whole, by name.  unfinished: how many are still being written.
    skipped: how many files are no photos, or links out of the folder.
    closed: folders that cannot be read.
    """

    photos: list[Found]
    unfinished: int
    skipped: int
    closed: tuple[str, ...]


@dataclass(slots=True)
class PhotoFolder:
    """A folder that is looked at again and again.

    without: a folder in it that is left out, where pictures are written.
    monotonic, now: clocks in seconds; the second is the one that files are dated by.
    """

    root: Path
    without: Path
    recursive: bool
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    _since: dict[str, tuple[tuple[int, int], float]] = field(default_factory=dict)

    def look(self) -> Look:
        """Look at every file; hidden ones, and what this program made, are passed over."""
        photos: list[Found] = []
        unfinished = skipped = 0
        closed: list[str] = []
        for path in self._files(closed):
            if path.suffix.lower() not in ENDINGS:
                skipped += 1
                continue
            try:
                status = path.stat()
            except OSError:  # gone since
                continue
            if not stat.S_ISREG(status.st_mode) or self._leads_out(path):
                skipped += 1
                continue
            name = path.relative_to(self.root).as_posix()
            found = Found(name, path, (status.st_size, status.st_mtime_ns))
            if self._rests(found):
                photos.append(found)
            else:
                unfinished += 1
        photos.sort(key=lambda found: found.name)
        return Look(photos, unfinished, skipped, tuple(closed))

    def _files(self, closed: list[str]) -> Iterator[Path]:
        def note(error: OSError) -> None:
            closed.append(f"{error.filename} ({error.strerror})")

        without = self.without.resolve()
        for folder, folders, files in os.walk(self.root, onerror=note):
            here = Path(folder)
            folders[:] = [
                name
                for name in sorted(folders)
                if self.recursive
                and not name.startswith(".")
                and (here / name).resolve() != without
            ]
            yield from (
                here / name for name in files if not name.startswith(".") and _MADE_HERE not in name
            )

    def _leads_out(self, path: Path) -> bool:
        """Whether it is a link to what lies elsewhere, which nobody asked to be sent."""
        return path.is_symlink() and not path.resolve().is_relative_to(self.root.resolve())

    def _rests(self, found: Found) -> bool:
        """Whether nobody has written to it for a while, by its date or before our eyes."""
        moment = self.monotonic()
        version, since = self._since.get(found.name, (None, moment))
        if version != found.version:
            since = moment
        self._since[found.name] = (found.version, since)
        # A date in the future is some other clock's.
        is_old = self.now() - found.version[1] / 1e9 >= REST_SECONDS
        return is_old or moment - since >= REST_SECONDS
