"""Standard streams of a server process, whose writes cannot fail.

A full disk, a closed pipe or a read-only file system must not raise into the work that is logged.
Apart from the logs, whose library loads compiled modules that `up` does not need.
"""

import io
import os
import sys
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing_extensions import Buffer

_STREAMS: Final = ("stdout", "stderr")


def replace_standard_streams(*names: str) -> None:
    """Make `sys.stdout`, `sys.stderr` or both drop what cannot be written.

    names: `stdout`, `stderr`; both when empty.  A stream in memory stays.
    """
    for name in names or _STREAMS:
        stream = getattr(sys, name)
        try:
            file = _LossyFile(
                os.open(os.devnull, os.O_WRONLY) if stream is None else stream.fileno()
            )
        except io.UnsupportedOperation:
            continue
        except OSError:  # it is closed, and another file may get its number
            file = _LossyFile(os.open(os.devnull, os.O_WRONLY))
        setattr(sys, name, io.TextIOWrapper(file, "utf-8", "backslashreplace", write_through=True))


class _LossyFile(io.FileIO):
    """A file descriptor that is written without a buffer; what it does not take is lost.

    After a write that was cut, the next one begins with a line end, so that only one line is cut.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._lock = threading.Lock()
        self._is_cut = False

    def write(self, content: "Buffer", /) -> int:
        """Write bytes as far as possible, and return their number."""
        length = len(memoryview(content))
        with self._lock:
            written: int | None = 0
            try:
                if self._is_cut:
                    self._is_cut = not super().write(b"\n")
                written = super().write(content)  # None: a full pipe that does not block
            except OSError:
                written = 0
            if written and written < length:
                self._is_cut = True
        return length
