"""Read pictures from regular files of limited size."""

import os
import stat
from pathlib import Path

from smart_filter_shared.errors import PictureRefused
from smart_filter_shared.stock import MAX_BYTES
from smart_filter_workers.stock.ingest import too_large_error


def read_file(path: Path) -> bytes:
    """Return the content of a file.

    Raises PictureRefused when it cannot be read, has more than MAX_BYTES, or is not a regular
    file, for example a device.
    """
    try:
        with open(path, "rb", opener=_open_nonblocking) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise PictureRefused("it is not a regular file")
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PictureRefused(f"it cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise too_large_error(max(len(content), status.st_size))
    return content


def _open_nonblocking(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a pipe would wait for a writer.
    return os.open(path, flags | os.O_NONBLOCK)
