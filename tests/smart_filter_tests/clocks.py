"""Clocks that a test sets, in place of the module `time`."""

from dataclasses import dataclass


@dataclass
class MonotonicClock:
    """A clock that stands still at `now`, in seconds."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now
