"""Start a process in a process group of its own, and end it with its group.

Ctrl-C in a terminal and a signal to the parent's group reach only the parent, which then ends its
children in its own order. A group is not a session: Linux gives each session the same time, nice
or not (autogroup in sched(7)).
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

from smart_filter_shared.child_processes import parent_death

# A file descriptor, an open file, or a constant of subprocess.
Output: TypeAlias = int | IO[Any]
Process: TypeAlias = "subprocess.Popen[bytes]"
_POLL_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True)
class Identity:
    """The user and group of a process, when they differ from this process's."""

    uid: int
    gid: int


def tie(
    argv: Sequence[str | Path],
    *,
    death_signal: signal.Signals = signal.SIGKILL,
    identity: Identity | None = None,
) -> list[str]:
    """Return the command line of a foreign program that ends when this process ends.

    death_signal: what it gets then.  identity: the user that runs it.
    """
    user = ("-", "-") if identity is None else (str(identity.uid), str(identity.gid))
    return [
        *(sys.executable, "-I", "-S", parent_death.__file__),
        *(str(os.getpid()), str(int(death_signal)), *user),
        *("--", *map(str, argv)),
    ]


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    output: Output,
    cwd: Path = Path("/"),
    inherit: Sequence[int] = (),
    umask: int = -1,
) -> Process:
    """Start a process without input; `argv` ties it to this one.

    output: of both kinds.  inherit: file descriptors.  umask: -1 for that of this process.
    """
    return subprocess.Popen(  # noqa: S603 - no untrusted program or argument
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(env),
        cwd=cwd,
        umask=umask,
        process_group=0,
        pass_fds=inherit,
    )


def has_ended(process: Process) -> bool:
    """Return whether a process has ended; the rest of its group is then killed."""
    if process.returncode is None and _has_exited(process):
        end(process)
    return process.returncode is not None


def send_to_group(process: Process, number: signal.Signals) -> None:
    """Send a signal to the group of a process, unless the process was waited for."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def end(process: Process, *, grace_seconds: float = 0.0) -> int:
    """Kill a process with its group, wait for it, and return its exit status.

    grace_seconds: how long it may take to end by itself.
    """
    ends_at = time.monotonic() + grace_seconds
    while time.monotonic() < ends_at and not _has_exited(process):
        time.sleep(_POLL_SECONDS)
    # Before `wait` frees the process id, which another group could then get.
    send_to_group(process, signal.SIGKILL)
    return process.wait()


def _has_exited(process: Process) -> bool:
    if process.returncode is not None:
        return True
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, options) is not None
