"""The process `smart-filter sender`: runs the delivery loop and its heartbeat."""

import signal
from typing import Final

import anyio

from smart_filter_shared.config.settings import Settings
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.security.secretbox import SecretBox
from smart_filter_shared.telemetry.tracing import NULL_TRACES, Traces
from smart_filter_workers.sender.delivery_loop import Render, Sender, SendLimits
from smart_filter_workers.sender.heartbeat import Heartbeat
from smart_filter_workers.sender.http_client import HttpClient

_DATABASE_CONNECTIONS: Final = 2


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
    posting = HttpClient(settings.outbound, at_once=pace.most)
    stopping = anyio.Event()
    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with anyio.create_task_group() as tasks:
                sender = Sender(
                    database, posting, seal=seal, render=render, pace=pace, traces=traces
                )
                heartbeat = Heartbeat(database, settings.engine, sender)
                tasks.start_soon(sender.run, stopping)
                tasks.start_soon(heartbeat.run, stopping)
                async for _ in signals:
                    stopping.set()
                    break
        await heartbeat.leave()
    finally:
        await database.dispose()
