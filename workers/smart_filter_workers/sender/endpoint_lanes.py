"""The lanes of receivers: those that are slow or failing take no room from the others."""

from dataclasses import dataclass, field
from typing import Final

# A receiver that takes longer counts as troubled, whatever it answers.
SLOW_SECONDS: Final = 5.0
_MAX_LANES: Final = 10_000


@dataclass(slots=True)
class EndpointLanes:
    """Which receivers are slow or failing, so that they take no room from the others.

    Each process learns this for itself and forgets it when it ends. Times are on a monotonic clock.
    """

    _held_until: dict[str, float] = field(default_factory=dict)

    def record(
        self, lane: str, *, well: bool, seconds: float, now: float, hold_seconds: float = 0.0
    ) -> None:
        """Note how a delivery went, and for how long its receiver wants no other delivery."""
        if well and seconds < SLOW_SECONDS:
            self._held_until.pop(lane, None)
            return
        self._held_until[lane] = max(now + hold_seconds, self._held_until.pop(lane, now))
        if len(self._held_until) > _MAX_LANES:
            del self._held_until[next(iter(self._held_until))]

    @property
    def failing(self) -> frozenset[str]:
        """The lanes whose last delivery did not go well."""
        return frozenset(self._held_until)

    def due_for_retry(self, now: float) -> frozenset[str]:
        """Return the troubled lanes whose hold has ended."""
        return frozenset(lane for lane, until in self._held_until.items() if until <= now)
