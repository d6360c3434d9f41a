"""Pictures in files: regular ones, and no more of them than is taken."""

import os
import stat
from pathlib import Path

from smart_filter_shared.errors import PictureRefused
from smart_filter_workers.stock.keeping import MAX_BYTES, too_large


def read(path: Path) -> bytes:
    """Return what a file holds.

    Raises PictureRefused when it cannot be read, has more than MAX_BYTES, or is none that ends,
    such as a device.
    """
    try:
        with open(path, "rb", opener=_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise PictureRefused("it is no regular file")
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PictureRefused(f"it cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise too_large(max(len(content), status.st_size))
    return content


def _at_once(path: str, flags: int) -> int:
    # Without it a pipe waits for whoever writes to it.
    return os.open(path, flags | os.O_NONBLOCK)
