"""CORS: allow pages of other origins to call the API, with a key and never with a cookie.

Source: WHATWG Fetch, 3.2 (the CORS protocol).
"""

from collections.abc import Sequence
from typing import Final

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Request headers beyond the CORS-safelisted ones.
_REQUEST_HEADERS: Final = (
    *("Authorization", "X-Api-Key", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Prefer"),
    *("If-Match", "If-None-Match", "Range", "If-Range", "X-Request-Id", "traceparent"),
)
# Response headers beyond the CORS-safelisted ones.
_EXPOSED_HEADERS: Final = (
    *("ETag", "Location", "Retry-After", "RateLimit", "RateLimit-Policy", "Preference-Applied"),
    *("Link", "Idempotency-Replayed", "WWW-Authenticate", "X-Request-Id", "Allow"),
    *("Content-Disposition", "Content-Range", "Accept-Ranges"),
    # Of the interface of remove.bg.
    *("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Credits-Charged"),
    *("X-Type", "X-Width", "X-Height", "X-Max-Width", "X-Max-Height"),
    *(f"X-Foreground-{side}" for side in ("Top", "Left", "Width", "Height")),
)
_PREFLIGHT_MAX_AGE_SECONDS: Final = 600


def install(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of these origins call an app: `*` allows all, an empty list none."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            # Session cookies are for the service's own pages only.
            allow_credentials=False,
            allow_methods=_METHODS,
            allow_headers=_REQUEST_HEADERS,
            expose_headers=_EXPOSED_HEADERS,
            max_age=_PREFLIGHT_MAX_AGE_SECONDS,
        )
