"""Decide whose picture a child decodes next, so that slow pictures leave one child to quick ones.

A picture is quick when it is not large (`time_limits`), and no picture of its tenant has been
decoded for more than two seconds in the last ten minutes, not counted what its child waited for a
core. Backgrounds and logos that tenants add are not quick. One child is reserved for quick
pictures; where no other tenant's come, it decodes all. A picture in it that is not quick, or does
not stay so, is stopped when other tenants' quick ones come. docs/decisions/0024 says why.
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
# The number of the child for quick pictures.
RESERVED: Final = 0
# For so long, a tenant with a slow picture is slow, and a tenant's quick pictures count as coming.
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
    must_be_quick: whether it is refused unless it is quick, because its thread is for quick stages.
    wait_seconds: for a turn.
    """

    tenant: Tenant = OPERATOR
    canceled: threading.Event = field(default_factory=threading.Event)
    is_background: bool = False
    is_trial: bool = False
    must_be_quick: bool = False
    wait_seconds: float = _WAIT_SECONDS


@dataclass(slots=True, eq=False)
class Turn:
    """The place of one picture.

    child: the number of the child that decodes it.  began_at: when it got that child; None while
    it waits.  starved_seconds: how long that child has waited for a core since then.
    """

    requester: Requester
    is_large: bool
    child: int = RESERVED
    began_at: float | None = None
    starved_seconds: float = 0.0


class DecoderTurns:
    """The turns at some children; safe for threads.  clock: monotonic seconds."""

    def __init__(self, children: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._children = range(children)
        self._clock = clock
        self._waiting: list[Turn] = []  # in order of arrival
        self._running: list[Turn] = []
        # When a tenant's last quick picture came, and its last slow one ended.
        self._quick: dict[Tenant, float] = {}
        self._slow: dict[Tenant, float] = {}
        self._changed = threading.Condition()

    def begin(self, requester: Requester, *, is_large: bool = False) -> Turn:
        """Wait for a turn, and return it; `end` must follow.

        is_large: of the picture.
        Raises DecodingStopped when none came in time, or the picture is not quick and must be.
        """
        turn = Turn(requester, is_large)
        with self._changed:
            if self._is_quick(turn):
                self._quick[requester.tenant] = self._clock()
            elif requester.must_be_quick:
                self._slow[requester.tenant] = self._clock()
                raise DecodingStopped("the picture takes longer than its job's size tells")
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
            turn.child = self._list_free(turn)[0]
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
            is_over = requester.is_trial and self._took_long(turn)
            if turn.child == RESERVED and not self._is_quick(turn):
                is_over |= self._has_company(requester.tenant)
        if is_over:
            raise DecodingStopped("decoding the picture takes long, and others come")

    def end(self, turn: Turn) -> None:
        """Give the child of a turn to the next picture."""
        with self._changed:
            self._running.remove(turn)
            if self._took_long(turn):
                tenant = turn.requester.tenant
                self._slow[tenant] = self._clock()
                self._quick.pop(tenant, None)
            self._changed.notify_all()

    def list_slow(self) -> set[Tenant]:
        """Return the tenants with a slow picture in the last minutes, or now."""
        with self._changed:
            self._forget()
            running = (turn.requester.tenant for turn in self._running if self._took_long(turn))
            return {*self._slow, *running}

    @property
    def waiting(self) -> int:
        """How many pictures wait for a turn."""
        with self._changed:
            return len(self._waiting)

    def _is_next(self, turn: Turn) -> bool:
        if turn.requester.canceled.is_set():
            raise DecodingStopped("the picture is not needed any more")
        return next((other for other in self._waiting if self._list_free(other)), None) is turn

    def _list_free(self, turn: Turn) -> list[int]:
        """Return the children that may decode a picture now, the best first."""
        held = {other.child for other in self._running}
        free = [child for child in self._children if child not in held]
        if self._is_quick(turn):
            return free
        has_company = self._has_company(turn.requester.tenant)
        return [child for child in reversed(free) if child != RESERVED or not has_company]

    def _is_quick(self, turn: Turn) -> bool:
        self._forget()
        requester = turn.requester
        is_slow = requester.is_background or requester.tenant in self._slow
        return not (turn.is_large or is_slow or self._took_long(turn))

    def _took_long(self, turn: Turn) -> bool:
        if turn.began_at is None:
            return False
        return self._clock() - turn.began_at - turn.starved_seconds > SLOW_SECONDS

    def _has_company(self, tenant: Tenant) -> bool:
        """Return whether quick pictures of another tenant come here."""
        return bool(self._quick.keys() - {tenant})

    def _forget(self) -> None:
        """Drop the tenants whose pictures came or ended long ago."""
        oldest = self._clock() - _REMEMBERED_SECONDS
        for times in (self._quick, self._slow):
            for gone in [name for name, then in times.items() if then < oldest]:
                del times[gone]
