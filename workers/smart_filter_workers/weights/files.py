"""Bring one file of weights into the weights folder: under limits, checked, in one atomic step.

A file is read or downloaded into a scratch folder, its digest is checked there, and a single
rename moves it into place. So the weights folder never holds half a file.
"""

import fcntl
import functools
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_shared.errors import SetupFailed

# Source: protobuf.dev, "Proto Limits": messages of 2 GiB or more are not read; ONNX is a message.
MAX_BYTES: Final = 2_000_000_000
# A process holds it for as long as it uses a scratch folder.
_LOCK_NAME: Final = "lock"
# The process that made an older scratch folder without a lock has been killed; the beginnings of
# files are kept as long.
LEFTOVER_SECONDS: Final = 86_400.0
REMEDY: Final = "run `smart-filter models pull`"
_CHUNK_BYTES: Final = 1 << 20
_SCRATCH_PREFIX: Final = ".pull-"


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder to make a file in before `move_into_place`; it is removed afterwards.

    folder: the weights folder, made if it is missing.  The scratch folders of killed commands are
    removed, too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob(f"{_SCRATCH_PREFIX}*"):
        with suppress(OSError):
            _remove_leftover(path)
    # In the destination's folder, because a move is atomic only within one file system.
    with (
        tempfile.TemporaryDirectory(prefix=_SCRATCH_PREFIX, dir=folder) as scratch,
        (Path(scratch) / f"new-{_LOCK_NAME}").open("wb") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Renamed once it is held, so that no other process finds it free.
        Path(lock.name).rename(Path(scratch) / _LOCK_NAME)
        yield Path(scratch)


def move_into_place(file: Path, place: Path) -> None:
    """Move a finished file to its place on the same file system, atomically and durably."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
    place.parent.mkdir(parents=True, exist_ok=True)
    file.replace(place)


def write_file(folder: Path, name: str, content: bytes) -> None:
    """Write a file below the weights folder, atomically and durably."""
    with scratch_folder(folder) as scratch:
        (scratch / "partial").write_bytes(content)
        move_into_place(scratch / "partial", folder / name)


def copy_file(path: Path, into: Path) -> str:
    """Copy a file; return the digest of the copy.  Raises SetupFailed as `read_chunks` does."""
    digest = hashlib.sha256()
    with into.open("wb") as target:
        for piece in read_chunks(path):
            digest.update(piece)
            target.write(piece)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Return a file's digest as lower-case hex.  Raises SetupFailed as `read_chunks` does."""
    digest = hashlib.sha256()
    for piece in read_chunks(path):
        digest.update(piece)
    return digest.hexdigest()


def read_content(path: Path, *, most_bytes: int = MAX_BYTES) -> bytes:
    """Return the whole content of a file.  Raises SetupFailed as `read_chunks` does."""
    return b"".join(read_chunks(path, most_bytes=most_bytes))


def read_chunks(path: Path, *, most_bytes: int = MAX_BYTES) -> Iterator[bytes]:
    """Yield the content of a file of unknown origin in chunks.

    Raises SetupFailed when it cannot be read, is not a regular file, or exceeds the limit.
    """
    try:
        with open(path, "rb", opener=_open_nonblocking) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SetupFailed(f"{path} is not a regular file")
            _ensure_fits(path, status.st_size, most_bytes)
            while piece := file.read(_CHUNK_BYTES):
                # The reported size may be wrong, and the file may grow.
                _ensure_fits(path, file.tell(), most_bytes)
                yield piece
    except OSError as error:
        raise SetupFailed(f"{path} cannot be read: {error.strerror}") from error


def read_verified(folder: Path, file: WeightsFile) -> bytes:
    """Return the content of a file of the weights folder, for a loader.

    Raises SetupFailed when it cannot be read or has another SHA-256.
    """
    path = folder / file.name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SetupFailed(f"weights file {path}: {error.strerror}") from error
    # Hash the same bytes that are loaded, so that a concurrent write cannot slip through.
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise SetupFailed(f"weights file {path} has a wrong SHA-256: pull or admit it again")
    return content


def verify(folder: Path, files: Iterable[WeightsFile]) -> None:
    """Check that each of `files` lies in `folder` with its digest; raises SetupFailed if not."""
    for file in files:
        fault = find_fault(folder, file)
        if fault is not None:
            raise SetupFailed(f"weights file {folder / file.name} {fault}: {REMEDY}")


def find_fault(folder: Path, file: WeightsFile) -> str | None:
    """Return what is wrong with a file of weights in `folder`, or None."""
    path = folder / file.name
    if not path.is_file():
        return "is missing"
    state = path.stat()
    digest = _hash_once(path, state.st_ino, state.st_ctime_ns)
    return None if digest == file.sha256 else "has a wrong SHA-256"


@functools.lru_cache(maxsize=256)  # the default models have 16 files
def _hash_once(path: Path, *_state: int) -> str:
    """Return a file's digest; every write and rename changes its state."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _remove_leftover(path: Path) -> None:
    """Remove what a killed command left: at once if its lock is free, else after a day.

    Raises OSError, also while another process holds the lock.
    """
    lock = path / _LOCK_NAME
    if lock.exists():
        with lock.open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
    elif time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
        path.unlink() if path.is_file() else shutil.rmtree(path)


def _open_nonblocking(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a pipe without a writer would block forever.
    return os.open(path, flags | os.O_NONBLOCK)


def _ensure_fits(path: Path, size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise SetupFailed(f"{path} holds more than {most_bytes:,} bytes, the limit for weights")
