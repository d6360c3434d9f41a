"""SIGINT and SIGTERM as a value to look at, instead of an exception that can strike anywhere."""

import select
import signal
import socket
from types import FrameType, TracebackType
from typing import Self

_WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
_DRAIN_BYTES = 4096


class StopRequest:
    """Whether somebody asked this process to stop, and a wait that such a request cuts short.

    Inside `with StopRequest() as stop`, in the main thread, SIGINT and SIGTERM are counted:
    the first is a request, the second means now. The end of a child ends a wait too.
    A block that a request cuts short, by way of `check`, ends quietly.
    Outside of `with` it never hears anything and its waits last their full time.
    """

    def __init__(self) -> None:
        self._asked = 0
        self._ear: socket.socket | None = None
        self._mouth: socket.socket | None = None
        self._wakeup_before = -1
        self._handlers_before: list[object] = []

    def __enter__(self) -> Self:
        self._ear, self._mouth = socket.socketpair()
        self._ear.setblocking(False)
        self._mouth.setblocking(False)
        # The interpreter writes a byte here whatever it is doing, so no wait sleeps through it.
        self._wakeup_before = signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        self._handlers_before = [signal.signal(number, self._hear) for number in _WATCHED]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        for number, handler in zip(_WATCHED, self._handlers_before, strict=True):
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() returned
        signal.set_wakeup_fd(self._wakeup_before)
        for end in (self._ear, self._mouth):
            if end is not None:
                end.close()
        self._ear = self._mouth = None
        return self.requested and kind is not None and issubclass(kind, KeyboardInterrupt)

    @property
    def requested(self) -> bool:
        """Somebody asked for an orderly stop."""
        return self._asked >= 1

    @property
    def forced(self) -> bool:
        """Somebody asked twice: there is no more time for order."""
        return self._asked > 1

    def check(self) -> None:
        """Go on, or raise KeyboardInterrupt when somebody asked to stop."""
        if self.requested:
            raise KeyboardInterrupt

    def wait(self, seconds: float) -> None:
        """Return after that time, or sooner when a signal arrives or a child ends."""
        listening = [] if self._ear is None else [self._ear]
        if select.select(listening, [], [], max(0.0, seconds))[0] and self._ear is not None:
            self._ear.recv(_DRAIN_BYTES)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number != signal.SIGCHLD:
            self._asked += 1
