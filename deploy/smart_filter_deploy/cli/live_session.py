"""The client's end of live video: a WebSocket on which frames go out and come back.

docs/live.md is what is spoken; this asks for a token, connects, and connects again when the
connection breaks.
"""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.sync.client import ClientConnection, connect

from smart_filter_client import Client
from smart_filter_client.errors import UnexpectedAnswer
from smart_filter_client.fields import Fields
from smart_filter_deploy.cli.endings import NO_SERVER, WRONG_USAGE, Ending

_NUMBER_BYTES = 4
_ANSWER_SECONDS = 30.0
# A worker that is started again is back within seconds.
_AWAY_SECONDS = 30.0
_LOOK_SECONDS = 0.5
_MOST_BYTES = 4_000_000
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# Source: docs/live.md. With these another connection may do better, with others not.
_AGAIN = frozenset({1001, 1006, 1011, 1012, 4401, 4408, 4410})
_WRONG = 4400


@dataclass(frozen=True, slots=True)
class Composited:
    """A frame that came back.

    jpeg: with its new background.  score: the rating, None without a face.
    milliseconds: what the worker took.  dropped: frames of this connection that it left out.
    """

    number: int
    jpeg: bytes
    score: float | None
    milliseconds: float
    dropped: int


@dataclass(frozen=True, slots=True)
class Moment:
    """Everybody smiled with open eyes, and frame `number` was the best; score is 0 to 1."""

    number: int
    score: float


@dataclass(frozen=True, slots=True)
class Missed:
    """A frame that the worker could not do anything with, and why."""

    number: int
    why: str


class Broken(Exception):
    """The connection ended; frames that were under way are lost, another one may be opened."""


class LiveSession:
    """Live video with one background, over one connection at a time.

    background: as in a recipe; None: what the server has.
    rate: frames a second of a recording, whose seconds then pass by its frames; None: of a camera.
    clock, sleep: seconds.
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
        self._told: Fields | None = None
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
        """How many frames workers have left out, over all connections."""
        return self._dropped_before + self._dropped

    def open(self) -> None:
        """Connect, again if need be; raises Ending, and what the client raises."""
        gives_up_at = self._clock() + _AWAY_SECONDS
        while True:
            try:
                self._connect()
            except (OSError, InvalidHandshake, TimeoutError, Broken) as error:
                if self._clock() >= gives_up_at:
                    raise Ending(f"no live worker answers ({error})", NO_SERVER) from error
                self._sleep(_LOOK_SECONDS)
            else:
                return

    def send(self, number: int, jpeg: bytes) -> None:
        """Send a frame.  Raises Broken, Ending."""
        try:
            self._open_socket().send(number.to_bytes(_NUMBER_BYTES, "big") + jpeg)
        except ConnectionClosed as error:
            raise self._lost(error) from error

    def receive(self, seconds: float = _ANSWER_SECONDS) -> Composited | Moment | Missed | None:
        """Return what comes next; None when nothing comes in time.  Raises Broken, Ending."""
        gives_up_at = self._clock() + seconds
        while True:
            try:
                message = self._open_socket().recv(max(0.0, gives_up_at - self._clock()))
            except TimeoutError:
                return None
            except ConnectionClosed as error:
                raise self._lost(error) from error
            if isinstance(message, bytes):
                return self._composited(message)
            told = Fields(_document(message), "a message of live video")
            match told.text("type"):
                case "frame":
                    self._told = told  # and its picture is the next message
                case "shutter":
                    return Moment(told.integer("frame"), told.number("score"))
                case "error":
                    number = told.integer_or_none("frame")
                    why = told.text_or_none("detail") or told.text("code")
                    if number is None:
                        raise Ending(f"live video: {why}", WRONG_USAGE)
                    return Missed(number, why)
                case _:  # what stands behind people now, or of a later version
                    pass

    def _connect(self) -> None:
        ticket = self._client.open_live(self._background)
        host = urlsplit(ticket.url).hostname
        self._connection.close()
        connecting = connect(
            ticket.url,
            # No proxy of the environment reaches this machine.
            proxy=None if host in _LOOPBACK else True,
            compression=None,
            max_size=_MOST_BYTES,
            open_timeout=_ANSWER_SECONDS,
        )
        try:
            self._socket = self._connection.enter_context(connecting)
        except InvalidURI as error:
            raise UnexpectedAnswer(f"{ticket.url!r} is no address of a live worker") from error
        self._dropped_before, self._dropped = self.dropped, 0
        self._told = None
        try:
            told = {"token": ticket.token} | ({} if self._rate is None else {"rate": self._rate})
            self._socket.send(json.dumps(told))
            message = self._socket.recv(_ANSWER_SECONDS)
        except ConnectionClosed as error:
            raise self._lost(error) from error
        if isinstance(message, bytes) or _document(message).get("type") != "ready":
            raise UnexpectedAnswer(f"{host} does not speak as a live worker does (docs/live.md)")

    def _open_socket(self) -> ClientConnection:
        if self._socket is None:
            raise Broken("not connected")
        return self._socket

    def _composited(self, message: bytes) -> Composited:
        number, jpeg = int.from_bytes(message[:_NUMBER_BYTES], "big"), message[_NUMBER_BYTES:]
        told, self._told = self._told, None
        if told is None or told.integer("frame") != number:
            raise UnexpectedAnswer(f"frame {number} came without being announced")
        self._dropped = told.integer_or_none("dropped") or 0
        rating = told.object_or_none("rating")
        return Composited(
            number=number,
            jpeg=jpeg,
            score=None if rating is None else rating.number_or_none("score"),
            milliseconds=told.number_or_none("ms") or 0.0,
            dropped=self._dropped,
        )

    def _lost(self, error: ConnectionClosed) -> Exception:
        """Return what follows from how a connection ended."""
        self._socket = None
        code = error.rcvd.code if error.rcvd is not None else 1006
        why = (error.rcvd.reason if error.rcvd is not None else "") or f"code {code}"
        if code in _AGAIN:
            return Broken(f"the live worker ended the connection ({why})")
        status = WRONG_USAGE if code == _WRONG else NO_SERVER
        return Ending(f"the live worker does not go on: {why}", status)


def _document(message: str) -> dict[str, object]:
    try:
        document = json.loads(message)
    except ValueError as error:
        raise UnexpectedAnswer("the live worker does not answer in JSON") from error
    if not isinstance(document, dict):
        raise UnexpectedAnswer("the live worker does not answer with objects")
    return document
