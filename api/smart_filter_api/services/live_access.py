"""Access to live video: its address, and the keys that sign tokens."""

from dataclasses import dataclass
from typing import Final

from smart_filter_shared.config.settings import LiveSettings
from smart_filter_shared.live.tokens import Tokens

NOT_SET: Final = "live video needs the settings SMART_FILTER_LIVE_URL and SMART_FILTER_LIVE_SECRET"
# Path of a live worker's WebSocket (smart_filter_workers.live.app).
_PATH: Final = "/v1/live/socket"


@dataclass(frozen=True, slots=True)
class LiveEndpoint:
    """Where live video is served.  origin: of the live worker; url: of its WebSocket."""

    origin: str
    url: str
    tokens: Tokens


def from_settings(settings: LiveSettings) -> LiveEndpoint | None:
    """Return the endpoint from the settings; None when the URL or the secret is missing."""
    if settings.url is None or not settings.secret:
        return None
    keys = [key.get_secret_value() for key in settings.secret]
    origin = settings.url.rstrip("/")
    return LiveEndpoint(origin, origin + _PATH, Tokens(keys))
