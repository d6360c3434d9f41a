"""The HTTP server under the application, and what it takes from strangers."""

import uvicorn
from starlette.types import ASGIApp

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
