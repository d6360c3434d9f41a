"""Limit the webhook deliveries of a tenant that have not ended.

The end of a job writes its deliveries in its own transaction and cannot be refused, so submissions
are refused instead: the deliveries that unfinished jobs will cause are counted as well. One count
serves the submissions of two seconds, by which other processes can exceed the limit.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from smart_filter_api.ttl_cache import KeyedTtlCache
from smart_filter_shared.ids import Tenant
from smart_filter_shared.tenants.quotas import DeliveryBacklog

_COUNT_TTL_SECONDS: Final = 2.0
# Tenants whose counts are remembered, some hundred bytes each.
_MAX_TENANTS: Final = 10_000


@dataclass(slots=True)
class _CountedBacklog:
    """A backlog, and the deliveries that were admitted since it was counted."""

    backlog: DeliveryBacklog
    admitted: int = 0


class DeliveryCapacity:
    """Remembered delivery backlogs of tenants; for one event loop.

    clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._counted: KeyedTtlCache[Tenant, _CountedBacklog] = KeyedTtlCache(
            _COUNT_TTL_SECONDS, most=_MAX_TENANTS, clock=clock
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

        async def ask() -> _CountedBacklog:
            return _CountedBacklog(await count(limit))

        counted = await self._counted.get(tenant, ask)
        new = counted.backlog.count_new(jobs=jobs, single=single)
        counted.backlog.check(new, limit, admitted=counted.admitted)
        counted.admitted += new
