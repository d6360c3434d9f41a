"""Prepare the broker: a Valkey server (the Redis protocol), which writes nothing to the disk."""

import signal
import socket
from pathlib import Path

from smart_filter_deploy.embedded.addresses import LOOPBACK, free_port
from smart_filter_deploy.embedded.binaries import valkey_program
from smart_filter_deploy.embedded.child_processes import Command
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_shared.errors import SetupFailed

_PROBE_TIMEOUT_SECONDS = 1.0


def prepare(folder: DataFolder) -> tuple[Command, str]:
    """Return the command that runs the server, and the server's URL.

    Raises SetupFailed when the program is not installed.
    """
    port, password = free_port(), folder.secret("valkey")
    data = folder.part("valkey")
    command = Command(
        name="valkey",
        argv=(str(valkey_program()), str(_write_settings(data, port, password))),
        env={"LC_ALL": "C", "TZ": "UTC"},
        ready=lambda: _is_ready(port, password),
        death_signal=signal.SIGTERM,
        cwd=data,
    )
    return command, f"redis://:{password}@{LOOPBACK}:{port}/0"


def _write_settings(data: Path, port: int, password: str) -> Path:
    # A file, because every user of the machine can read command lines.
    path = data / "valkey.conf"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(
        f"bind {LOOPBACK}\nport {port}\nprotected-mode yes\nrequirepass {password}\n"
        "dir ./\ndaemonize no\n"
        # Messages are hints, without which workers poll. A log of them would refuse every message
        # while the disk is full.
        'appendonly no\nsave ""\n'
        # A full broker must return an error instead of dropping a message.
        "maxmemory-policy noeviction\n"
    )
    return path


def _is_ready(port: int, password: str) -> bool:
    # Two inline commands of the protocol: the Redis client would hold 14 MB in this process.
    try:
        with (
            socket.create_connection((LOOPBACK, port), _PROBE_TIMEOUT_SECONDS) as connection,
            connection.makefile("rb") as answers,
        ):
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            login, pong = answers.readline(), answers.readline()
    except OSError:  # not started
        return False
    if login.startswith(b"-"):
        reason = login.decode(errors="replace").strip("-\r\n")
        raise SetupFailed(f"port {port} is not our Valkey server's: {reason}")
    return pong == b"+PONG\r\n"  # an error while it loads its file
