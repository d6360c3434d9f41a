"""Signals that stop a long command."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNAL_STATUS = 128  # plus the signal's number, the shells' convention
_LOOK_SECONDS = 0.1


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
    """Stop request: the first finishes the work in progress, the second stops at once.

    requested: whether no new work must be started.  at_once: whether work in progress must be
    abandoned.  Plain fields: a signal handler would deadlock on the lock of an event.
    """

    def __init__(self) -> None:
        self.requested = self.at_once = False

    def request(self) -> None:
        """Request a stop; a second call requests a stop at once."""
        self.at_once = self.requested
        self.requested = True

    def leave(self) -> None:
        """Request a stop at once, because continuing is useless."""
        self.requested = self.at_once = True

    def wait(self, seconds: float) -> None:
        """Wait until a stop is requested or the time is over."""
        ends_at = time.monotonic() + seconds
        while not self.requested and (left := ends_at - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_SECONDS))


@contextmanager
def stop_on_signals(stop: StopFlag) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP request a stop while the block lasts."""

    def ask(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.request()

    with handle_signals((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), ask):
        yield
