"""Decide whose picture a child decodes next, so that slow pictures leave one child to others.

A picture is slow when it has been decoded for more than two seconds, and then its tenant is slow
for ten minutes. Backgrounds and logos that tenants add count as slow while they are decoded.
Slow pictures together get all children but one; where no other tenant comes, they get all.
A picture that becomes slow while the others' share is used up is stopped, and waits for a turn
among the slow ones. So a child is free for quick pictures at most two seconds after it was taken,
whatever clients send.  docs/decisions/0024 says why.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from smart_filter_shared.errors import DecodingStopped
from smart_filter_shared.ids import OPERATOR, Tenant

# A photo of 12 MP takes at most 0.4 s of a core, noise in the slowest format 1.1 s
# (docs/measurements.md). The same bound makes a stage long for the threads.
SLOW_SECONDS: Final = 2.0
# For so long, a tenant with a slow picture is slow, and a tenant that came counts as coming.
_REMEMBERED_SECONDS: Final = 600.0
# Wait of a stage for a turn; then its thread goes back to the queue. Less than a quick picture can
# wait: each other thread has one before it at most.
_WAIT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Requester:
    """For whom a picture is decoded.

    canceled: set when the picture is not needed any more; its decoding then ends.
    is_background: whether it is a picture that a tenant adds to its stock.
    is_trial: whether it is stopped as soon as it is slow.
    wait_seconds: for a turn.
    """

    tenant: Tenant = OPERATOR
    canceled: threading.Event = field(default_factory=threading.Event)
    is_background: bool = False
    is_trial: bool = False
    wait_seconds: float = _WAIT_SECONDS


@dataclass(slots=True, eq=False)
class Turn:
    """The place of one picture.  began_at: when it got a child; None while it waits."""

    requester: Requester
    began_at: float | None = None


class DecoderTurns:
    """The turns at some children; safe for threads.  clock: monotonic seconds."""

    def __init__(self, children: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._children = children
        self._most_slow = max(1, children - 1)
        self._clock = clock
        self._waiting: list[Turn] = []  # in order of arrival
        self._running: list[Turn] = []
        # When a tenant's last picture ended, and its last slow one.
        self._seen: dict[Tenant, float] = {}
        self._slow: dict[Tenant, float] = {}
        self._changed = threading.Condition()

    def begin(self, requester: Requester) -> Turn:
        """Wait for a turn, and return it; `end` must follow.

        Raises DecodingStopped when none came in time.
        """
        turn = Turn(requester)
        with self._changed:
            self._waiting.append(turn)
            try:
                has_turn = self._changed.wait_for(
                    lambda: self._is_next(turn), requester.wait_seconds
                )
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
            if not has_turn:
                raise DecodingStopped("slower pictures take the decoder's time")
            turn.began_at = self._clock()
            self._running.append(turn)
            return turn

    def restart(self, turn: Turn) -> None:
        """Count the time of a turn from now on: its child has been started."""
        with self._changed:
            turn.began_at = self._clock()

    def check(self, turn: Turn) -> None:
        """Raise DecodingStopped when a running picture must give up its child."""
        requester = turn.requester
        if requester.canceled.is_set():
            raise DecodingStopped("the picture is not needed any more")
        with self._changed:
            if not self._took_long(turn):
                return
            others = sum(self._is_slow(other) for other in self._running if other is not turn)
            if not requester.is_trial and (
                others < self._most_slow or not self._has_company(requester.tenant)
            ):
                return
        raise DecodingStopped("decoding the picture takes long, and others wait")

    def end(self, turn: Turn) -> None:
        """Give the child of a turn to the next picture."""
        with self._changed:
            self._running.remove(turn)
            now, tenant = self._clock(), turn.requester.tenant
            self._seen[tenant] = now
            if self._took_long(turn):
                self._slow[tenant] = now
            self._changed.notify_all()

    def list_slow(self) -> list[Tenant]:
        """Return the tenants with a slow picture in the last minutes."""
        with self._changed:
            self._forget()
            return list(self._slow)

    @property
    def waiting(self) -> int:
        """How many pictures wait for a turn."""
        with self._changed:
            return len(self._waiting)

    def _is_next(self, turn: Turn) -> bool:
        if turn.requester.canceled.is_set():
            raise DecodingStopped("the picture is not needed any more")
        if len(self._running) >= self._children:
            return False
        return next((other for other in self._waiting if self._may_begin(other)), None) is turn

    def _may_begin(self, turn: Turn) -> bool:
        if not self._is_slow(turn) or not self._has_company(turn.requester.tenant):
            return True
        return sum(map(self._is_slow, self._running)) < self._most_slow

    def _is_slow(self, turn: Turn) -> bool:
        slow_at = self._slow.get(turn.requester.tenant)
        return (
            turn.requester.is_background
            or self._took_long(turn)
            or (slow_at is not None and self._clock() - slow_at <= _REMEMBERED_SECONDS)
        )

    def _took_long(self, turn: Turn) -> bool:
        return turn.began_at is not None and self._clock() - turn.began_at > SLOW_SECONDS

    def _has_company(self, tenant: Tenant) -> bool:
        """Return whether another tenant's pictures come here."""
        self._forget()
        turns = (*self._waiting, *self._running)
        return bool({*self._seen, *(other.requester.tenant for other in turns)} - {tenant})

    def _forget(self) -> None:
        """Drop the tenants whose pictures ended long ago."""
        oldest = self._clock() - _REMEMBERED_SECONDS
        for ended_at in (self._seen, self._slow):
            for gone in [name for name, then in ended_at.items() if then < oldest]:
                del ended_at[gone]
