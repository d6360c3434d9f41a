"""Read the text files of a code base, within limits, and count what is left out."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

# Packages of others, and what tools keep: changes there would be lost.
SKIPPED_FOLDERS: Final = frozenset(
    (
        ".git .hg .svn node_modules bower_components vendor .venv venv site-packages __pycache__"
        " .tox .nox .mypy_cache .ruff_cache .pytest_cache .gradle .terraform"
    ).split()
)
# Written by package managers from files that are scanned.
_LOCK_FILES: Final = frozenset(
    (
        "package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml poetry.lock Pipfile.lock"
        " uv.lock composer.lock Gemfile.lock go.sum"
    ).split()
)
# Longest source file: written by hand, even a large one is far shorter.
MAX_FILE_BYTES: Final = 2_000_000
# Most files looked at: twice the Linux kernel, in about half a minute.
MAX_FILES: Final = 200_000
# Deepest folder; a Java package is at a tenth of it.
MAX_DEPTH: Final = 100
# Paths of unreadable files that are kept to be shown.
_MAX_NAMED: Final = 20
# A file with a NUL in its first bytes is binary; git decides by as many.
_SNIFFED_BYTES: Final = 8000


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A text file below the scanned folder.

    name: its path below the folder, with `/`.  text: decoded from UTF-8; other bytes are
    surrogates, so that the file can be written back byte for byte.
    """

    name: str
    text: str


@dataclass(slots=True)
class SkippedFiles:
    """Count of the files that were not read, by reason.

    unreadable: paths, and why; at most 20.  is_cut: whether the scan ended at a limit.
    """

    binary: int = 0
    large: int = 0
    links: int = 0
    unreadable: list[str] = field(default_factory=list)
    unreadable_count: int = 0
    is_cut: bool = False

    def add_unreadable(self, name: str, error: OSError) -> None:
        """Count a file or folder that cannot be read."""
        self.unreadable_count += 1
        if len(self.unreadable) < _MAX_NAMED:
            self.unreadable.append(f"{name} ({error.strerror})")


def read_sources(
    root: Path, skipped: SkippedFiles, *, max_files: int = MAX_FILES
) -> Iterator[SourceFile]:
    """Yield the text files below a folder in the order of their names, or the one file.

    Links are not followed, so that loops and targets outside the folder are left out.
    """
    if not root.is_dir():
        yield from _read_file(root, root.name, skipped)
        return
    left = max_files
    for path, name in _list_files(root, skipped):
        if left == 0:
            skipped.is_cut = True
            return
        left -= 1
        yield from _read_file(path, name, skipped)


def _list_files(root: Path, skipped: SkippedFiles) -> Iterator[tuple[Path, str]]:
    """Yield each regular file with its name below the root."""
    waiting = [(root, "", 0)]
    while waiting:
        folder, prefix, depth = waiting.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            skipped.add_unreadable(prefix or ".", error)
            continue
        folders = []
        for entry in entries:
            name = prefix + entry.name
            if entry.is_symlink():
                skipped.links += 1
            elif entry.is_dir(follow_symlinks=False):
                if entry.name in SKIPPED_FOLDERS:
                    continue
                if depth == MAX_DEPTH:
                    skipped.is_cut = True
                    continue
                folders.append((Path(entry.path), f"{name}/", depth + 1))
            elif entry.is_file(follow_symlinks=False) and entry.name not in _LOCK_FILES:
                yield Path(entry.path), name
        waiting += reversed(folders)


def _read_file(path: Path, name: str, skipped: SkippedFiles) -> Iterator[SourceFile]:
    """Yield the file if it is text and small enough."""
    try:
        # Without following a link or waiting for a pipe that took the file's place.
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                return
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        skipped.add_unreadable(name, error)
        return
    if b"\0" in content[:_SNIFFED_BYTES]:
        skipped.binary += 1
    elif len(content) > MAX_FILE_BYTES:
        skipped.large += 1
    else:
        yield SourceFile(name, content.decode("utf-8", "surrogateescape"))
