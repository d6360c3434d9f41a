"""Child processes that end when we end.

Each is the leader of a process group of its own, so that Ctrl-C in a terminal reaches us and
not it, and is tied to us by `leash`: when this process goes, killed too, the kernel sends the
child its death signal. The kernel counts the *thread* that started it as the parent, so
children are started from the main thread only.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from smart_filter_deploy.embedded import leash
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.signals import StopRequest
from smart_filter_shared.errors import SetupFailed

_LOG_BYTES = 10_000_000  # a longer log is set aside at the next start, and replaces the one before
_TAIL_BYTES = 4_000
_TAIL_LINES = 3
_TAIL_CHARACTERS = 400
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a process runs as, when that is not us."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program to run and how to live with it.

    name: unique within a stack; its log is `logs/NAME.log`.
    env: variables of the process: all of them for a server, those on top of the stack's for
        a command that is given to `Stack.start`.
    ready: whether it serves by now; asked every 20 ms, must answer within a second or so.
    once: it has something to do and ends; it is ready when it has ended well.
    stop_signal, stop_seconds: the friendly request, and how long it has to end after it.
    death_signal: what it gets when we die. SIGKILL suits whoever holds nothing but leases.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    ready: Callable[[], bool] = lambda: True
    once: bool = False
    ready_seconds: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15.0
    death_signal: signal.Signals = signal.SIGKILL
    identity: Identity | None = None
    cwd: Path | None = None
    inherit: tuple[int, ...] = ()


class Child:
    """One process of a command; when it has ended, the same child can be started again."""

    def __init__(self, command: Command, folder: DataFolder, held: int) -> None:
        self.command = command
        self.log = folder.log(command.name)
        self._log_start = 0
        self._inherit = (held, *command.inherit)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._ended_at: float | None = None

    def start(self) -> None:
        """Start it; whether it is ready is another question."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(f"{self.command.name}: children are started by the main thread")
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603  programs and arguments are ours
                _leashed(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.command.env),
                cwd=self.command.cwd,
                process_group=0,
                pass_fds=self._inherit,
            )
        self._started_at, self._ended_at = time.monotonic(), None

    @property
    def pid(self) -> int | None:
        """Its process id, or None when it does not run."""
        return None if self._process is None or self.ended() else self._process.pid

    @property
    def lived_seconds(self) -> float:
        """Seconds from its start until now, or until it was found to have ended."""
        return (self._ended_at or time.monotonic()) - self._started_at

    @property
    def exit_status(self) -> int | None:
        """How it ended, as subprocess tells it (minus a signal's number), or None."""
        return None if self._process is None else self._process.returncode

    def ended(self) -> bool:
        """It does not run, and nothing of its process group is left."""
        process = self._process
        if process is None or process.returncode is not None:
            return True
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        if os.waitid(os.P_PID, process.pid, options) is None:
            return False
        # Before its number is given back, so that it cannot be another group's by now.
        self.send_to_group(signal.SIGKILL)
        process.wait()
        self._ended_at = time.monotonic()
        return True

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, when it runs."""
        if self._process is not None and not self.ended():
            self._process.send_signal(number)

    def send_to_group(self, number: signal.Signals) -> None:
        """Send it and the processes that it started a signal."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def ask_to_stop(self) -> None:
        """Send the friendly request; also to one that was stopped by SIGSTOP."""
        self.send(self.command.stop_signal)
        self.send_to_group(signal.SIGCONT)

    def log_tail(self) -> str:
        """The last lines that it printed since its start, on one line."""
        with self.log.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").split("\n")
        tail = [line.strip() for line in lines if line.strip()][-_TAIL_LINES:]
        return " | ".join(tail)[-_TAIL_CHARACTERS:] or "it printed nothing"


def wait_until_ready(children: Sequence[Child], stop: StopRequest) -> None:
    """Return when every child is ready.

    Raises SetupFailed when one ends instead, or is not ready within its time, and
    KeyboardInterrupt when somebody asks to stop meanwhile.
    """
    waiting = list(children)
    while waiting:
        stop.check()
        waiting = [child for child in waiting if not _is_ready(child)]
        if waiting:
            stop.wait(_POLL_SECONDS)


def wait_until_ended(children: Sequence[Child], stop: StopRequest) -> None:
    """Return when no child runs any more; one that outlasts its time is killed."""
    waiting = [(child, time.monotonic() + child.command.stop_seconds) for child in children]
    while waiting := [entry for entry in waiting if not entry[0].ended()]:
        for child, deadline in waiting:
            if stop.forced or time.monotonic() >= deadline:
                child.send_to_group(signal.SIGKILL)
        stop.wait(_POLL_SECONDS)


def family(pid: int) -> tuple[int, ...]:
    """This process and all that descend from it, as far as they are still linked to it."""
    parents = dict(_parents())
    members = [pid]
    for member in members:
        members += [child for child, parent in parents.items() if parent == member]
    return tuple(members)


def _parents() -> Iterator[tuple[int, int]]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # `PID (NAME) STATE PARENT …`, where NAME may hold anything. Source: proc(5).
            yield int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])


def _is_ready(child: Child) -> bool:
    command = child.command
    if child.ended():
        if command.once and child.exit_status == 0:
            return True
        what = "failed" if command.once else "did not start"
        raise SetupFailed(f"{command.name} {what}: {child.log_tail()}")
    if not command.once and command.ready():
        return True
    if child.lived_seconds > command.ready_seconds:
        raise SetupFailed(
            f"{command.name} was not ready within {command.ready_seconds:g} s: {child.log_tail()}"
        )
    return False


def _leashed(command: Command) -> list[str]:
    who = command.identity
    return [
        *(sys.executable, "-I", "-S", leash.__file__),
        *(str(os.getpid()), str(int(command.death_signal))),
        *(("-", "-") if who is None else (str(who.uid), str(who.gid))),
        *("--", *map(str, command.argv)),
    ]
