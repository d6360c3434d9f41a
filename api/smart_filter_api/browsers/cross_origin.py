"""Pages of other origins: which may call the API, with a key of their own and never by a cookie.

Source: WHATWG Fetch, 3.2 (the CORS protocol).
"""

from collections.abc import Sequence
from typing import Final

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

_METHODS: Final = ("GET", "POST", "PATCH", "DELETE")
# What clients send beyond what every page may.
_SENT: Final = (
    *("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID"),
    "Prefer",
)
# What pages may read beyond what they always may.
_TOLD: Final = (
    *("ETag", "Location", "Retry-After", "RateLimit", "RateLimit-Policy", "Preference-Applied"),
    *("Link", "Idempotency-Replayed", "WWW-Authenticate", "X-Request-Id"),
)
_ASKED_EVERY_SECONDS: Final = 600


def install(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of these origins, or of all (`*`), call an app; without any, none."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            # A session is for pages of this very service.
            allow_credentials=False,
            allow_methods=_METHODS,
            allow_headers=_SENT,
            expose_headers=_TOLD,
            max_age=_ASKED_EVERY_SECONDS,
        )
