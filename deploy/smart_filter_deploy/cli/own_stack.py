"""An embedded stack that a `run` starts for itself, shares with others, and stops."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from smart_filter_deploy.cli import program
from smart_filter_deploy.cli.connection import Server, running_server
from smart_filter_deploy.cli.endings import NO_SERVER, PROGRAM, Ending
from smart_filter_deploy.embedded import leash
from smart_filter_deploy.embedded.folder import DataFolder, is_held

# A stack that was told to stop lets a photo end (15 s) and PostgreSQL write its checkpoint.
_SETTLE_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_KEPT_LINES = 20


@contextlib.contextmanager
def server(on_status: Callable[[str], None]) -> Iterator[Server]:
    """Give the stack that is up on the data folder; else one of our own, while the block lasts.

    Our own stack is stopped at the end, but not under the hands of other runs that found it.
    on_status: told what is being waited for.
    Raises Ending or SetupFailed when there can be no stack.
    """
    folder = DataFolder.at()
    own = None
    with _locked(folder, "users.lock", fcntl.LOCK_SH, on_status) as users:
        try:
            # One at a time, so that of several runs the first one starts the stack for all.
            with _locked(folder, "starting.lock", fcntl.LOCK_EX, on_status):
                found = _settled(folder, on_status)
                if found is None:
                    starting = _Up(on_status)
                    found = starting.server()
                    own = starting
            yield found
            if own is not None:
                _lock(users, fcntl.LOCK_EX, on_status, "other runs still use these servers")
        finally:
            if own is not None:
                on_status("stopping the servers")
                own.stop()


class _Up:
    """A child process `smart-filter up`, which ends when we do."""

    def __init__(self, on_status: Callable[[str], None]) -> None:
        self._on_status = on_status
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._process = subprocess.Popen(  # noqa: S603 - we start ourselves
            [
                # Killed ourselves, we leave it to the kernel to tell it to stop in order.
                *(sys.executable, "-I", "-S", leash.__file__),
                *(str(os.getpid()), str(int(signal.SIGTERM)), "-", "-", "--"),
                *program.command("up", "--no-live", "--json"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,  # Ctrl-C reaches us, and we decide when it is to stop
        )
        self._reader = threading.Thread(target=self._read_status, daemon=True)
        self._reader.start()

    def server(self) -> Server:
        """Wait for its first line; raises Ending with its own last words when there is none."""
        assert self._process.stdout is not None
        try:
            line = self._process.stdout.readline()
            if line:
                first = json.loads(line)
                self._on_status = _unheard
                return Server(first["url"], first["api_key"])
        except BaseException:
            self.stop()
            raise
        self._process.wait()
        self._reader.join()
        ours = [line for line in self._lines if line.startswith(f"{PROGRAM}: ")]
        last = (ours or list(self._lines) or ["it said nothing"])[-1]
        raise Ending(last.removeprefix(f"{PROGRAM}: "), NO_SERVER)

    def stop(self) -> None:
        """Have it stop in order and wait; each Ctrl-C meanwhile makes it more urgent."""
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
                self._on_status(text)


def _unheard(status: str) -> None:
    """What `up` says once it is up is of no concern to who waits for photos."""
    del status


def _settled(folder: DataFolder, on_status: Callable[[str], None]) -> Server | None:
    """Return the stack that is up, or None when the folder is free.

    One that is about to be up or down is waited for.
    """
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        found = running_server()
        if found is not None or not is_held(folder.path) or time.monotonic() > deadline:
            return found
        on_status("waiting for the stack on this folder, which starts or stops")
        time.sleep(_LOOK_SECONDS)


@contextlib.contextmanager
def _locked(
    folder: DataFolder, name: str, kind: int, on_status: Callable[[str], None]
) -> Iterator[int]:
    lock = os.open(folder.path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(lock, kind, on_status, "waiting for another run")
        yield lock
    finally:
        os.close(lock)


def _lock(lock: int, kind: int, on_status: Callable[[str], None], why: str) -> None:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        on_status(why)
        fcntl.flock(lock, kind)
