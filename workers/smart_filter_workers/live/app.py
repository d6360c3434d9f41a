"""The live worker's process: from settings to a server of WebSockets, liveness and metrics."""

import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route, WebSocketRoute
from starlette.types import ASGIApp, Scope
from starlette.websockets import WebSocket

from smart_filter_shared.config.settings import LiveSettings
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.http_servers import SAFE_HEADERS, is_operators_request, start_listening
from smart_filter_shared.live import Tokens
from smart_filter_shared.security.strict_heads import StrictHeadsProtocol
from smart_filter_shared.supervision import Watchdog
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.telemetry.metrics import MEDIA_TYPE
from smart_filter_workers.decoder.pool import DecoderPool
from smart_filter_workers.live import connection, frames, models
from smart_filter_workers.live.session_registry import SessionRegistry
from smart_filter_workers.system import resources

PATH = "/v1/live/socket"

# A client that answers no ping, or reads nothing, for this long has gone.
_PING_TIMEOUT_SECONDS: Final = 20
_SHUTDOWN_SECONDS: Final = 5
_LISTEN_BACKLOG: Final = 64
# A frame takes milliseconds, and the largest background less than a second of processor time.
_DECODER_SECONDS: Final = 10.0

_log = logger("live")


def create_app(registry: SessionRegistry, operators_port: int | None) -> Starlette:
    """Return the application of a process with the registry `registry`.

    operators_port: the only port that serves readiness and metrics; None: no port does.
    """

    async def socket(websocket: WebSocket) -> None:
        await connection.serve(websocket, registry)

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        # A load balancer sends new clients elsewhere after this; connected clients stay.
        status, code = ("full", 503) if registry.is_full else ("ok", 200)
        return JSONResponse({"status": status}, status_code=code)

    async def metrics(_: Request) -> Response:
        text = registry.measures.text(connections=registry.connections)
        return Response(text, media_type=MEDIA_TYPE)

    application = Starlette(
        routes=[
            WebSocketRoute(PATH, socket),
            Route("/livez", livez),
            _OperatorsRoute("/readyz", readyz),
            _OperatorsRoute("/metrics", metrics),
        ]
    )
    application.state.operators_port = operators_port
    return application


class _OperatorsRoute(Route):
    """A route that other ports answer as one that does not exist."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if is_operators_request(scope, scope["app"].state.operators_port):
            return super().matches(scope)
        return Match.NONE, {}


def serve(
    settings: LiveSettings,
    weights: Path,
    *,
    research: bool,
    emotions: bool,
    listening: socket.socket,
    operators: socket.socket | None,
    threads: int,
) -> None:
    """Serve live video until SIGTERM or SIGINT; clients then get close code 1012.

    weights: the folder of weights.  research, emotions: as in `models.load`.
    listening: the socket for clients; early connections wait in its backlog.
    operators: the socket that serves readiness and metrics; None: none does.
    Raises SetupFailed when no secret is set, or weights are missing; DecoderUnavailable.
    """
    keys = [key.get_secret_value() for key in settings.secret]
    if not keys:
        raise SetupFailed(
            "SMART_FILTER_LIVE_SECRET is not set; set it to the same value as for the API, or use "
            "`smart-filter up`, which generates one"
        )
    resources.configure_malloc()
    resources.limit_native_threads()
    models.check_weights(weights, research=research)
    decoder = DecoderPool(limit_seconds=_DECODER_SECONDS)
    registry = SessionRegistry(
        Tokens(keys),
        partial(models.load, weights, research=research, emotions=emotions),
        decoder,
        threads=threads,
        most=settings.connections,
        most_each=settings.connections_each,
    )
    operators_port = None if operators is None else operators.getsockname()[1]
    config = build_config(create_app(registry, operators_port))
    # Accepted sockets inherit this option: the kernel cuts off a client that does not read what
    # was sent, however little that is. Source: tcp(7).
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _PING_TIMEOUT_SECONDS * 1000)
    # uvicorn raises the signal again after it has stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    listeners = [listening, *([] if operators is None else [operators])]
    for listener in listeners:
        start_listening(listener, _LISTEN_BACKLOG)  # clients wait there while the decoder starts
    host, port = listening.getsockname()[:2]
    _log.info("live_worker_ready", host=host, port=port, threads=threads)
    watchdog = Watchdog()
    try:
        decoder.start()
        watchdog.allow()
        _Server(config, watchdog).run(sockets=listeners)
    finally:
        watchdog.stop()
        registry.close()
        decoder.close()


def build_config(application: ASGIApp) -> uvicorn.Config:
    """Return the uvicorn configuration for the application."""
    return uvicorn.Config(
        application,
        http=StrictHeadsProtocol,
        proxy_headers=False,
        access_log=False,
        log_config=None,  # the service's own log settings apply
        log_level="warning",
        server_header=False,
        headers=list(SAFE_HEADERS),
        # This implementation stops reading while a received message waits.
        ws="websockets-sansio",
        ws_max_size=frames.MAX_PICTURE_BYTES,
        ws_ping_interval=_PING_TIMEOUT_SECONDS,
        ws_ping_timeout=_PING_TIMEOUT_SECONDS,
        ws_per_message_deflate=False,  # pictures are already compressed
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )


class _Server(uvicorn.Server):
    """A server whose process ends when its event loop is stuck."""

    def __init__(self, config: uvicorn.Config, watchdog: Watchdog) -> None:
        super().__init__(config)
        self._watchdog = watchdog

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop; uvicorn calls this ten times a second."""
        self._watchdog.feed()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listening sockets and the sessions."""
        self._watchdog.allow()
        await super().shutdown(sockets)
