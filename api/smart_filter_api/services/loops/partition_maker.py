"""Create the daily partitions of upcoming days in the API process, which writes submissions.

Workers cannot do it: none may run for weeks, until the first submission.
"""

import time
from collections.abc import Callable

import anyio
from sqlalchemy.ext.asyncio import AsyncEngine

from smart_filter_shared.db import partitions, sessions
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry.logs import logger

_MAKE_EVERY_SECONDS = 3600.0
# A machine that slept past midnight rejects submissions for at most this long after it wakes.
_POLL_SECONDS = 1.0
_log = logger("days")


class PartitionMaker:
    """Creates partitions of upcoming days, at the start and every hour.

    clock: wall-clock seconds; a monotonic timer would stop while the machine sleeps.
    """

    def __init__(self, database: AsyncEngine, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._made_at: float | None = None

    async def run(self) -> None:
        """Create missing partitions until canceled.

        Raises the last error when too many unexpected ones follow each other.
        """
        turns = SupervisedLoop("days", every_seconds=_POLL_SECONDS)
        while True:
            with turns.step():
                await self.look()
            await anyio.sleep(turns.pause_seconds)

    async def look(self) -> None:
        """Create missing partitions, unless it was done within the last hour.

        Raises DatabaseUnavailable.
        """
        now = self._clock()
        if self._made_at is not None and 0 <= now - self._made_at < _MAKE_EVERY_SECONDS:
            return
        async with sessions.async_transaction(self._database) as connection:
            made = await connection.run_sync(partitions.create_upcoming)
        self._made_at = now
        if made:
            _log.info("partitions_created", days=[day.isoformat() for day in made])
