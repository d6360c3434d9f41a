"""The database of a process: transactions, reads and lists, each with a time limit; lost claims.

A claim that a request made and could not free blocks equal requests until it counts as abandoned, a
minute later. It is freed as soon as the database answers.
"""

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Concatenate, Final, ParamSpec, Protocol, TypeVar

import anyio
import anyio.lowlevel
from fastapi import Request
from sqlalchemy import Connection, TextClause
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from smart_filter_api.limits import DatabaseLimit
from smart_filter_shared.db import sessions
from smart_filter_shared.db.sessions import Sending
from smart_filter_shared.errors import (
    DatabaseUnavailable,
    ListTooSlow,
    OutcomeUnknown,
    StatementTimedOut,
    TryAgain,
)
from smart_filter_shared.ids import Tenant
from smart_filter_shared.supervision import SupervisedLoop

_LIST_RETRY_SECONDS: Final = 5

Given = ParamSpec("Given")
Result = TypeVar("Result")

# Claims that wait for the database. Each took a request; the oldest are forgotten, and abandoned.
_MOST_WAITING: Final = 1000
# A claim without an answer is abandoned after this time: no request takes longer once its body has
# arrived, so its process has died.
ABANDONED_SECONDS: Final = 60
_EVERY_SECONDS: Final = 1.0


class CallWithConnection(Protocol):
    """Calls a function with a connection, and returns its result."""

    async def __call__(
        self,
        function: Callable[Concatenate[Connection, Given], Result],
        /,
        *args: Given.args,
        **options: Given.kwargs,
    ) -> Result:
        """Call the function.  Raises DatabaseUnavailable, and what the function raises."""


@dataclass(frozen=True, slots=True)
class Database:
    """The connections of a process.

    engine, reader, lister: transactions; single statements; lists, whose statements may be slow.
    limit: limits lists and writes of batches.
    patience_seconds: time limit of a connection's block, after which the server counts as
    unavailable.
    """

    engine: AsyncEngine
    reader: AsyncEngine
    lister: AsyncEngine
    limit: DatabaseLimit
    patience_seconds: float

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that commits when the block succeeds, else rolls back.

        Raises DatabaseUnavailable, also when the whole block takes too long: a network that
        drops packets silently would block the request forever. Raises OutcomeUnknown when the
        COMMIT was sent and has no answer.
        """
        sending = Sending()
        async with (
            limit_seconds(self.patience_seconds, sending),
            sessions.async_transaction(self.engine, sending) as connection,
        ):
            yield connection

    @asynccontextmanager
    async def writing_batch(self, tenant: Tenant) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that writes a whole batch of a tenant.

        Raises RateLimited or ServiceFull when other batches have not been written in time,
        DatabaseUnavailable.
        """
        async with self.limit.write_batch(tenant), self.transaction() as connection:
            yield connection

    @asynccontextmanager
    async def listing(
        self, tenant: Tenant, request: Request | None = None
    ) -> AsyncIterator[AsyncConnection]:
        """Open a connection for a list of a tenant, which may read many rows.

        request: as in `TenantSemaphore.hold`.
        Raises ListTooSlow when a statement takes longer than `sessions.LISTING_SECONDS`,
        RateLimited or ServiceFull when other lists have not ended in time, DatabaseUnavailable.
        """
        async with self.limit.list_rows(tenant, request):
            try:
                async with (
                    limit_seconds(self.patience_seconds),
                    sessions.async_transaction(self.lister) as connection,
                ):
                    yield connection
            except DatabaseUnavailable as error:
                # A statement took too long, or many did together.
                if not isinstance(error, StatementTimedOut) and not isinstance(
                    error.__cause__, TimeoutError
                ):
                    raise
                raise ListTooSlow(
                    f"the list takes longer than {sessions.LISTING_SECONDS} s; narrow it, such as"
                    f" by created_after, or retry in {_LIST_RETRY_SECONDS} s",
                    retry_after_seconds=_LIST_RETRY_SECONDS,
                ) from error

    async def query(
        self,
        function: Callable[Concatenate[Connection, Given], Result],
        /,
        *args: Given.args,
        **options: Given.kwargs,
    ) -> Result:
        """Call a function with a connection on which each statement is its own transaction.

        It saves the two round trips of BEGIN and COMMIT.  Raises DatabaseUnavailable, as
        `transaction` does; OutcomeUnknown when a statement was sent and has no answer.
        """
        sending = Sending()
        async with limit_seconds(self.patience_seconds, sending):
            return await sessions.async_query_sending(
                self.reader, sending, function, *args, **options
            )

    async def transact(
        self,
        function: Callable[Concatenate[Connection, Given], Result],
        /,
        *args: Given.args,
        **options: Given.kwargs,
    ) -> Result:
        """Call a function in a transaction, and return its result."""
        async with self.transaction() as connection:
            return await connection.run_sync(function, *args, **options)


@asynccontextmanager
async def limit_seconds(seconds: float, sending: Sending | None = None) -> AsyncIterator[None]:
    """Limit the time of a block that uses a connection.

    sending: of the block, if it writes.  Raises DatabaseUnavailable; OutcomeUnknown once the block
    may have committed.

    A client that disconnects cancels all awaits of its request, including those in which
    SQLAlchemy returns the connection to the pool; the connection would be lost until garbage
    collection. The block is therefore shielded, and the cancellation takes effect after it.
    """
    await anyio.lowlevel.checkpoint_if_cancelled()
    try:
        with anyio.fail_after(seconds, shield=True):
            yield
    except TimeoutError as error:
        kind = OutcomeUnknown if sending and sending.may_commit else DatabaseUnavailable
        raise kind(f"no answer within {seconds} s") from error


@dataclass(frozen=True, slots=True)
class _Claim:
    """A claim to free.  lost_at: on the monotonic clock."""

    statement: TextClause
    row: Mapping[str, object]
    lost_at: float


class ClaimRelease:
    """Frees claims of a process; for one event loop.  clock: monotonic seconds."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._waiting: deque[_Claim] = deque(maxlen=_MOST_WAITING)

    async def free(self, statement: TextClause, row: Mapping[str, object]) -> None:
        """Free a claim now, or as soon as the database answers.

        statement: gets the row, and `since_seconds`, how long ago the claim was lost.
        """
        claim = _Claim(statement, row, self._clock())
        with anyio.CancelScope(shield=True):
            try:
                await self._free(claim)
            except TryAgain:
                self._waiting.append(claim)

    async def run(self) -> None:
        """Free the claims that wait, until the task is canceled."""
        loop = SupervisedLoop("claims", every_seconds=_EVERY_SECONDS, most_failures=None)
        while True:
            await anyio.sleep(loop.pause_seconds)
            with loop.step():
                while self._waiting:
                    claim = self._waiting[0]
                    if self._clock() - claim.lost_at < ABANDONED_SECONDS:
                        await self._free(claim)
                    if self._waiting[0] is claim:  # else it was forgotten meanwhile
                        self._waiting.popleft()

    async def _free(self, claim: _Claim) -> None:
        row = {**claim.row, "since_seconds": self._clock() - claim.lost_at}
        await self._database.transact(lambda connection: connection.execute(claim.statement, row))
