"""How long to wait before a child that died is started again."""

from dataclasses import dataclass

_HEALTHY_SECONDS = 2.0
_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 10.0


@dataclass(slots=True)
class Backoff:
    """Patience with one child: none for an accident, more for one that keeps dying.

    A child that lived for 2 s had an accident and is started again at once. One that died
    sooner waits 0.1 s, then twice as long each time, 10 s at most; it is never given up.
    """

    _seconds: float = 0.0

    def after(self, lived_seconds: float) -> float:
        """Seconds to wait now that the child has died, `lived_seconds` after its start."""
        if lived_seconds >= _HEALTHY_SECONDS:
            self._seconds = 0.0
        else:
            self._seconds = min(_LONGEST_SECONDS, max(_FIRST_SECONDS, 2 * self._seconds))
        return self._seconds
