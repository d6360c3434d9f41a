"""Chooses the server that processes photos, and starts a temporary embedded stack if there is none.

A temporary stack is shared with other commands, and stopped after the last of them.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.status import Status
from rich.text import Text

from smart_filter_deploy.cli.server import program
from smart_filter_deploy.cli.server.connection import (
    Server,
    running_server,
    server_from_environment,
)
from smart_filter_deploy.cli.terminal.console import can_redraw
from smart_filter_deploy.cli.terminal.exit_codes import NO_SERVER, PROGRAM, CommandError
from smart_filter_deploy.embedded.folder import DataFolder, is_held
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.security import outbound_rules

# Longest stop of a stack: it finishes a photo (15 s), and PostgreSQL writes its checkpoint.
_SETTLE_SECONDS = 60.0
_POLL_SECONDS = 0.05
_MAX_KEPT_LINES = 20


@contextlib.contextmanager
def open_server(console: Console) -> Iterator[Server]:
    """Give a server, and show what it waits for.  Raises CommandError, SetupFailed."""
    given = server_from_environment()
    if given is not None:
        yield given
        return
    with _show_status(console) as on_status, _share_stack(on_status, console) as server:
        on_status("")
        yield server


@contextlib.contextmanager
def _share_stack(on_status: Callable[[str], None], console: Console) -> Iterator[Server]:
    """Give the stack that runs on the data folder, else a temporary one for the block.

    A temporary stack is stopped at the end, after the other commands that use it.
    on_status: called with the current wait.  console: shows the data folder of a temporary one.
    Raises CommandError or SetupFailed when the stack cannot start.
    """
    folder = DataFolder.at()
    started = None
    with _hold_lock(folder, "users.lock", fcntl.LOCK_SH, on_status) as users:
        try:
            # One command at a time: the first of several starts the stack for all.
            with _hold_lock(folder, "starting.lock", fcntl.LOCK_EX, on_status):
                server = _wait_until_settled(folder, on_status)
                if server is None:
                    starting = _UpProcess(on_status)
                    server = starting.server()
                    started = starting
                    on_status("")
                    console.print(f"[dim]data folder: {data_folder()}[/]", soft_wrap=True)
            yield server
            if started is not None:
                _lock(users, fcntl.LOCK_EX, on_status, "other commands still use these servers")
        finally:
            if started is not None:
                on_status("stopping the servers")
                started.stop()


class _UpProcess:
    """A child process `smart-filter up`, which ends when this process ends."""

    def __init__(self, on_status: Callable[[str], None]) -> None:
        self._on_status = on_status
        self._is_ready = False
        self._lines: deque[str] = deque(maxlen=_MAX_KEPT_LINES)
        self._process = subprocess.Popen(  # noqa: S603 - we start ourselves
            program.tied_command("up", "--no-live", "--json", *_public_only()),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,  # Ctrl-C reaches only us, and we stop the child
        )
        self._reader = threading.Thread(target=self._read_status, daemon=True)
        self._reader.start()

    def server(self) -> Server:
        """Wait for its first line.  Raises CommandError with its last message if there is none."""
        assert self._process.stdout is not None
        try:
            line = self._process.stdout.readline()
            if line:
                first = json.loads(line)
                self._is_ready = True
                return Server(first["url"], first["api_key"])
        except BaseException:
            self.stop()
            raise
        self._process.wait()
        self._reader.join()
        ours = [line for line in self._lines if line.startswith(f"{PROGRAM}: ")]
        last = (ours or list(self._lines) or ["it printed no message"])[-1]
        raise CommandError(last.removeprefix(f"{PROGRAM}: "), NO_SERVER)

    def stop(self) -> None:
        """Stop the process in order and wait for it; each Ctrl-C meanwhile escalates the signal."""
        for urgency in (signal.SIGINT, signal.SIGINT, signal.SIGKILL):
            self._process.send_signal(urgency)
            with contextlib.suppress(KeyboardInterrupt):
                self._process.wait()
                break
        self._reader.join()

    def _read_status(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if text := line.strip():
                self._lines.append(text)
                # An error of its own ends it, and is ours then.
                if not self._is_ready and not text.startswith(f"{PROGRAM}: "):
                    self._on_status(text)


def _public_only() -> tuple[str, ...]:
    """Return the option that keeps a temporary stack from this machine, unless it is allowed."""
    return () if os.environ.get(outbound_rules.SETTING) else ("--public-only",)


def _wait_until_settled(folder: DataFolder, on_status: Callable[[str], None]) -> Server | None:
    """Return the stack that runs on the folder, or None when the folder is free.

    Waits for a stack that is starting or stopping.
    """
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        server = running_server()
        if server is not None or not is_held(folder.path) or time.monotonic() > deadline:
            return server
        on_status("waiting for the stack on this folder to start or stop")
        time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def _hold_lock(
    folder: DataFolder, name: str, kind: int, on_status: Callable[[str], None]
) -> Iterator[int]:
    lock = os.open(folder.path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(lock, kind, on_status, "waiting for another command")
        yield lock
    finally:
        os.close(lock)


def _lock(lock: int, kind: int, on_status: Callable[[str], None], why: str) -> None:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        on_status(why)
        fcntl.flock(lock, kind)


@contextlib.contextmanager
def _show_status(console: Console) -> Iterator[Callable[[str], None]]:
    """Give a callback that shows a status: one changing line on a terminal, else plain lines."""
    status = Status("", console=console)
    last = ""

    def show(message: str) -> None:
        nonlocal last
        if message == last:
            return
        last = message
        if not can_redraw(console):
            if message:
                console.print(message, soft_wrap=True, markup=False)
        elif message:
            status.update(Text(message, style="dim"))
            status.start()
        else:
            status.stop()

    try:
        yield show
    finally:
        status.stop()
