"""Read files of unknown origin: regular files only, up to a size limit, in chunks."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from smart_filter_shared.errors import SetupFailed

# Source: protobuf.dev, "Proto Limits": messages of 2 GiB or more are not read; ONNX is a message.
MAX_BYTES: Final = 2_000_000_000
_CHUNK_BYTES: Final = 1 << 20


def read_chunks(path: Path, *, most_bytes: int = MAX_BYTES) -> Iterator[bytes]:
    """Yield the content of a file in chunks.

    Raises SetupFailed when it cannot be read, is not a regular file, or exceeds the limit.
    """
    try:
        with open(path, "rb", opener=_open_nonblocking) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SetupFailed(f"{path} is not a regular file")
            _ensure_fits(path, status.st_size, most_bytes)
            come = 0
            while piece := file.read(_CHUNK_BYTES):
                come += len(piece)
                # The reported size may be wrong, and the file may grow.
                _ensure_fits(path, come, most_bytes)
                yield piece
    except OSError as error:
        raise SetupFailed(f"{path} cannot be read: {error.strerror}") from error


def read_content(path: Path, *, most_bytes: int = MAX_BYTES) -> bytes:
    """Return the whole content of a file.  Raises SetupFailed as `read_chunks` does."""
    return b"".join(read_chunks(path, most_bytes=most_bytes))


def sha256_of(path: Path) -> str:
    """Return a file's digest as lower-case hex.  Raises SetupFailed as `read_chunks` does."""
    digest = hashlib.sha256()
    for piece in read_chunks(path):
        digest.update(piece)
    return digest.hexdigest()


def copy_file(path: Path, into: Path) -> str:
    """Copy a file; return the digest of the copy.  Raises SetupFailed as `read_chunks` does."""
    digest = hashlib.sha256()
    with into.open("wb") as target:
        for piece in read_chunks(path):
            digest.update(piece)
            target.write(piece)
    return digest.hexdigest()


def _open_nonblocking(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a pipe without a writer would block forever.
    return os.open(path, flags | os.O_NONBLOCK)


def _ensure_fits(path: Path, size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise SetupFailed(f"{path} holds more than {most_bytes:,} bytes, the limit for weights")
