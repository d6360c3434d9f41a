"""Check whether a tenant has room for more jobs and deliveries, with counts that are remembered.

A count reads one row per waiting job. Far below the limit it need not be exact, so one count
serves many submissions; near the limit each submission counts in its own transaction. When a batch
in another process fills the queue at once, each process may admit a hundredth of the limit beyond
it, for some seconds.

The end of a job writes its webhook deliveries in its own transaction and cannot be refused, so
submissions are refused instead: the deliveries that unfinished jobs will cause are counted as well.
One count serves the submissions of two seconds, by which other processes can exceed the limit.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from smart_filter_api.ttl_cache import KeyedTtlCache
from smart_filter_shared.ids import Tenant
from smart_filter_shared.tenants.quotas import DeliveryBacklog

# How long a count is used; other processes submit meanwhile, and jobs end.
_JOBS_TTL_SECONDS: Final = 5.0
_DELIVERIES_TTL_SECONDS: Final = 2.0
# Jobs that a process admits with one count, as a share of the limit: ten processes together admit
# no more than the margin.
_ADMITTED_SHARE: Final = 0.01
# A remembered count is used only while the queue is at least this far below its limit.
_MARGIN_SHARE: Final = 0.1
_MIN_MARGIN_JOBS: Final = 64
# Tenants whose counts are remembered, some hundred bytes each.
_MAX_TENANTS: Final = 10_000

Count = TypeVar("Count")


@dataclass(slots=True)
class _Counted(Generic[Count]):
    """What waited at a count, and what was admitted since."""

    waiting: Count
    admitted: int = 0


class QueueCapacity:
    """Remembered counts of tenants' unfinished jobs; for one event loop.

    clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._counted: KeyedTtlCache[Tenant, _Counted[int]] = KeyedTtlCache(
            _JOBS_TTL_SECONDS, most=_MAX_TENANTS, clock=clock
        )

    async def admit(
        self, tenant: Tenant, bound: int, count: Callable[[int], Awaitable[int]]
    ) -> bool:
        """Return whether one more job of a tenant certainly fits; if so, count it as waiting.

        bound: limit of its unfinished jobs; 0: none.  count: returns their number, counted up to
        its argument.  Raises the errors of `count`.
        """
        if not bound:
            return True
        most = bound - max(_MIN_MARGIN_JOBS, int(bound * _MARGIN_SHARE))
        if most <= 0:
            return False

        async def ask() -> _Counted[int]:
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
        """Count again before the next job of a tenant, after a batch was written."""
        self._counted.forget(tenant)


class DeliveryCapacity:
    """Remembered delivery backlogs of tenants; for one event loop.

    clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._counted: KeyedTtlCache[Tenant, _Counted[DeliveryBacklog]] = KeyedTtlCache(
            _DELIVERIES_TTL_SECONDS, most=_MAX_TENANTS, clock=clock
        )

    async def reserve(
        self,
        tenant: Tenant,
        limit: int,
        count: Callable[[int], Awaitable[DeliveryBacklog]],
        *,
        jobs: int,
        single: int,
    ) -> None:
        """Reserve room for the deliveries that a submission will cause.

        limit: maximum number of the tenant's deliveries; 0: none.
        count: returns its backlog, counted up to its argument.
        jobs, single: as in `DeliveryBacklog.count_new`.
        Raises QueueFull, and the errors of `count`.
        """
        if not limit:
            return

        async def ask() -> _Counted[DeliveryBacklog]:
            return _Counted(await count(limit))

        counted = await self._counted.get(tenant, ask)
        new = counted.waiting.count_new(jobs=jobs, single=single)
        counted.waiting.check(new, limit, admitted=counted.admitted)
        counted.admitted += new
