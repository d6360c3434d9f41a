"""The process `smart-filter live-worker`: from settings to a server, until told to stop."""

import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Final

import uvicorn

from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.live.tokens import Tokens
from smart_filter_shared.settings import LiveSettings
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers import memory, native_threads
from smart_filter_workers.live import app, frames, sight
from smart_filter_workers.live.house import House

# Who answers no ping, or reads nothing, for so long is not there any more.
_SILENT_SECONDS: Final = 20
_LAST_ANSWERS_SECONDS: Final = 5
_WAITING: Final = 64

_log = logger("live")


def serve(
    settings: LiveSettings,
    weights: Path,
    *,
    research: bool,
    listening: socket.socket,
    threads: int,
) -> None:
    """Serve live video until SIGTERM or SIGINT; clients are told by code 1012.

    weights: the folder of weights.  research: whether models with research weights may run.
    listening: where clients come; whoever comes before they are served waits.
    Raises SetupFailed when no secret is set, or weights are missing.
    """
    keys = [key.get_secret_value() for key in settings.secret]
    if not keys:
        raise SetupFailed(
            "SMART_FILTER_LIVE_SECRET is not set; set it to what the API has, or use "
            "`smart-filter up`, which draws one"
        )
    memory.return_pictures()
    native_threads.one_per_call()
    sight.check(weights)
    house = House(
        Tokens(keys),
        partial(sight.load, weights, research=research),
        threads=threads,
        most=settings.connections,
        most_each=settings.connections_each,
    )
    config = uvicorn.Config(
        app.create(house),
        access_log=False,
        log_config=None,  # as everything else is logged
        log_level="warning",
        server_header=False,
        # It stops reading while a message waits to be taken.
        ws="websockets-sansio",
        ws_max_size=frames.MAX_PICTURE_BYTES,
        ws_ping_interval=_SILENT_SECONDS,
        ws_ping_timeout=_SILENT_SECONDS,
        ws_per_message_deflate=False,  # pictures are packed already
        timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
    )
    # Accepted sockets inherit it: who leaves unread what was sent is cut off by the kernel,
    # however little is sent. Source: tcp(7).
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENT_SECONDS * 1000)
    # When uvicorn has stopped it raises the signal again.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    host, port = listening.getsockname()[:2]
    _log.info("live worker ready", host=host, port=port, threads=threads)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        house.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket on which clients may come.  Raises SetupFailed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_WAITING)
    except OSError as error:
        raise SetupFailed(
            f"port {port} of {host} cannot be had ({error.strerror}): choose others with --host"
            " and --port"
        ) from error
