"""Run child processes that end when this process ends, and turn signals into a request to stop.

When this process ends, even by SIGKILL, the kernel sends each child its death signal. The kernel
considers the *thread* that started a child its parent, so only the main thread starts children.
"""

import contextlib
import logging
import os
import select
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import BinaryIO, Self

from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.process_secrets import Process
from smart_filter_shared.child_processes import programs
from smart_filter_shared.child_processes.programs import Identity
from smart_filter_shared.errors import SetupFailed

# A longer log is copied to `.log.1`, over the previous one, and emptied.
_MAX_LOG_BYTES = 10_000_000
_TAIL_BYTES = 4_000
_TAIL_LINES = 3
_TAIL_CHARACTERS = 400
_POLL_SECONDS = 0.02
_HEALTHY_SECONDS = 2.0
_FIRST_PAUSE_SECONDS = 0.1
_MAX_PAUSE_SECONDS = 4.0
# Files of children are for their user only.
_UMASK = 0o077
_log = logging.getLogger(__name__)

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
_DRAIN_BYTES = 4096


class StopRequest:
    """A flag for a requested stop, and a wait that a request ends early.

    Inside `with StopRequest() as stop`, in the main thread, SIGINT and SIGTERM are counted: the
    first requests a stop, the second forces it. The end of a child also ends a wait.
    The block swallows the KeyboardInterrupt that `check` raises.
    Outside of `with`, no signal is counted and waits last their full time.
    """

    def __init__(self) -> None:
        self._requests = 0
        self._reader: socket.socket | None = None
        self._writer: socket.socket | None = None
        self._wakeup_before = -1
        self._handlers_before: list[object] = []

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        # The interpreter writes a byte here at each signal, so no wait misses one.
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._handlers_before = [signal.signal(number, self._count) for number in _STOP_SIGNALS]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        for number, handler in zip(_STOP_SIGNALS, self._handlers_before, strict=True):
            signal.signal(number, handler)  # type: ignore[arg-type]  # returned by signal()
        signal.set_wakeup_fd(self._wakeup_before)
        for end in (self._reader, self._writer):
            if end is not None:
                end.close()
        self._reader = self._writer = None
        return self.requested and kind is not None and issubclass(kind, KeyboardInterrupt)

    @property
    def requested(self) -> bool:
        """Whether an orderly stop was requested."""
        return self._requests >= 1

    @property
    def forced(self) -> bool:
        """Whether a stop was requested twice: children are then killed at once."""
        return self._requests > 1

    def check(self) -> None:
        """Raise KeyboardInterrupt when a stop was requested."""
        if self.requested:
            raise KeyboardInterrupt

    def wait(self, seconds: float) -> None:
        """Wait for this time, or until a signal arrives or a child ends."""
        readers = [] if self._reader is None else [self._reader]
        if select.select(readers, [], [], max(0.0, seconds))[0] and self._reader is not None:
            self._reader.recv(_DRAIN_BYTES)

    def _count(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number != signal.SIGCHLD:
            self._requests += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program to run, with its readiness probe and its stop signals.

    name: unique within a stack; its log is `logs/NAME.log`.
    env: environment variables: the whole environment of a server; additions to the environment
        that `Stack.start` gives a command.
    uses_servers: whether a command of `Stack.start` gets the addresses and keys of the servers,
        and this process's variables.
    process: its kind, which decides its role in the database and the secrets among these
        variables; None: the tables' owner, with all of them.
    ready: readiness probe; called every 20 ms, must return within about a second.
    once: the program ends by itself; it is ready when it has ended with status 0.
    serves: the listening socket that it inherits, if it starts when the first client connects.
    stop_signal, stop_seconds: the signal that asks it to stop, and the time until it is killed.
    death_signal: the signal when this process ends. SIGKILL suits a program without state except
        leases.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    uses_servers: bool = True
    process: Process | None = None
    ready: Callable[[], bool] = lambda: True
    once: bool = False
    ready_seconds: float = 180.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15.0
    death_signal: signal.Signals = signal.SIGKILL
    identity: Identity | None = None
    cwd: Path = Path("/")
    inherit: tuple[int, ...] = ()
    serves: socket.socket | None = None


@dataclass(slots=True)
class Backoff:
    """The restart backoff of one child.

    A child that lived for at least 2 s is restarted at once. After a shorter life the pause is
    0.1 s, then twice as long each time, at most 4 s, without an end.
    """

    _seconds: float = 0.0

    def after(self, lived_seconds: float) -> float:
        """Return the seconds to wait after the child died, `lived_seconds` after its start."""
        if lived_seconds >= _HEALTHY_SECONDS:
            self._seconds = 0.0
        else:
            self._seconds = min(_MAX_PAUSE_SECONDS, max(_FIRST_PAUSE_SECONDS, 2 * self._seconds))
        return self._seconds


class Child:
    """The process of a command; after its end the same child can be started again."""

    def __init__(self, command: Command, folder: DataFolder, held: int) -> None:
        self.command = command
        self.log = folder.log(command.name)
        self._log_start = 0
        served = () if command.serves is None else (command.serves.fileno(),)
        self._inherit = (held, *command.inherit, *served)
        self._process: programs.Process | None = None
        self._started_at = 0.0
        self._ended_at: float | None = None
        self._backoff = Backoff()
        # When it is restarted, on the monotonic clock; None while it runs.
        self._restart_at: float | None = None

    def start(self) -> None:
        """Start the process, without waiting until it is ready."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(f"{self.command.name}: only the main thread can start children")
        self.bound_log()
        with self._open_log() as log:
            self._log_start = log.tell()
            command = self.command
            self._process = programs.start(
                programs.tie(
                    command.argv, death_signal=command.death_signal, identity=command.identity
                ),
                env=command.env,
                output=log,
                cwd=command.cwd,
                inherit=self._inherit,
                umask=_UMASK,
            )
        self._started_at, self._ended_at = time.monotonic(), None

    def _open_log(self) -> BinaryIO:
        """Return the open log; without one on a volume that takes no file, the child still runs."""
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            return os.fdopen(os.open(self.log, flags, 0o600), "ab")
        except OSError as error:
            _log.warning("%s runs without a log: %s", self.command.name, error)
            return Path(os.devnull).open("ab")

    def bound_log(self) -> None:
        """Empty a log that is too long, and keep its content as `.log.1` while there is room."""
        with contextlib.suppress(OSError):
            if self.log.stat().st_size <= _MAX_LOG_BYTES:
                return
            try:
                shutil.copy(self.log, self.log.with_suffix(".log.1"))
            finally:
                os.truncate(self.log, 0)  # the process appends, and continues at the start
                self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process id, or None when the process does not run."""
        return None if self._process is None or self.ended() else self._process.pid

    @property
    def lived_seconds(self) -> float:
        """Seconds from the start until now, or until `ended` noticed the end."""
        return (self._ended_at or time.monotonic()) - self._started_at

    @property
    def exit_status(self) -> int | None:
        """The exit status as in subprocess (negative: a signal's number); None before the end."""
        return None if self._process is None else self._process.returncode

    def ended(self) -> bool:
        """Return whether the process and its whole process group have ended.

        When the process has ended, kills the rest of its group.
        """
        if self._process is None or self._ended_at is not None:
            return True
        if not programs.has_ended(self._process):
            return False
        self._ended_at = time.monotonic()
        return True

    def restart_if_dead(self) -> None:
        """Start the process again after its backoff, if it has died; or when a client needs it."""
        if self.command.once or not self.ended() or self.waits_for_client():
            return
        name = self.command.name
        if self._restart_at is None and self._process is None:
            self._restart_at = 0.0
        if self._restart_at is None:
            pause = self._backoff.after(self.lived_seconds)
            self._restart_at = time.monotonic() + pause
            _log.warning(
                "%s ended (%s) after %.1f s; restarting it in %.1f s; its log: %s",
                *(name, self.exit_status, self.lived_seconds, pause, self.log),
            )
        if time.monotonic() >= self._restart_at:
            try:
                self.start()
                self._restart_at = None
            except OSError as error:  # a full disk, no memory, a removed folder
                pause = self._backoff.after(0.0)
                self._restart_at = time.monotonic() + pause
                _log.warning("%s cannot be started: %s; trying again in %.1f s", name, error, pause)

    def waits_for_client(self) -> bool:
        """Return whether the process starts with a client that has not connected yet."""
        serves = self.command.serves
        return (
            self._process is None
            and serves is not None
            and not select.select([serves], [], [], 0)[0]
        )

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it runs."""
        if self._process is not None and not self.ended():
            self._process.send_signal(number)

    def send_to_group(self, number: signal.Signals) -> None:
        """Send a signal to the process group."""
        if self._process is not None:
            programs.send_to_group(self._process, number)

    def ask_to_stop(self) -> None:
        """Send the stop signal, and SIGCONT for a process that SIGSTOP has stopped."""
        self.send(self.command.stop_signal)
        self.send_to_group(signal.SIGCONT)

    def log_tail(self) -> str:
        """Return the last lines that it printed since its start, joined to one line."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                lines = log.read().decode(errors="replace").split("\n")
        except OSError as error:
            return f"its log cannot be read ({error})"
        tail = [line.strip() for line in lines if line.strip()][-_TAIL_LINES:]
        return " | ".join(tail)[-_TAIL_CHARACTERS:] or "it printed nothing"


def wait_until_ready(children: Sequence[Child], stop: StopRequest) -> None:
    """Wait until every child is ready.

    Raises SetupFailed when a child ends, or is not ready within its time, and KeyboardInterrupt
    when a stop is requested meanwhile.
    """
    waiting = list(children)
    while waiting:
        stop.check()
        waiting = [child for child in waiting if not _is_ready(child)]
        if waiting:
            stop.wait(_POLL_SECONDS)


def wait_until_ended(children: Sequence[Child], stop: StopRequest) -> None:
    """Wait until every child has ended; kill a child that exceeds its stop time."""
    waiting = [(child, time.monotonic() + child.command.stop_seconds) for child in children]
    while waiting := [entry for entry in waiting if not entry[0].ended()]:
        for child, deadline in waiting:
            if stop.forced or time.monotonic() >= deadline:
                child.send_to_group(signal.SIGKILL)
        stop.wait(_POLL_SECONDS)


def process_tree(pid: int) -> tuple[int, ...]:
    """Return the ids of a process and its descendants, except those reparented to another."""
    parents = dict(_list_parents())
    members = [pid]
    for member in members:
        members += [child for child, parent in parents.items() if parent == member]
    return tuple(members)


def _list_parents() -> Iterator[tuple[int, int]]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # `PID (NAME) STATE PARENT …`; NAME can contain any character. Source: proc(5).
            yield int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])


def _is_ready(child: Child) -> bool:
    command = child.command
    if child.ended():
        if command.once and child.exit_status == 0:
            return True
        problem = "failed" if command.once else "did not start"
        raise SetupFailed(f"{command.name} {problem}{_describe_signal(child)}: {child.log_tail()}")
    if not command.once and command.ready():
        return True
    if child.lived_seconds > command.ready_seconds:
        raise SetupFailed(
            f"{command.name} was not ready within {command.ready_seconds:g} s: {child.log_tail()}"
        )
    return False


def _describe_signal(child: Child) -> str:
    """Return what a shell prints for the signal that ended a child, or "".

    A child that the kernel kills because memory is short prints nothing itself.
    """
    status = child.exit_status or 0
    return f" ({signal.strsignal(-status)})" if status < 0 else ""
