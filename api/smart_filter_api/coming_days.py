"""Days to come: whoever takes submissions sees to it that there is a place to write them.

Not left to workers: of those there may be none for weeks, until somebody submits something.
"""

import anyio
from sqlalchemy.ext.asyncio import AsyncEngine

from smart_filter_shared.db import days, sessions
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry.logs import logger

_EVERY_SECONDS = 3600.0
_log = logger("days")


class ComingDays:
    """Makes partitions of days ahead, at the start and every hour."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database
        self._scope = anyio.CancelScope()

    def end(self) -> None:
        """Let `run` return."""
        self._scope.cancel()

    async def run(self) -> None:
        """Make what is missing, until the end.  Raises the last of too many defects in a row."""
        turns = SupervisedLoop("days", every_seconds=_EVERY_SECONDS)
        with self._scope:
            while True:
                with turns.step():
                    await self._make()
                await anyio.sleep(turns.pause_seconds)

    async def _make(self) -> None:
        async with sessions.async_transaction(self._database) as connection:
            made = await connection.run_sync(days.make_ahead)
        if made:
            _log.info("made days", days=[day.isoformat() for day in made])
