"""Bound the work that holds database connections for long, of all tenants and of each."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Final
from weakref import WeakValueDictionary

import anyio
from fastapi import Request

from smart_filter_api.limits.disconnect import end_on_disconnect
from smart_filter_shared.errors import RateLimited, ServiceFull
from smart_filter_shared.ids import Tenant

_RETRY_SECONDS: Final = 5


class TenantSemaphore:
    """Bounds one kind of work in this process; each tenant's requests wait in order.

    work: the kind, for messages.  most: at a time.  most_each: of one tenant at a time.
    """

    def __init__(self, work: str, *, most: int, most_each: int) -> None:
        self._work = work
        self._most = most
        self._most_each = most_each
        self._all = anyio.Semaphore(most)
        # A tenant's semaphore exists while a request holds it or waits for it.
        self._by_tenant: WeakValueDictionary[Tenant | None, anyio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(
        self, tenant: Tenant | None, *, seconds: float, request: Request | None = None
    ) -> AsyncIterator[None]:
        """Wait until the work may begin, and count it until the block ends.

        request: its client's leaving ends the wait; None: nothing does.
        Raises ClientDisconnect, or, after this many seconds, RateLimited when the tenant is at its
        limit, or ServiceFull when all tenants together are at theirs.
        """
        semaphore = self._by_tenant.setdefault(tenant, anyio.Semaphore(self._most_each))
        is_counted = False
        try:
            wait = nullcontext() if request is None else end_on_disconnect(request)
            with anyio.move_on_after(seconds) as waiting:
                async with wait:
                    await semaphore.acquire()
                    is_counted = True
                    await self._all.acquire()
            if waiting.cancelled_caught:
                raise self._refusal(of_tenant=not is_counted)
            try:
                yield
            finally:
                self._all.release()
        finally:
            if is_counted:
                semaphore.release()

    def _refusal(self, *, of_tenant: bool) -> RateLimited | ServiceFull:
        refusal = RateLimited if of_tenant else ServiceFull
        whose, most = ("this tenant", self._most_each) if of_tenant else ("all tenants", self._most)
        return refusal(
            f"too many {self._work} of {whose} at a time, the limit is {most};"
            f" retry in {_RETRY_SECONDS} s",
            retry_after_seconds=_RETRY_SECONDS,
        )


class DatabaseLimit:
    """Bounds lists and writes of whole batches, so that other requests have a connection.

    Both handle many rows, over the database connections of all tenants. Requests beyond a bound
    wait, because programs and pages send a few at once, and hold no connection while they wait.
    connections: of this process.  seconds: the longest wait.
    """

    def __init__(self, connections: int, *, seconds: float) -> None:
        self._seconds = seconds
        self._lists = TenantSemaphore("lists", most=connections - 1, most_each=connections // 2)
        # A tenant's batches wait for each other's check of the quota anyway.
        self._writes = TenantSemaphore("writes of batches", most=connections // 2, most_each=1)

    def list_rows(
        self, tenant: Tenant, request: Request | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Count a list of a tenant; request, and what it raises: as for `TenantSemaphore.hold`."""
        return self._lists.hold(tenant, seconds=self._seconds, request=request)

    @asynccontextmanager
    async def write_batch(self, tenant: Tenant) -> AsyncIterator[None]:
        """Count a write of a batch of a tenant.  Raises RateLimited, ServiceFull."""
        # It counts as a list too, so that both together leave the connection.
        async with self._writes.hold(tenant, seconds=self._seconds), self.list_rows(tenant):
            yield
