"""Bound the lists that a tenant reads at a time in a process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

import anyio

from smart_filter_shared.errors import RateLimited
from smart_filter_shared.ids import Tenant

_RETRY_SECONDS: Final = 5


class ListBudget:
    """The lists that each tenant reads, in this process.

    A list can read many rows, over the database connections of all tenants. Lists beyond the bound
    wait, because programs and pages ask for a few at once.
    most: lists of a tenant at a time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        # A tenant's semaphore exists while a list holds it or waits for it.
        self._semaphores: WeakValueDictionary[Tenant, anyio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, tenant: Tenant, *, seconds: float) -> AsyncIterator[None]:
        """Wait until fewer lists of the tenant are read, and count one until the block ends.

        Raises RateLimited after this many seconds.
        """
        semaphore = self._semaphores.setdefault(tenant, anyio.Semaphore(self._most))
        with anyio.move_on_after(seconds) as waiting:
            await semaphore.acquire()
        if waiting.cancelled_caught:
            raise RateLimited(
                f"at most {self._most} lists of this tenant are read at a time;"
                f" retry in {_RETRY_SECONDS} s",
                retry_after_seconds=_RETRY_SECONDS,
            )
        try:
            yield
        finally:
            semaphore.release()
