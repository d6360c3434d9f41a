"""Compute the pause before a child that died is restarted."""

from dataclasses import dataclass

_HEALTHY_SECONDS = 2.0
_FIRST_SECONDS = 0.1
_MAX_SECONDS = 10.0


@dataclass(slots=True)
class Backoff:
    """The restart backoff of one child.

    A child that lived for at least 2 s is restarted at once. After a shorter life the pause is
    0.1 s, then twice as long each time, at most 10 s, without an end.
    """

    _seconds: float = 0.0

    def after(self, lived_seconds: float) -> float:
        """Return the seconds to wait after the child died, `lived_seconds` after its start."""
        if lived_seconds >= _HEALTHY_SECONDS:
            self._seconds = 0.0
        else:
            self._seconds = min(_MAX_SECONDS, max(_FIRST_SECONDS, 2 * self._seconds))
        return self._seconds
