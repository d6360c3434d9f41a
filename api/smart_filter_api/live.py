"""What lets clients in to live video: where it is served, and who signs their tokens."""

from dataclasses import dataclass
from typing import Final

from smart_filter_shared.live.tokens import Tokens
from smart_filter_shared.settings import LiveSettings

NOT_SET: Final = (
    "live video needs the settings SMART_FILTER_LIVE_URL and SMART_FILTER_LIVE_SECRET here"
)
# Where a live worker has its WebSocket (smart_filter_workers.live.app).
_PATH: Final = "/v1/live/socket"


@dataclass(frozen=True, slots=True)
class Live:
    """Live video as this API knows it.  origin: of the live worker; url: of its WebSocket."""

    origin: str
    url: str
    tokens: Tokens


def of(settings: LiveSettings) -> Live | None:
    """Return what the operator has set; None where that is not all of it."""
    if settings.url is None or not settings.secret:
        return None
    keys = [key.get_secret_value() for key in settings.secret]
    origin = settings.url.rstrip("/")
    return Live(origin, origin + _PATH, Tokens(keys))
