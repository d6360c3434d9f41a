"""Prepare the object store: `rclone serve s3` over a folder.

A bucket is a folder, an object a file. Known limits: no bucket policy or lifecycle, user metadata
is lost on a restart, and a key cannot be the folder of another key.
"""

import contextlib
import http.client
import os
import signal
import threading
import time
from pathlib import Path

from smart_filter_deploy.embedded.binaries import rclone_program
from smart_filter_deploy.embedded.child_processes import Command
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.ports import LOOPBACK, free_port, http_status

ACCESS_KEY = "smart-filter"
# Else rclone hashes each object twice when it is written and twice when it is read, and compares
# hashes of the same bytes in memory. One hash is left: the ETag, by which a job notices that its
# upload was replaced. Every read computes it, and MD5, the default, takes half of a read's time.
_HASHING = ("--no-checksum", "--ignore-checksum", "--etag-hash=xxh128")
# Else each download holds 16 MB that were read ahead until its client has read them. A local file
# is read in the same time without.
_NO_BUFFER = "--buffer-size=0"
# Rclone writes an object under such a name and then renames it. No listing shows these files.
_UNFINISHED = ".rclone_temp_put_"


def prepare(folder: DataFolder) -> tuple[Command, str, str]:
    """Return the command that runs the server, its endpoint and its secret key.

    The access key is constant. What writes of an earlier run have left is removed meanwhile.
    Raises SetupFailed when the program is not installed.
    """
    port, secret_key = free_port(), folder.secret("s3")
    threading.Thread(
        target=_remove_unfinished, args=(folder.part("s3"), time.time()), daemon=True
    ).start()
    command = Command(
        name="s3",
        argv=(
            *(str(rclone_program()), "serve", "s3", "--addr", f"{LOOPBACK}:{port}"),
            *_HASHING,
            _NO_BUFFER,
            str(folder.part("s3")),
        ),
        env={
            # One entry of a CSV list, quoted because it contains a comma. Not on the command line,
            # which every user of the machine can read.
            "RCLONE_AUTH_KEY": f'"{ACCESS_KEY},{secret_key}"',
            "RCLONE_CONFIG": "/dev/null",
            "TZ": "UTC",
        },
        ready=lambda: _is_ready(port),
        death_signal=signal.SIGTERM,
        cwd=folder.path,
    )
    return command, f"http://{LOOPBACK}:{port}", secret_key


def _remove_unfinished(store: Path, before: float) -> None:
    """Remove the files of unfinished writes that are older than a time in seconds since 1970."""
    for folder, _, names in os.walk(store):  # it skips folders that the server removes meanwhile
        for path in (Path(folder, name) for name in names if name.startswith(_UNFINISHED)):
            with contextlib.suppress(OSError):  # the server may have renamed or removed it
                if path.stat().st_mtime < before:
                    path.unlink()


def _is_ready(port: int) -> bool:
    # The server must reject unsigned requests: a server that accepts them is another one.
    return (http_status(port, "/") or 0) >= http.client.BAD_REQUEST
