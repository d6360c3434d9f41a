"""Turn SIGINT and SIGTERM into a flag to poll, instead of an exception at any point."""

import select
import signal
import socket
from types import FrameType, TracebackType
from typing import Self

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
