"""The start of a decoder child: it locks files, then loads decoders.

It imports only a little of the standard library. From here on the process can read the folders of
Python and of the system's libraries, write nothing, run no program and use no TCP port.
"""

import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Final

from smart_filter_workers.system import sandbox

# Folders of libraries, and what the C library reads about them and about this process.
_SYSTEM_PLACES: Final = (
    *("/usr", "/lib", "/lib64", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/localtime", "/proc/self"),
)


def serve(parent: socket.socket) -> None:
    """Lock this process, load the decoders and answer the requests of the parent."""
    _offer_to_out_of_memory_killer()
    lock_files()  # the second lock tells the parent when this one is missing
    from smart_filter_workers.decoder import child  # noqa: PLC0415 - it loads every decoder

    child.serve(parent)


def lock_files() -> str | None:
    """Take all rights to files except to read libraries; return why it cannot, or None."""
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    python = (sys.prefix, sys.base_prefix, *sys.path)
    return sandbox.restrict_files(readable=[*_SYSTEM_PLACES, *python, *filter(None, libraries)])


def _offer_to_out_of_memory_killer() -> None:
    """Make the kernel end this process before its parent when memory runs out."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
