"""Reads files of unknown origin: regular ones only, bounded, a piece at a time."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from smart_filter_shared.errors import SetupFailed

# Source: protobuf.dev, "Proto Limits": no message of 2 GiB or more is read, and ONNX is one.
MOST_BYTES: Final = 2_000_000_000
_PIECE_BYTES: Final = 1 << 20


def pieces(path: Path, *, most_bytes: int = MOST_BYTES) -> Iterator[bytes]:
    """Yield what a file holds.

    Raises SetupFailed when it cannot be read, is no regular file, or holds more.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            told = os.fstat(file.fileno())
            if not stat.S_ISREG(told.st_mode):
                raise SetupFailed(f"{path} is no regular file")
            _ensure_fits(path, told.st_size, most_bytes)
            come = 0
            while piece := file.read(_PIECE_BYTES):
                come += len(piece)
                # What a file says of its size is not always so, and it may grow.
                _ensure_fits(path, come, most_bytes)
                yield piece
    except OSError as error:
        raise SetupFailed(f"{path} cannot be read: {error.strerror}") from error


def content(path: Path, *, most_bytes: int = MOST_BYTES) -> bytes:
    """Return all that a file holds.  Raises SetupFailed as `pieces` does."""
    return b"".join(pieces(path, most_bytes=most_bytes))


def sha256_of(path: Path) -> str:
    """Return a file's digest as lower-case hex.  Raises SetupFailed as `pieces` does."""
    digest = hashlib.sha256()
    for piece in pieces(path):
        digest.update(piece)
    return digest.hexdigest()


def copy(path: Path, into: Path) -> str:
    """Copy a file; return the digest of the copy.  Raises SetupFailed as `pieces` does."""
    digest = hashlib.sha256()
    with into.open("wb") as target:
        for piece in pieces(path):
            digest.update(piece)
            target.write(piece)
    return digest.hexdigest()


def _without_waiting(path: str, flags: int) -> int:
    # A pipe that nobody writes to would hold up the opening for ever.
    return os.open(path, flags | os.O_NONBLOCK)


def _ensure_fits(path: Path, size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise SetupFailed(f"{path} holds more than {most_bytes:,} bytes: no file of weights may")
