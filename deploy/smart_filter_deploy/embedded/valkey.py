"""The broker: a Valkey server (the Redis protocol) that keeps its messages over a restart."""

import signal
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from smart_filter_deploy.embedded.binaries import valkey_program
from smart_filter_deploy.embedded.children import Command
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.ports import LOOPBACK, free_port
from smart_filter_shared.errors import SetupFailed

_ANSWER_SECONDS = 1.0


def prepare(folder: DataFolder) -> tuple[Command, str]:
    """The command that runs it, and its URL.

    Raises SetupFailed when there is no program.
    """
    port, password = free_port(), folder.secret("valkey")
    data = folder.part("valkey")
    command = Command(
        name="valkey",
        argv=(str(valkey_program()), str(_write_settings(data, port, password))),
        env={"LC_ALL": "C", "TZ": "UTC"},
        ready=lambda: _answers(port, password),
        death_signal=signal.SIGTERM,
        cwd=data,
    )
    return command, f"redis://:{password}@{LOOPBACK}:{port}/0"


def _write_settings(data: Path, port: int, password: str) -> Path:
    # A file, because command lines can be read by everybody on the machine.
    path = data / "valkey.conf"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(
        f"bind {LOOPBACK}\nport {port}\nprotected-mode yes\nrequirepass {password}\n"
        "dir ./\ndaemonize no\n"
        # Messages are hints that the sweeper can ring again: a second of them may be lost.
        'appendonly yes\nappendfsync everysec\nsave ""\n'
        # A full broker must say so rather than drop a message.
        "maxmemory-policy noeviction\n"
    )
    return path


def _answers(port: int, password: str) -> bool:
    client = redis.Redis(
        host=LOOPBACK,
        port=port,
        password=password,
        socket_connect_timeout=_ANSWER_SECONDS,
        socket_timeout=_ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),  # who asks here asks again
    )
    try:
        return bool(client.ping())
    except redis.AuthenticationError as error:
        raise SetupFailed(f"port {port} is not our Valkey server's: {error}") from error
    except (redis.ConnectionError, redis.TimeoutError):  # not there, or still reading its file
        return False
    finally:
        client.close()
