"""Signals that stop a long command."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNAL_STATUS = 128  # plus the signal's number, the shells' convention


@contextmanager
def handle_signals(
    numbers: tuple[signal.Signals, ...], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """Handle these signals inside the block."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block by an exception, as Ctrl-C does."""

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        raise SystemExit(_SIGNAL_STATUS + number)

    with handle_signals((signal.SIGTERM, signal.SIGHUP), end):
        yield


class StopFlag:
    """Stop request: the first finishes the work in progress, the second stops at once."""

    def __init__(self) -> None:
        self._orderly = threading.Event()
        self._at_once = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether no new work must be started."""
        return self._orderly.is_set()

    @property
    def at_once(self) -> bool:
        """Whether work in progress must be abandoned."""
        return self._at_once.is_set()

    def request(self) -> None:
        """Request a stop; a second call requests a stop at once."""
        if self._orderly.is_set():
            self._at_once.set()
        self._orderly.set()

    def leave(self) -> None:
        """Request a stop at once, because continuing is useless."""
        self._orderly.set()
        self._at_once.set()

    def wait(self, seconds: float) -> None:
        """Wait until a stop is requested or the time is over; not in the main thread.

        There the signal handler sets the event, and would deadlock on its held lock.
        """
        self._orderly.wait(seconds)


@contextmanager
def stop_on_signals(stop: StopFlag) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP request a stop while the block lasts."""

    def ask(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.request()

    with handle_signals((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), ask):
        yield
