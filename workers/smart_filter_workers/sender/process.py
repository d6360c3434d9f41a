"""The process `smart-filter sender`: runs the delivery loop and its heartbeat."""

import os
import signal
import socket
from typing import Final

import anyio
from sqlalchemy.ext.asyncio import AsyncEngine

from smart_filter_shared.config.settings import EngineSettings, Settings
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import SetupFailed, TryAgain
from smart_filter_shared.ids import new_worker_id
from smart_filter_shared.queue import worker_registry
from smart_filter_shared.queue.worker_registry import SENDER_ROLE, Worker, WorkerState
from smart_filter_shared.security.secretbox import SecretBox
from smart_filter_shared.supervision import SupervisedLoop, Watchdog
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.telemetry.tracing import NULL_TRACES, Traces
from smart_filter_workers.sender.delivery_loop import Render, Sender, SendLimits
from smart_filter_workers.sender.http_client import HttpClient, NameResolver

_DATABASE_CONNECTIONS: Final = 2
# Limits the wait for a database that may itself be the reason for the stop.
_LEAVE_SECONDS: Final = 2.0
_log = logger("sender")


def serve(settings: Settings, *, render: Render, traces: Traces = NULL_TRACES) -> None:
    """Send until SIGINT or SIGTERM.

    traces: receives the spans of deliveries; closed at the end.
    Raises SetupFailed when no key is set that opens the secrets of webhooks.
    """
    keys = [key.get_secret_value() for key in settings.secrets.key]
    if not keys:
        raise SetupFailed(
            "SMART_FILTER_SECRETS_KEY is not set; set it to the same value as for the API, or use "
            "`smart-filter up`, which generates one"
        )
    try:
        anyio.run(_serve, settings, SecretBox(keys), render, traces)
    finally:
        traces.close()


async def _serve(settings: Settings, seal: SecretBox, render: Render, traces: Traces) -> None:
    database = sessions.open_async_engine(settings.database, connections=_DATABASE_CONNECTIONS)
    pace = SendLimits(drain_seconds=settings.engine.drain_seconds)
    names = NameResolver()
    posting = HttpClient(settings.outbound, resolve=names.resolve)
    stopping = anyio.Event()
    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with anyio.create_task_group() as tasks:
                sender = Sender(
                    database, posting, seal=seal, render=render, pace=pace, traces=traces
                )
                heartbeat = _Heartbeat(database, settings.engine, sender)
                tasks.start_soon(sender.run, stopping)
                tasks.start_soon(heartbeat.run, stopping)
                tasks.start_soon(_watch, stopping)
                async for _ in signals:
                    stopping.set()
                    break
        await heartbeat.leave()
    finally:
        await names.close()
        await database.dispose()


async def _watch(stopping: anyio.Event) -> None:
    """Let the process end when its event loop is stuck, until `stopping` is set."""
    watchdog = Watchdog()
    watchdog.allow()
    try:
        while not stopping.is_set():
            watchdog.feed()
            with anyio.move_on_after(watchdog.pause_seconds):
                await stopping.wait()
    finally:
        watchdog.stop()


class _Heartbeat:
    """Publishes a sender's state as workers do, and learns whether an operator drains it."""

    def __init__(self, database: AsyncEngine, settings: EngineSettings, sender: Sender) -> None:
        self._database = database
        self._settings = settings
        self._sender = sender
        self._id = new_worker_id()

    async def run(self, stopping: anyio.Event) -> None:
        """Beat until `stopping` is set.  Raises the last of too many errors in a row."""
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
        """Deregister the sender; if the database is away, its silence tells instead."""
        with anyio.move_on_after(_LEAVE_SECONDS):
            try:
                async with sessions.async_transaction(self._database) as connection:
                    await connection.run_sync(worker_registry.deregister, self._id)
            except TryAgain as error:
                _log.warning("deregister_failed", reason=str(error))

    async def _beat(self, *, is_last: bool) -> None:
        sender = self._sender
        present = Worker(
            id=self._id,
            host=socket.gethostname(),
            pid=os.getpid(),
            capabilities=(),
            threads=0,
            wanted=(SENDER_ROLE,),
            state=_state(sender, is_last=is_last),
            draining=sender.resting,
        )
        async with sessions.async_transaction(self._database) as connection:
            standing = await connection.run_sync(worker_registry.record_heartbeat, present)
        resting = standing.must_drain
        if resting != sender.resting:
            _log.info("sender_drained" if resting else "sender_resumed")
        sender.resting = resting


def _state(sender: Sender, *, is_last: bool) -> WorkerState:
    if is_last or sender.resting:
        return WorkerState.DRAINING
    return WorkerState.BUSY if sender.is_busy else WorkerState.READY
