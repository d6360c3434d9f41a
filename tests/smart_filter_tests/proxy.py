"""A TCP proxy that misbehaves on demand, between a client and a real server."""

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from pydantic import SecretStr

from smart_filter_shared.config.settings import BrokerSettings, DatabaseSettings

_PIECE_BYTES = 65536
_LOST_SHARE = 0.2
_COMMITTING = (b"COMMIT", b"INSERT INTO jobs")
_HELD_BYTES = 128 * 1024
_SLOW_SECONDS = 0.2
_METHODS = (b"GET ", b"HEAD ", b"PUT ", b"POST ", b"DELETE ")
_ERROR = b"<Error><Code>InternalError</Code><Message>injected</Message></Error>"
_FAILURE = (
    b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Type: application/xml\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_ERROR), _ERROR)
)
# SO_LINGER with a time of 0: closing sends a reset instead of an orderly end.
_RESET = struct.pack("ii", 1, 0)


class Mode(StrEnum):
    PASS = "pass"
    RESET = "reset"
    SWALLOW = "swallow"
    LOSE = "lose"
    FAIL = "fail"
    SLOW = "slow"


class Loss(StrEnum):
    """What happens to one message of a client.

    REQUEST: the connection is cut instead of forwarding it.  ANSWER: it is forwarded, and the
    connection is cut instead of the answer.  LATE_ANSWER, LATE_REQUEST: the answer, or the message
    itself, is held until the trap is released.
    """

    REQUEST = "request lost"
    ANSWER = "answer lost"
    LATE_ANSWER = "answer late"
    LATE_REQUEST = "request late"


@dataclass(slots=True)
class Trap:
    """Waits for messages that contain `text`, and loses them or their answers.

    at_commit: it springs at the next COMMIT of a connection that has sent the text instead.
    left: how often it springs.  sprung: set when it has.  released: lets what is held go on.
    port: of the proxy's connection to the server on which it sprang last.
    then: the proxy's mode from then on; None: it stays.
    """

    text: bytes
    loss: Loss
    at_commit: bool = False
    left: int = 1
    sprung: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    then: Mode | None = None
    _committing: set[socket.socket] = field(default_factory=set)

    def springs(self, piece: bytes, client: socket.socket) -> bool:
        """Return whether a message of a client springs it now."""
        is_due = self.text in piece
        if self.at_commit:
            if is_due:
                self._committing.add(client)
            is_due = client in self._committing and b"COMMIT" in piece
        if not is_due or self.left == 0:
            return False
        self.left -= 1
        self.sprung.set()
        return True


class Proxy:
    """Listens on its own port while the `with` block lasts.

    mode: PASS forwards bytes; RESET cuts new connections; SWALLOW accepts and never answers; LOSE
    cuts some connections instead of forwarding the answer to a COMMIT or to the statement that
    submits a job; FAIL answers some HTTP requests with 500; SLOW forwards each piece of bytes after
    `slow_seconds`.
    chance: decides which; one in five.
    `freeze` silences the connections that are open, in every mode.
    is_holding: whether `hold_after` or `hold_answers` has held bytes.
    """

    def __init__(self, host: str, port: int) -> None:
        self.mode = Mode.PASS
        self.chance = random.Random(0)
        self.slow_seconds = _SLOW_SECONDS
        self._upstream = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        # Otherwise the kernel's buffers accept megabytes, which then count as sent.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _HELD_BYTES)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._most_sent: int | None = None
        self._unanswered: bytes | None = None
        self._may_send = threading.Event()
        self._frozen: set[socket.socket] = set()
        self._thawed = threading.Event()
        self.is_holding = False
        self._trap: Trap | None = None
        self._held: dict[socket.socket, threading.Event] = {}  # answers, by their clients
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self._thread.join()

    def hold_after(self, sent_bytes: int) -> None:
        """Let each connection send `sent_bytes`, and no more until `release` or `cut`."""
        self._may_send.clear()
        self._most_sent = sent_bytes

    def hold_answers(self, to: bytes) -> None:
        """Hold the answers to requests that begin with these bytes until `release` or `cut`."""
        self._may_send.clear()
        self._unanswered = to

    def release(self) -> None:
        """Let clients and the server send again; held bytes are not lost."""
        self._most_sent = self._unanswered = None
        self._may_send.set()

    def freeze(self) -> None:
        """Forward nothing more on the open connections, and close none, as if packets were lost.

        The peer's kernel still acknowledges what is sent. `cut` resets them. New ones are served.
        """
        self._frozen |= self._open

    @contextlib.contextmanager
    def trap(
        self, text: str, loss: Loss, *, at_commit: bool = False, times: int = 1
    ) -> Iterator[Trap]:
        """Set a trap while the block lasts; nothing stays held after it.

        A statement's text is in its message until the driver has prepared it: `cut` before.
        """
        trap = self._trap = Trap(text.encode(), loss, at_commit=at_commit, left=times)
        try:
            yield trap
        finally:
            self._trap = None
            trap.released.set()

    def cut(self) -> None:
        """Reset every open connection."""
        for end in list(self._open):
            _reset(end)
            self._open.discard(end)
        self._frozen.clear()
        thawed, self._thawed = self._thawed, threading.Event()
        thawed.set()
        self.release()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.mode == Mode.RESET:
                _reset(client)
                continue
            try:
                server = socket.create_connection(self._upstream)
            except OSError:
                _reset(client)
                continue
            self._open |= {client, server}
            doomed, unanswered = threading.Event(), threading.Event()
            for source, target in ((client, server), (server, client)):
                pump = (source, target, client, doomed, unanswered)
                threading.Thread(target=self._pump, args=pump, daemon=True).start()

    def _pump(
        self,
        source: socket.socket,
        target: socket.socket,
        client: socket.socket,
        doomed: threading.Event,
        unanswered: threading.Event,
    ) -> None:
        """Forward bytes; doomed, unanswered: drop, or hold, the server's next answer."""
        sent = 0
        with contextlib.suppress(OSError):
            while piece := self._receive(source):
                sent += len(piece)
                if self._is_held(piece, sent, unanswered, is_request=source is client):
                    self.is_holding = True
                    self._may_send.wait()
                if source is not client and doomed.is_set():
                    break
                if source is not client:
                    self._await_release(client)
                elif self._is_lost(piece, client, target, doomed):
                    break
                if source is client and self._fails(piece):
                    self._answer_failure(client)
                    break
                if self.mode == Mode.SLOW:
                    time.sleep(self.slow_seconds)
                if self.mode != Mode.SWALLOW:
                    target.sendall(piece)
        for end in (source, target):
            self._open.discard(end)
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _receive(self, source: socket.socket) -> bytes:
        """Return the next bytes, or none at the end; on a frozen connection, not before `cut`."""
        piece = source.recv(_PIECE_BYTES)
        if source not in self._frozen:
            return piece
        self._thawed.wait()
        return b""

    def _is_held(
        self, piece: bytes, sent: int, unanswered: threading.Event, *, is_request: bool
    ) -> bool:
        if not is_request:
            return unanswered.is_set()
        if self._unanswered and piece.startswith(self._unanswered):
            unanswered.set()
        return self._most_sent is not None and sent > self._most_sent

    def _loses(self, piece: bytes) -> bool:
        is_commit = self.mode == Mode.LOSE and any(text in piece for text in _COMMITTING)
        return is_commit and self.chance.random() < _LOST_SHARE

    def _await_release(self, client: socket.socket) -> None:
        """Hold an answer to this client, if its trap says so."""
        if (released := self._held.pop(client, None)) is not None:
            released.wait()

    def _is_lost(
        self, piece: bytes, client: socket.socket, server: socket.socket, doomed: threading.Event
    ) -> bool:
        """Lose the answer to a message, or spring the trap; return whether the message is lost."""
        if self._loses(piece):
            doomed.set()
        trap = self._trap
        if trap is None or not trap.springs(piece, client):
            return False
        trap.port = server.getsockname()[1]
        self.mode = trap.then or self.mode
        if trap.loss == Loss.ANSWER:
            doomed.set()
        elif trap.loss == Loss.LATE_ANSWER:
            self._held[client] = trap.released
        elif trap.loss == Loss.LATE_REQUEST:
            trap.released.wait()
        return trap.loss == Loss.REQUEST

    def _fails(self, piece: bytes) -> bool:
        is_request = self.mode == Mode.FAIL and piece.startswith(_METHODS)
        return is_request and self.chance.random() < _LOST_SHARE

    def _answer_failure(self, client: socket.socket) -> None:
        client.sendall(_FAILURE)
        client.shutdown(socket.SHUT_WR)
        while client.recv(_PIECE_BYTES):  # else unread bytes of the request would reset the answer
            pass


@contextlib.contextmanager
def before_database(settings: DatabaseSettings) -> Iterator[tuple[Proxy, DatabaseSettings]]:
    """Yield a proxy before the database, and settings that lead through it."""
    url = settings.url.get_secret_value()
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    with Proxy(address.hostname, address.port) as proxy:
        netloc = address.netloc.replace(f":{address.port}", f":{proxy.port}")
        through = SecretStr(address._replace(netloc=netloc).geturl())
        yield proxy, settings.model_copy(update={"url": through})


@contextlib.contextmanager
def before_broker(settings: BrokerSettings) -> Iterator[tuple[Proxy, BrokerSettings]]:
    """Yield a proxy before the broker, and settings that lead through it."""
    address = urlsplit(settings.address)
    assert address.hostname is not None
    assert address.port is not None
    with Proxy(address.hostname, address.port) as proxy:
        url = f"redis://:{address.password}@127.0.0.1:{proxy.port}/0"
        yield proxy, BrokerSettings(url=SecretStr(url))


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        end.shutdown(socket.SHUT_RDWR)
    end.close()
