"""Whether a tenant's queue surely has room, by a count that this process remembers.

A count reads as many rows as jobs wait. Far from the bound it need not be exact, so one count
serves many submissions; near the bound each submission counts for itself, in its transaction.
A batch in another process that fills the queue at once may let each process admit a hundredth of
the bound beyond it, for some seconds.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from smart_filter_api.remembered import RememberedEach
from smart_filter_shared.ids import Tenant

# A count is used for so long: other processes submit meanwhile, and jobs end.
_SECONDS: Final = 5.0
# Jobs that a process admits by one count, as a share of the bound: ten processes together admit
# no more than the margin.
_ADMITTED_SHARE: Final = 0.01
# So far below its bound a tenant must be to be admitted by a remembered count.
_MARGIN_SHARE: Final = 0.1
_LEAST_MARGIN_JOBS: Final = 64
# Tenants whose counts are remembered: some hundred bytes each.
_TENANTS: Final = 10_000


@dataclass(slots=True)
class _Counted:
    """Jobs that waited at a count, and those that were admitted by it."""

    waiting: int
    admitted: int = 0


class QueueRoom:
    """What is known of the room in tenants' queues; for one event loop.

    clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._counted: RememberedEach[Tenant, _Counted] = RememberedEach(
            _SECONDS, most=_TENANTS, clock=clock
        )

    async def admit(
        self, tenant: Tenant, bound: int, count: Callable[[int], Awaitable[int]]
    ) -> bool:
        """Return whether one more job of a tenant surely fits, and let it count as waiting then.

        bound: of its unfinished jobs; 0: none.  count: returns how many there are, counted up to
        a number.  Raises what counting raises.
        """
        if not bound:
            return True
        most = bound - max(_LEAST_MARGIN_JOBS, int(bound * _MARGIN_SHARE))
        if most <= 0:
            return False

        async def ask() -> _Counted:
            return _Counted(await count(most))

        counted = await self._counted.get(tenant, ask)
        if counted.admitted >= max(1, int(bound * _ADMITTED_SHARE)):
            self._counted.forget(tenant)
            counted = await self._counted.get(tenant, ask)
        if counted.waiting + counted.admitted >= most:
            return False
        counted.admitted += 1
        return True

    def forget(self, tenant: Tenant) -> None:
        """Count again before the next job of a tenant: many were written at once."""
        self._counted.forget(tenant)
