"""Bound the large bodies that are parsed in memory at a time, in turn for all tenants."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

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
    async def hold(self, caller: Caller | None, length: int) -> AsyncIterator[None]:
        """Wait until a body may be parsed, until the block ends; small bodies never wait.

        caller: None for a request without a key.  length: of the body, in bytes.
        """
        if length <= _SMALL_BYTES:
            yield
            return
        async with self._bodies.hold(None if caller is None else caller.tenant, seconds=math.inf):
            yield
