"""The HTTP server under the application, and what it takes from strangers."""

import socket
import sys
from collections.abc import Sequence

import uvicorn
from starlette.types import ASGIApp
from uvicorn.lifespan.on import LifespanOn

from smart_filter_api.heads import StrictHeads

# Of one request's line and headers: more is refused before anybody has shown a key.
_HEAD_BYTES = 64 * 1024
# Whoever follows a job then is cut off, and comes again; other requests are faster.
_LAST_REQUESTS_SECONDS = 5


def config(app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Config:
    """Return how the application is served."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        # The faster parser takes a head of any size.
        http=StrictHeads,
        h11_max_incomplete_event_size=_HEAD_BYTES,
        access_log=False,
        log_config=None,  # as everything else is logged
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_LAST_REQUESTS_SECONDS,
    )


class Server(uvicorn.Server):
    """A server that stops when a long-lived task of its application has given up.

    uvicorn itself would go on serving requests that nothing behind them answers any more.
    has_failed: whether the application's lifespan ended while requests were served.
    """

    has_failed = False

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop; uvicorn asks ten times a second."""
        lifespan = self.lifespan
        self.has_failed = isinstance(lifespan, LifespanOn) and lifespan.shutdown_event.is_set()
        return self.has_failed or await super().on_tick(counter)


def serve(config: uvicorn.Config, *, listeners: Sequence[socket.socket] | None = None) -> None:
    """Serve until told to stop; exits with status 1 when the application fails.

    listeners: where clients come; None: where the configuration says.
    """
    server = Server(config)
    server.run(sockets=None if listeners is None else list(listeners))
    if server.has_failed:
        sys.exit(1)
