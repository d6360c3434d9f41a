"""How a command that takes long is stopped."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNAL_STATUS = 128  # plus the signal's number, as shells count


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block in order, as Ctrl-C does."""

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        raise SystemExit(_SIGNAL_STATUS + number)

    with _handled((signal.SIGTERM, signal.SIGHUP), end):
        yield


class Stop:
    """Whether the work is to end: in order when asked once, at once when asked again."""

    def __init__(self) -> None:
        self._orderly = threading.Event()
        self._at_once = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether nothing new is to be begun."""
        return self._orderly.is_set()

    @property
    def at_once(self) -> bool:
        """Whether what was begun is to be left as it is."""
        return self._at_once.is_set()

    def request(self) -> None:
        """Ask, and ask again."""
        if self._orderly.is_set():
            self._at_once.set()
        self._orderly.set()

    def leave(self) -> None:
        """Ask for both at once, because there is no use in going on."""
        self._orderly.set()
        self._at_once.set()

    def wait(self, seconds: float) -> None:
        """Let time pass until something new must not be begun; not in the main thread.

        There the signals' handler sets what is waited for, and must not meet its lock held.
        """
        self._orderly.wait(seconds)


@contextmanager
def asked_by_signals(stop: Stop) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP ask for a stop while the block lasts."""

    def ask(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.request()

    with _handled((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), ask):
        yield


@contextmanager
def _handled(
    numbers: tuple[signal.Signals, ...], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, one in before.items():
            signal.signal(number, one)
