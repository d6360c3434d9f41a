"""Client side of live video: a WebSocket that sends frames and receives composited ones.

Requests a token, connects, and reconnects when the connection breaks. Source: docs/live.md.
"""

import json
import math
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from smart_filter_client import Client
from smart_filter_client.errors import Error as ClientError
from smart_filter_client.errors import UnexpectedAnswer
from smart_filter_client.reading import read_answer
from smart_filter_deploy.cli.terminal.exit_codes import NO_SERVER, WRONG_USAGE, CommandError

_SUBPROTOCOL = Subprotocol("smart-filter-live")
_NUMBER_BYTES = 4
_RESPONSE_TIMEOUT_SECONDS = 30.0
# A restarted worker is back within seconds.
_RECONNECT_SECONDS = 30.0
_RETRY_SECONDS = 0.5
_MAX_MESSAGE_BYTES = 4_000_000
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# Close codes after which another connection may succeed.  Source: docs/live.md.
_RETRYABLE_CODES = frozenset({1001, 1006, 1011, 1012, 4401, 4408, 4410})
_USAGE_ERROR_CODE = 4400


@dataclass(frozen=True, slots=True)
class CompositedFrame:
    """A frame with its new background.

    score: the rating, None without a face.  milliseconds: the worker's time.
    dropped: number of frames of this connection that the worker dropped.
    """

    number: int
    jpeg: bytes
    score: float | None
    milliseconds: float
    dropped: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment when all people smiled with open eyes.

    number: the best frame.  score: 0 to 1.
    """

    number: int
    score: float


@dataclass(frozen=True, slots=True)
class MissedFrame:
    """A frame that the worker could not process, and why."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class _Limits:
    token_seconds: float


@dataclass(frozen=True, slots=True)
class _Rating:
    score: float


@dataclass(frozen=True, slots=True)
class _Message:
    """A message of a live worker; docs/live.md says which fields each type has."""

    type: str
    frame: int | None
    score: float | None
    code: str | None
    detail: str | None
    dropped: int | None
    ms: float | None
    rating: _Rating | None
    limits: _Limits | None


class LiveConnectionLost(Exception):
    """The connection ended: frames in flight are lost, and a new connection may be opened."""


class LiveSession:
    """Live video with one background, over one connection at a time.

    background: as in a recipe; None: the server's default.
    rate: frames per second of a recording, which then defines its time; None: a camera.
    clock, sleep: in seconds.
    """

    def __init__(
        self,
        client: Client,
        background: str | None,
        *,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._background = background
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._connection = ExitStack()
        self._socket: ClientConnection | None = None
        self._announced: _Message | None = None
        # How often the worker wants a new token, and when it gets the next.
        self._token_seconds = math.inf
        self._token_at = 0.0
        self._dropped_before = self._dropped = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    @property
    def dropped(self) -> int:
        """Number of frames that workers dropped, over all connections."""
        return self._dropped_before + self._dropped

    def open(self) -> None:
        """Connect or reconnect.  Raises CommandError, and what the client raises."""
        gives_up_at = self._clock() + _RECONNECT_SECONDS
        while True:
            try:
                self._connect()
            except (OSError, InvalidHandshake, TimeoutError, LiveConnectionLost) as error:
                if self._clock() >= gives_up_at:
                    raise CommandError(f"no live worker answers ({error})", NO_SERVER) from error
                self._sleep(_RETRY_SECONDS)
            else:
                return

    def send(self, number: int, jpeg: bytes) -> None:
        """Send a frame.  Raises LiveConnectionLost, CommandError."""
        try:
            self._extend()
            self._open_socket().send(number.to_bytes(_NUMBER_BYTES, "big") + jpeg)
        except ConnectionClosed as error:
            raise self._error_for_close(error) from error

    def receive(
        self, seconds: float = _RESPONSE_TIMEOUT_SECONDS
    ) -> CompositedFrame | Moment | MissedFrame | None:
        """Return the server's next message; None when none arrives in time.

        Raises LiveConnectionLost, CommandError.
        """
        gives_up_at = self._clock() + seconds
        while True:
            try:
                message = self._open_socket().recv(max(0.0, gives_up_at - self._clock()))
            except TimeoutError:
                return None
            except ConnectionClosed as error:
                raise self._error_for_close(error) from error
            if isinstance(message, bytes):
                return self._composited(message)
            told = read_answer(_Message, _parse_document(message))
            match told.type:
                case "frame":
                    self._announced = told  # its picture is the next message
                case "shutter" if told.frame is not None and told.score is not None:
                    return Moment(told.frame, told.score)
                case "error":
                    why = told.detail or told.code or told.type
                    if told.frame is None:
                        raise CommandError(f"live video: {why}")
                    return MissedFrame(told.frame, why)
                case _:  # the current background, or a type of a later version
                    pass

    def _connect(self) -> None:
        ticket = self._client.open_live(self._background)
        host = urlsplit(ticket.url).hostname
        self._connection.close()
        connecting = connect(
            ticket.url,
            # A proxy from the environment cannot reach this machine.
            proxy=None if host in _LOOPBACK else True,
            subprotocols=[_SUBPROTOCOL, Subprotocol(ticket.token)],
            compression=None,
            max_size=_MAX_MESSAGE_BYTES,
            open_timeout=_RESPONSE_TIMEOUT_SECONDS,
        )
        try:
            self._socket = self._connection.enter_context(connecting)
        except InvalidURI as error:
            raise UnexpectedAnswer(f"{ticket.url!r} is not an address of a live worker") from error
        self._dropped_before, self._dropped = self.dropped, 0
        self._announced = None
        try:
            self._socket.send(json.dumps({} if self._rate is None else {"rate": self._rate}))
            message = self._socket.recv(_RESPONSE_TIMEOUT_SECONDS)
        except ConnectionClosed as error:
            raise self._error_for_close(error) from error
        ready = {} if isinstance(message, bytes) else _parse_document(message)
        if ready.get("type") != "ready":
            raise UnexpectedAnswer(f"{host} does not follow the live video protocol (docs/live.md)")
        limits = read_answer(_Message, ready).limits
        self._token_seconds = math.inf if limits is None else limits.token_seconds
        self._token_at = self._clock() + self._token_seconds

    def _extend(self) -> None:
        """Send a new token when it is time.  Raises ConnectionClosed, LiveConnectionLost."""
        if self._clock() < self._token_at:
            return
        self._token_at = self._clock() + self._token_seconds
        # Without a new token the worker ends the connection; connecting again then says why.
        with suppress(ClientError):
            token = self._client.open_live().token
            self._open_socket().send(json.dumps({"token": token}))

    def _open_socket(self) -> ClientConnection:
        if self._socket is None:
            raise LiveConnectionLost("not connected")
        return self._socket

    def _composited(self, message: bytes) -> CompositedFrame:
        number, jpeg = int.from_bytes(message[:_NUMBER_BYTES], "big"), message[_NUMBER_BYTES:]
        told, self._announced = self._announced, None
        if told is None or told.frame != number:
            raise UnexpectedAnswer(f"frame {number} came without being announced")
        self._dropped = told.dropped or 0
        return CompositedFrame(
            number=number,
            jpeg=jpeg,
            score=None if told.rating is None else told.rating.score,
            milliseconds=told.ms or 0.0,
            dropped=self._dropped,
        )

    def _error_for_close(self, error: ConnectionClosed) -> Exception:
        """Return the error for a closed connection, by its close code."""
        self._socket = None
        code = error.rcvd.code if error.rcvd is not None else 1006
        why = (error.rcvd.reason if error.rcvd is not None else "") or f"code {code}"
        if code in _RETRYABLE_CODES:
            return LiveConnectionLost(f"the live worker ended the connection ({why})")
        status = WRONG_USAGE if code == _USAGE_ERROR_CODE else NO_SERVER
        return CommandError(f"the live worker refused to continue: {why}", status)


def _parse_document(message: str) -> dict[str, object]:
    try:
        document = json.loads(message)
    except ValueError as error:
        raise UnexpectedAnswer("the live worker does not answer in JSON") from error
    if not isinstance(document, dict):
        raise UnexpectedAnswer("the live worker does not answer with objects")
    return document
