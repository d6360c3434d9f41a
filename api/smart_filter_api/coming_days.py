"""Days to come: whoever takes submissions sees to it that there is a place to write them.

Not left to workers: of those there may be none for weeks, until somebody submits something.
"""

import time
from collections.abc import Callable

import anyio
from sqlalchemy.ext.asyncio import AsyncEngine

from smart_filter_shared.db import days, sessions
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry.logs import logger

_EVERY_SECONDS = 3600.0
# A machine that was asleep past midnight refuses submissions for so long after it has woken.
_LOOK_SECONDS = 1.0
_log = logger("days")


class ComingDays:
    """Makes partitions of days ahead, at the start and every hour.

    clock: wall-clock seconds. A timer would not do: it stands still while a machine sleeps.
    """

    def __init__(self, database: AsyncEngine, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._made_at: float | None = None
        self._scope = anyio.CancelScope()

    def end(self) -> None:
        """Let `run` return."""
        self._scope.cancel()

    async def run(self) -> None:
        """Make what is missing, until the end.  Raises the last of too many defects in a row."""
        turns = SupervisedLoop("days", every_seconds=_LOOK_SECONDS)
        with self._scope:
            while True:
                with turns.step():
                    await self.look()
                await anyio.sleep(turns.pause_seconds)

    async def look(self) -> None:
        """Make what is missing, unless that was looked into within an hour.

        Raises DatabaseUnavailable.
        """
        now = self._clock()
        if self._made_at is not None and 0 <= now - self._made_at < _EVERY_SECONDS:
            return
        async with sessions.async_transaction(self._database) as connection:
            made = await connection.run_sync(days.make_ahead)
        self._made_at = now
        if made:
            _log.info("made days", days=[day.isoformat() for day in made])
