"""Count refused requests, and write them to the security log once a minute.

A row stands for all requests of a minute with the same event, key and network, and each tenant has
only a few rows a minute, so that refused requests cannot fill the table.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import anyio
from sqlalchemy.ext.asyncio import AsyncEngine

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.ids import Tenant
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.tenants import audit_log
from smart_filter_shared.tenants.audit_log import AuditEntry

# Time between two writes, and so the resolution of the log.
_WRITE_SECONDS: Final = 60.0
# How often to look whether that time has passed.
_LOOK_SECONDS: Final = 5.0
# Longest time of the last write, while the process ends.
_LAST_SECONDS: Final = 5.0
# Rows of a tenant in each write; further keys and networks share one row of each event.
_MAX_ROWS: Final = 16


class RefusalLog:
    """The refused requests of a process that are not yet written.

    clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[Tenant, Counter[AuditEntry]] = {}
        self._due_at = clock() + _WRITE_SECONDS
        self._writing = anyio.Lock()

    def count(self, entry: AuditEntry, number: int = 1) -> None:
        """Count refused requests; the entry's own `count` is 1."""
        counts = self._counts.setdefault(entry.tenant, Counter())
        if entry not in counts and len(counts) >= _MAX_ROWS:
            entry = replace(entry, key_id=None, network=None)
        counts[entry] += number

    async def run(self, database: AsyncEngine) -> None:
        """Write once a minute until canceled, and then what is left.

        Raises the last error when too many unexpected ones follow each other.
        """
        turns = SupervisedLoop("refusals", every_seconds=_LOOK_SECONDS)
        try:
            while True:
                with turns.step():
                    await self.write_due(database)
                await anyio.sleep(turns.pause_seconds)
        finally:
            with anyio.move_on_after(_LAST_SECONDS, shield=True), turns.step():
                await self._write(database)

    async def write_due(self, database: AsyncEngine) -> None:
        """Write what was counted if a minute has passed since the last write.

        Waits for a write under way, so that a reader finds its rows.
        What cannot be written stays counted.  Raises DatabaseUnavailable.
        """
        async with self._writing:
            if self._clock() < self._due_at:
                return
            self._due_at = self._clock() + _WRITE_SECONDS
            await self._write(database)

    async def _write(self, database: AsyncEngine) -> None:
        entries = self.take()
        if not entries:
            return
        try:
            async with sessions.async_transaction(database) as connection:
                await connection.run_sync(audit_log.write, entries)
        except (TryAgain, anyio.get_cancelled_exc_class()):
            for entry in entries:
                self.count(replace(entry, count=1), entry.count)
            raise

    def take(self) -> list[AuditEntry]:
        """Return what was counted since the last call."""
        counted, self._counts = self._counts, {}
        return [
            replace(entry, count=number)
            for counts in counted.values()
            for entry, number in counts.items()
        ]
