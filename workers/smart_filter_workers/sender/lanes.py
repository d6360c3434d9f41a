"""Which receivers are slow or failing, so that these take no room from the others.

What is known is this process's own, and forgotten when it ends: then it learns it again.
"""

from dataclasses import dataclass, field
from typing import Final

# Longer answers are taken for trouble, whatever they say.
SLOW_SECONDS: Final = 5.0
_MOST_KNOWN: Final = 10_000


@dataclass(slots=True)
class Lanes:
    """What the last delivery in each lane has shown; times on a monotonic clock."""

    _held_until: dict[str, float] = field(default_factory=dict)

    def went(
        self, lane: str, *, well: bool, seconds: float, now: float, hold_seconds: float = 0.0
    ) -> None:
        """Note how a delivery went, and for how long its receiver wants no other."""
        if well and seconds < SLOW_SECONDS:
            self._held_until.pop(lane, None)
            return
        self._held_until[lane] = max(now + hold_seconds, self._held_until.pop(lane, now))
        if len(self._held_until) > _MOST_KNOWN:
            del self._held_until[next(iter(self._held_until))]

    @property
    def troubled(self) -> frozenset[str]:
        """Those whose last delivery did not go well."""
        return frozenset(self._held_until)

    def open_again(self, now: float) -> frozenset[str]:
        """Return those of the troubled that want something now."""
        return frozenset(lane for lane, until in self._held_until.items() if until <= now)
