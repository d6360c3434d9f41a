"""Configure and run the HTTP server, with its limits for unauthenticated clients."""

import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.lifespan.on import LifespanOn

from smart_filter_api.http.strict_h11 import StrictH11Protocol
from smart_filter_shared.http_servers import start_listening
from smart_filter_shared.supervision import Watchdog

# Time for open requests at shutdown.
_SHUTDOWN_SECONDS = 5


def build_config(
    app: ASGIApp,
    *,
    port: int = 0,
    trusted_proxies: Sequence[str] = (),
    tls_certificate: Path | None = None,
    tls_key: Path | None = None,
) -> uvicorn.Config:
    """Return the uvicorn configuration for the application.

    trusted_proxies: addresses and networks whose X-Forwarded-For and X-Forwarded-Proto count;
        empty: uvicorn's default, FORWARDED_ALLOW_IPS or 127.0.0.1.
    tls_certificate, tls_key: PEM files, for https instead of http.
    """
    return uvicorn.Config(
        app,
        port=port,
        ssl_certfile=tls_certificate,
        ssl_keyfile=tls_key,
        # httptools, uvicorn's faster parser, takes 60 µs less for a request, but takes heads of any
        # size and with two hosts, and drops the body of a request that offers an upgrade, as those
        # of Java's HttpClient do.
        http=StrictH11Protocol,
        # Live workers speak WebSocket; here an upgrade is a request like any other.
        ws="none",
        forwarded_allow_ips=list(trusted_proxies) or None,
        access_log=False,
        log_config=None,  # keep the logging set up by the process
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )


class Server(uvicorn.Server):
    """A server that stops when a long-lived task of its application has failed.

    uvicorn itself would continue to accept requests that can no longer be answered.
    end_waits: called before open requests must end, to answer those that wait.
    watchdog: ends the process when the event loop is stuck; None: nothing does.
    has_failed: whether the application's lifespan ended while requests were served.
    """

    has_failed = False

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        end_waits: Callable[[], None],
        watchdog: Watchdog | None = None,
    ) -> None:
        super().__init__(config)
        self._end_waits = end_waits
        self._watchdog = watchdog

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop; uvicorn calls this ten times a second."""
        if self._watchdog is not None:
            self._watchdog.feed()
        lifespan = self.lifespan
        self.has_failed = isinstance(lifespan, LifespanOn) and lifespan.shutdown_event.is_set()
        return self.has_failed or await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listening sockets, answer open requests, and end the application."""
        if self._watchdog is not None:
            self._watchdog.allow()
        self._end_waits()
        await super().shutdown(sockets)


def serve(
    config: uvicorn.Config,
    listening: Sequence[socket.socket],
    *,
    end_waits: Callable[[], None],
) -> None:
    """Serve on bound sockets until a signal stops the server.

    end_waits: as for `Server`.  Exits with status 1 when the application fails.
    Raises SetupFailed when another process listens there.
    """
    for listener in listening:
        start_listening(listener, config.backlog)
    watchdog = Watchdog()
    server = Server(config, end_waits=end_waits, watchdog=watchdog)
    watchdog.allow()
    server.run(sockets=list(listening))
    watchdog.stop()
    if server.has_failed:
        sys.exit(1)
