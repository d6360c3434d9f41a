"""Report what callers do, and which requests were refused, to the security log of their tenant.

A row of refusals stands for all requests of a minute with the same event, key and network, and each
tenant has only a few rows a minute, so that refused requests cannot fill the table.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import anyio
from fastapi import Request
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Scope

from smart_filter_api.auth.api_keys import Caller
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.ids import OPERATOR, Tenant
from smart_filter_shared.security.client_network import client_network
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.tenants import audit_log
from smart_filter_shared.tenants.audit_log import Actor, AuditEntry, AuditEvent

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


_EVENT_OF_PROBLEM: Final = {
    "unauthorized": AuditEvent.KEY_REFUSED,
    "scope": AuditEvent.SCOPE_REFUSED,
    "csrf": AuditEvent.CSRF_REFUSED,
}
_KEY_HEADERS: Final = (b"authorization", b"x-api-key")
_SIGN_IN: Final = ("POST", "/v1/session")


def record(
    connection: Connection,
    request: Request,
    caller: Caller,
    event: AuditEvent,
    subject: object = None,
    *,
    tenant: Tenant | None = None,
    count: int = 1,
) -> None:
    """Log what a caller does, in the transaction that does it; others: as in `audit_log.record`."""
    audit_log.record(
        connection, actor_of(request, caller), event, subject, tenant=tenant, count=count
    )


def actor_of(request: Request, caller: Caller) -> Actor:
    """Return the actor that the log names for a request."""
    return Actor(caller.tenant, caller.key_id, client_network(request.scope))


def count_refusal(refusals: RefusalLog, scope: Scope, problem: str | None) -> None:
    """Count a request that was refused for its key, scope or origin; others are not counted.

    problem: the code of the answer; None for a request that was not refused.
    """
    event = None if problem is None else _EVENT_OF_PROBLEM.get(problem)
    if event is None:
        return
    if event is AuditEvent.KEY_REFUSED:
        if (scope["method"], scope["path"]) == _SIGN_IN:
            event = AuditEvent.SIGN_IN_FAILED
        elif not any(name in _KEY_HEADERS for name, _ in scope["headers"]):
            return  # a page that asks whether it is signed in
    caller: Caller | None = scope["state"]["caller"]
    refusals.count(
        AuditEntry(
            OPERATOR if caller is None else caller.tenant,
            event,
            key_id=None if caller is None else caller.key_id,
            network=client_network(scope),
        )
    )
