"""The process `smart-filter sender`: the loop with all that it needs, until told to stop."""

import signal
from typing import Final

import anyio

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.sealing import Seal
from smart_filter_shared.settings import Settings
from smart_filter_shared.telemetry.tracing import UNTOLD, Traces
from smart_filter_workers.sender.heartbeat import Heartbeat
from smart_filter_workers.sender.posting import Posting
from smart_filter_workers.sender.sending import Pace, Render, Sender

_DATABASE_CONNECTIONS: Final = 2


def serve(settings: Settings, *, render: Render, traces: Traces = UNTOLD) -> None:
    """Send until SIGINT or SIGTERM.

    traces: where it tells what it sent; closed in the end.
    Raises SetupFailed when no key is set that opens the secrets of webhooks.
    """
    keys = [key.get_secret_value() for key in settings.secrets.key]
    if not keys:
        raise SetupFailed(
            "SMART_FILTER_SECRETS_KEY is not set; set it to what the API has, or use "
            "`smart-filter up`, which draws one"
        )
    try:
        anyio.run(_serve, settings, Seal(keys), render, traces)
    finally:
        traces.close()


async def _serve(settings: Settings, seal: Seal, render: Render, traces: Traces) -> None:
    database = sessions.async_engine(settings.database, connections=_DATABASE_CONNECTIONS)
    pace = Pace(drain_seconds=settings.engine.drain_seconds)
    posting = Posting(settings.outbound, at_once=pace.most)
    stopping = anyio.Event()
    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with anyio.create_task_group() as beside:
                sender = Sender(
                    database, posting, seal=seal, render=render, pace=pace, traces=traces
                )
                heartbeat = Heartbeat(database, settings.engine, sender)
                beside.start_soon(sender.run, stopping)
                beside.start_soon(heartbeat.run, stopping)
                async for _ in signals:
                    stopping.set()
                    break
        await heartbeat.leave()
    finally:
        await database.dispose()
