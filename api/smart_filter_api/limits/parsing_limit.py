"""Bound the large bodies that are parsed in memory at a time, in turn for all tenants."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import Request

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.limits.database_limit import TenantSemaphore

# A body up to this length is parsed at once: most are, and it takes a few MB and milliseconds.
_SMALL_BYTES: Final = 65_536


class ParsingLimit:
    """Has this process parse one large body at a time, which may take 150 MB for a moment.

    A tenant's bodies wait for each other before one of them waits for other tenants', so each
    tenant waits for at most one body of every other.
    """

    def __init__(self) -> None:
        self._bodies = TenantSemaphore("large bodies", most=1, most_each=1)

    @asynccontextmanager
    async def hold(self, request: Request, length: int) -> AsyncIterator[None]:
        """Wait until a body may be parsed, until the block ends; small bodies never wait.

        request: its body was read.  length: of the body, in bytes.
        Raises ClientDisconnect when its client leaves during the wait.
        """
        if length <= _SMALL_BYTES:
            yield
            return
        caller: Caller | None = request.state.caller
        tenant = None if caller is None else caller.tenant
        async with self._bodies.hold(tenant, seconds=math.inf, request=request):
            yield
