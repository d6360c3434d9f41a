"""A network without internet access, whose name server records and refuses each query.

The module is also a program: it is started inside new namespaces and sets them up.
"""

import contextlib
import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

_NAME_SERVER = ("127.0.0.1", 53)
_READY = "ready"
# All are replaced: otherwise the resolver may ask a daemon over a socket file, which leads out of
# the namespace.
_RESOLVING = {
    "/etc/resolv.conf": "nameserver 127.0.0.1\n",
    "/etc/nsswitch.conf": "hosts: files dns\n",
    "/etc/hosts": "127.0.0.1 localhost {}\n",
}
# Source: Linux, include/uapi/linux/mount.h, if.h, sockios.h; RFC 1035, section 4.1.1.
_MS_BIND = 4096
_IFF_UP = 1
_SIOCSIFFLAGS = 0x8914
_RESPONSE_NXDOMAIN = b"\x81\x83"
_HEADER_BYTES = 12
_TYPE_AND_CLASS_BYTES = 4


@dataclass(frozen=True, slots=True)
class IsolatedNetwork:
    """The namespaces of a running process; commands can be started in them."""

    pid: int
    record: Path

    @property
    def queried_names(self) -> list[str]:
        return sorted(set(self.record.read_text().split()))

    def start(
        self, command: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[str]:
        """Start a command inside, in the network's folder, with this environment only."""
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return subprocess.Popen(
            [
                *("nsenter", f"--target={self.pid}", *user, "--net", "--mount", "--wd", "--"),
                *command,
            ],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@contextlib.contextmanager
def isolate_network(folder: Path, *hosts: str) -> Iterator[IsolatedNetwork]:
    """Provide an isolated network while the block lasts; skip the test where it is not possible.

    folder: new; receives the record and the files of the resolver.
    hosts: names that lead to 127.0.0.1, by /etc/hosts.
    """
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("no network of its own: this needs unshare and nsenter, of util-linux")
    folder.mkdir()
    user = [] if os.geteuid() == 0 else ["--map-current-user", "--keep-caps"]
    with subprocess.Popen(
        [
            *("unshare", *user, "--net", "--mount", "--propagation=private", "--"),
            *(sys.executable, __file__, str(folder), *hosts),
        ],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            if process.stdout.readline().strip() != _READY:
                _, _, why = process.stderr.read().strip().rpartition("\n")
                pytest.skip(f"no network of its own: {why}")
            yield IsolatedNetwork(process.pid, folder / "record")
        finally:
            process.kill()


def _serve(folder: Path, *hosts: str) -> None:
    """Bring this process's namespaces up and answer every query that the name is unknown."""
    libc = ctypes.CDLL(None, use_errno=True)
    for path, text in _RESOLVING.items():
        copy = folder / Path(path).name
        copy.write_text(text.format(" ".join(hosts)))
        if libc.mount(bytes(copy), path.encode(), None, _MS_BIND, None) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        fcntl.ioctl(server, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
        server.bind(_NAME_SERVER)
        with (folder / "record").open("w", buffering=1) as record:
            print(_READY, flush=True)  # noqa: T201 - the parent waits for it
            while True:
                query, sender = server.recvfrom(4096)
                name, question = _question(query)
                record.write(f"{name}\n")
                counts = struct.pack("!4H", 1, 0, 0, 0)
                server.sendto(query[:2] + _RESPONSE_NXDOMAIN + counts + question, sender)


def _question(query: bytes) -> tuple[str, bytes]:
    """Return the name a query asks for, and the bytes of the question."""
    labels, at = [], _HEADER_BYTES
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("ascii", "backslashreplace"))
        at += 1 + length
    return ".".join(labels), query[_HEADER_BYTES : at + 1 + _TYPE_AND_CLASS_BYTES]


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), *sys.argv[2:])
