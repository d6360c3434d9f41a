"""Free what a request has claimed in the database when it ends without an answer.

Such a claim blocks equal requests until it counts as abandoned, a minute later. The database may
be away just then, so a claim that cannot be freed at once is freed as soon as it answers.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import anyio
from sqlalchemy import TextClause

from smart_filter_api.services.database import Database
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.supervision import SupervisedLoop

# Claims that wait for the database. Each took a request; the oldest are forgotten, and abandoned.
_MOST_WAITING: Final = 1000
# A claim without an answer is abandoned after this time: no request takes longer once its body has
# arrived, so its process has died.
ABANDONED_SECONDS: Final = 60
_EVERY_SECONDS: Final = 1.0


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
