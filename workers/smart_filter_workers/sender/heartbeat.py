"""The sender's heartbeat: it is known, watched and drained as workers are."""

import os
import socket
from typing import Final

import anyio
from sqlalchemy.ext.asyncio import AsyncEngine

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.ids import new_worker_id
from smart_filter_shared.jobs import presence
from smart_filter_shared.jobs.presence import SENDING, Worker, WorkerState
from smart_filter_shared.settings import EngineSettings
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.sender.sending import Sender

# The database may be what has made it stop.
_LEAVE_SECONDS: Final = 2.0
_log = logger("sender")


class Heartbeat:
    """Says that a sender is there and how it is, and learns whether it is to send no more."""

    def __init__(self, database: AsyncEngine, settings: EngineSettings, sender: Sender) -> None:
        self._database = database
        self._settings = settings
        self._sender = sender
        self._id = new_worker_id()

    async def run(self, stopping: anyio.Event) -> None:
        """Beat until told to stop.  Raises the last of too many defects in a row."""
        beats = SupervisedLoop("heartbeat", every_seconds=self._settings.heartbeat_seconds)
        while True:
            is_last = stopping.is_set()
            with beats.step():
                await self._beat(is_last=is_last)
            if is_last:
                return
            with anyio.move_on_after(beats.pause_seconds):
                await stopping.wait()

    async def leave(self) -> None:
        """Say that the sender is gone; a database that is away learns it from silence."""
        with anyio.move_on_after(_LEAVE_SECONDS):
            try:
                async with sessions.async_transaction(self._database) as connection:
                    await connection.run_sync(presence.leave, self._id)
            except TryAgain as error:
                _log.warning("left in silence", reason=str(error))

    async def _beat(self, *, is_last: bool) -> None:
        sender = self._sender
        present = Worker(
            id=self._id,
            host=socket.gethostname(),
            pid=os.getpid(),
            capabilities=(),
            threads=0,
            wanted=(SENDING,),
            state=_state(sender, is_last=is_last),
            draining=sender.resting,
        )
        async with sessions.async_transaction(self._database) as connection:
            resting = await connection.run_sync(presence.announce, present)
        if resting != sender.resting:
            _log.info("told to send no more" if resting else "told to send again")
        sender.resting = resting


def _state(sender: Sender, *, is_last: bool) -> WorkerState:
    if is_last or sender.resting:
        return WorkerState.DRAINING
    return WorkerState.BUSY if sender.is_busy else WorkerState.READY
