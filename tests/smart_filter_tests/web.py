"""A web for the fetcher: DNS names with scripted addresses, and a site that misbehaves."""

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import httpcore

LOOPBACK = "127.0.0.1"
_MOST_HEAD_BYTES = 65536
_PIECE_BYTES = 65536

# An answer of a site: bytes, or pieces of them until the client has gone. The function that makes
# the pieces receives an event that is set when the site closes.
Answer = bytes | Callable[[threading.Event], Iterable[bytes]]


@dataclass(slots=True)
class Names:
    """Answers look-ups; the last of several answers is repeated.

    asked: the names looked up, in order.
    """

    addresses: Mapping[str, Sequence[Sequence[str] | OSError]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str) -> Sequence[str]:
        answers = self.addresses.get(host, [[]])
        answer = answers[min(self.asked.count(host), len(answers) - 1)]
        self.asked.append(host)
        if isinstance(answer, OSError):
            raise answer
        return answer


@dataclass(slots=True)
class Wire:
    """Stands for the network: records connections and sent bytes, and gives answers in order.

    down: addresses that do not answer.
    """

    answers: Iterator[bytes] = field(default_factory=lambda: itertools.repeat(ok(b"a picture")))
    down: frozenset[str] = frozenset()
    dialled: list[tuple[str, int]] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)

    def __call__(self, address: str, port: int, seconds: float) -> httpcore.NetworkStream:
        assert seconds > 0
        self.dialled.append((address, port))
        if address in self.down:
            raise httpcore.ConnectError
        said = next(self.answers)
        pieces = [said[at : at + _PIECE_BYTES] for at in range(0, len(said), _PIECE_BYTES)]
        return _Noting(pieces, self.sent)


class _Noting(httpcore.MockStream):
    """Yields the pieces given to it, and records what is written."""

    def __init__(self, pieces: list[bytes], sent: list[bytes]) -> None:
        super().__init__(pieces)
        self._sent = sent

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        assert timeout is None or timeout > 0
        if buffer:
            self._sent.append(buffer)


@dataclass(slots=True)
class Site:
    """A server on the loopback with an answer for each path.

    requests: the heads of received requests, in order.  names: the server names that TLS requested.
    """

    url: str
    port: int
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)


@contextlib.contextmanager
def a_site(
    answers: Mapping[str, Answer] | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    host: str = LOOPBACK,
) -> Iterator[Site]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    port = listener.getsockname()[1]
    place = f"[{host}]" if ":" in host else host
    site = Site(f"{'https' if tls else 'http'}://{place}:{port}", port, dict(answers or {}))
    if tls is not None:
        tls.sni_callback = lambda _, name, __: site.names.append(name)
    closing = threading.Event()
    threads: list[threading.Thread] = []

    def accept() -> None:
        while not closing.is_set():
            connection, _ = listener.accept()
            thread = threading.Thread(
                target=_serve, args=(connection, site, tls, closing), daemon=True
            )
            thread.start()
            threads.append(thread)

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield site
    finally:
        closing.set()
        socket.create_connection((host, port)).close()  # wakes the acceptor
        acceptor.join()
        for thread in threads:
            thread.join()
        listener.close()


def ok(body: bytes, **headers: str) -> bytes:
    return answer(200, body, content__length=str(len(body)), **headers)


def redirect(location: str, status: int = 302) -> bytes:
    return answer(status, b"", location=location, content__length="0")


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return an HTTP answer with this status and body, well-formed or not."""
    said = "".join(f"{name.replace('__', '-')}: {value}\r\n" for name, value in headers.items())
    # A site answers once: a client that kept the connection could be reset on its next request.
    return f"HTTP/1.1 {status} Said\r\nconnection: close\r\n{said}\r\n".encode() + body


def _serve(
    connection: socket.socket, site: Site, tls: ssl.SSLContext | None, closing: threading.Event
) -> None:
    # A client that goes away is what many of the tests are about.
    with contextlib.suppress(OSError), contextlib.ExitStack() as closed:
        stream = closed.enter_context(connection)
        if tls is not None:
            stream = closed.enter_context(tls.wrap_socket(connection, server_side=True))
        head = b""
        while b"\r\n\r\n" not in head and len(head) < _MOST_HEAD_BYTES:
            piece = stream.recv(4096)
            if not piece:
                return
            head += piece
        site.requests.append(head)
        content = site.answers.get(head.split(b" ")[1].decode(), answer(404))
        for piece in [content] if isinstance(content, bytes) else content(closing):
            stream.sendall(piece)
