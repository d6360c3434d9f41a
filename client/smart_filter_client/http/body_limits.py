"""Limit the bytes and the seconds of a response's body: a broken server can send without an end."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx

from smart_filter_client.errors import ServerUnreachable, UnexpectedAnswer
from smart_filter_client.http.connection import Connection
from smart_filter_client.requests import Request

_MEGA: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Limits of one body, after its headers; bytes are counted after decompression."""

    max_bytes: int
    max_seconds: float


# The longest list of the API, 1000 items of a batch, has 2 MB.
JSON: Final = BodyLimits(64 * _MEGA, 300.0)
# A PNG of the largest picture, 50 megapixels with alpha, has 200 MB; it can take long on a phone.
FILE: Final = BodyLimits(1000 * _MEGA, 3600.0)
# A stream of events is open for as long as its job; the limit is for one event.
EVENT: Final = BodyLimits(64 * _MEGA, float("inf"))


@dataclass(slots=True)
class BodyCount:
    """Counts the pieces of one body; host: the server, for errors."""

    limits: BodyLimits
    host: str
    clock: Callable[[], float]
    started: float
    seen_bytes: int = 0

    @classmethod
    def begin(cls, client: Connection, request: Request, limits: BodyLimits) -> "BodyCount":
        """Start to count the body of the response to a request."""
        # A presigned address holds a signature, so only its host is shown.
        host = client.url if request.is_for_server else httpx.URL(request.path).host
        return cls(limits, host, client.clock, client.clock())

    def add(self, piece: bytes) -> None:
        """Count a piece.  Raises UnexpectedAnswer, ServerUnreachable when it exceeds the limits."""
        self.seen_bytes += len(piece)
        if self.seen_bytes > self.limits.max_bytes:
            raise UnexpectedAnswer(
                f"{self.host} sends more than {self.limits.max_bytes // _MEGA} MB in one answer:"
                " is it a Smart Filter server?"
            )
        if self.clock() - self.started > self.limits.max_seconds:
            raise ServerUnreachable(
                f"{self.host} has not sent its whole answer within {self.limits.max_seconds:g} s"
            )
