import asyncio
import re
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from smart_filter_api.http import server
from smart_filter_api.http.server import StrictH11Protocol
from smart_filter_api.intake.multipart import MAX_BODY_BYTES
from smart_filter_workers.live import app as live_process


class FakeLoop(asyncio.SelectorEventLoop):
    """A loop whose clock a test advances."""

    now = 0.0

    def time(self) -> float:
        """Return the clock's time, in seconds."""
        return self.now

    def go_on(self, seconds: float) -> None:
        """Advance the clock and run the due callbacks."""
        self.now += seconds
        for _ in range(5):
            self.run_until_complete(asyncio.sleep(0))


class Client(asyncio.Transport):
    """The connection of a client."""

    is_closed = False
    is_heard = True
    is_half_closed = False
    received = b""
    unread = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the written data."""
        self.received += data

    def close(self) -> None:
        """Record the end of the connection."""
        self.is_closed = True

    def can_write_eof(self) -> bool:
        """Return true: there is no TLS."""
        return True

    def write_eof(self) -> None:
        """Record the end of the answer."""
        self.is_half_closed = True

    def abort(self) -> None:
        """Record the end of the connection."""
        self.unread, self.is_closed = 0, True

    def get_write_buffer_size(self) -> int:
        """Return the bytes that the client has not read."""
        return self.unread

    def is_closing(self) -> bool:
        """Return whether the connection has ended."""
        return self.is_closed

    def pause_reading(self) -> None:
        """Record that the server would not notice the client's end."""
        self.is_heard = False

    def resume_reading(self) -> None:
        """Record that the server would notice the client's end."""
        self.is_heard = True


@pytest.fixture
def fake_loop() -> Iterator[FakeLoop]:
    loop = FakeLoop()
    yield loop
    loop.close()


def connect(loop: FakeLoop, app: ASGIApp | None = None) -> tuple[Client, StrictH11Protocol]:
    """Open a connection to a server of an application, by default one that answers 200."""
    client = Client()
    config = server.build_config(app or Response())
    protocol = StrictH11Protocol(config, ServerState(), {}, loop)
    protocol.connection_made(client)
    return client, protocol


@pytest.mark.parametrize("head", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_unfinished_request_head_loses_its_connection(fake_loop: FakeLoop, head: bytes) -> None:
    client, protocol = connect(fake_loop)

    for byte in head:
        protocol.data_received(bytes([byte]))
        fake_loop.go_on(0.5)  # an occasional byte gains no time
    fake_loop.go_on(19 - 0.5 * len(head))
    was_closed = client.is_closed
    fake_loop.go_on(1)

    assert (was_closed, client.is_closed) == (False, True)


def test_body_and_the_next_head_have_their_own_timeouts(fake_loop: FakeLoop) -> None:
    client, protocol = connect(fake_loop)

    fake_loop.go_on(19)
    protocol.data_received(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
    fake_loop.go_on(2)
    protocol.data_received(b"1GET")
    fake_loop.go_on(4)
    protocol.data_received(b" /")
    fake_loop.go_on(15)

    assert not client.is_closed


def answer_at(
    loop: FakeLoop, config: uvicorn.Config, protocol_class: type[H11Protocol], request: bytes
) -> bytes:
    """Return what a server sends for a request, which comes in two packets."""
    client, protocol = Client(), protocol_class(config, ServerState(), {}, loop)
    protocol.connection_made(client)
    protocol.data_received(request[:-1])
    protocol.data_received(request[-1:])
    loop.go_on(0)
    protocol.connection_lost(None)
    loop.go_on(0)
    return client.received


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: b\n\r\n",
    ],
)
def test_line_of_a_head_that_ends_with_a_bare_line_feed_is_refused(
    fake_loop: FakeLoop, request_bytes: bytes
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await Response()(scope, receive, send)

    configs = (server.build_config(app), live_process.build_config(app))
    for config in configs:
        config.load()
        assert isinstance(config.http_protocol_class, type)

        answers = [
            answer_at(fake_loop, config, config.http_protocol_class, sent)
            for sent in (re.sub(b"\r?\n", b"\r\n", request_bytes), request_bytes)
        ]

        assert [answer[9:12] for answer in answers] == [b"200", b"400"]


@pytest.mark.parametrize("build_config", [server.build_config, live_process.build_config])
@pytest.mark.parametrize(
    ("target", "seen"),
    [
        ("http://b:80/c?d=http://e", "/c d=http://e b:80"),
        ("HTTPS://b", "/ b"),
        ("http://b?d", "/ d b"),
        ("/http://b/c", "/http://b/c a"),
        ("http://a@b/c", "http://a@b/c a"),
    ],
)
def test_request_as_for_a_proxy_is_one_for_its_host_and_path(
    fake_loop: FakeLoop, build_config: Callable[[ASGIApp], uvicorn.Config], target: str, seen: str
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        words = scope["path"], scope["query_string"].decode(), Headers(scope=scope)["host"]
        await Response(" ".join(filter(None, words)))(scope, receive, send)

    config = build_config(app)
    config.load()
    assert isinstance(config.http_protocol_class, type)
    head = f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode()

    answer = answer_at(fake_loop, config, config.http_protocol_class, head)

    assert answer.partition(b"\r\n\r\n")[2].decode() == seen


@pytest.mark.parametrize("version", ["9.9", "0.9", "2.0", "3.0"])
@pytest.mark.parametrize("build_config", [server.build_config, live_process.build_config])
def test_other_major_version_of_http_is_refused(
    fake_loop: FakeLoop, build_config: Callable[[ASGIApp], uvicorn.Config], version: str
) -> None:
    config = build_config(Response())
    config.load()
    assert isinstance(config.http_protocol_class, type)

    answers = [
        answer_at(
            fake_loop,
            config,
            config.http_protocol_class,
            f"GET / HTTP/{number}\r\nHost: a\r\n\r\n".encode(),
        )
        for number in ("1.0", "1.1", version)
    ]

    assert [answer[9:12] for answer in answers] == [b"200", b"200", b"400"]


@pytest.mark.parametrize("build_config", [server.build_config, live_process.build_config])
@pytest.mark.parametrize(
    ("size", "is_taken"),
    [
        (b"%x" % MAX_BODY_BYTES, True),
        (b"%x; a=b" % (MAX_BODY_BYTES + 1), False),
        (b"f" * 18, False),
    ],
    ids=["largest body", "a byte more", "18 digits"],
)
def test_chunk_larger_than_any_body_is_refused_when_its_size_is_read(
    fake_loop: FakeLoop,
    build_config: Callable[[ASGIApp], uvicorn.Config],
    *,
    size: bytes,
    is_taken: bool,
) -> None:
    config, client = build_config(wait_for_client), Client()
    config.load()
    assert isinstance(config.http_protocol_class, type)
    protocol = config.http_protocol_class(config, ServerState(), {}, fake_loop)
    protocol.connection_made(client)

    protocol.data_received(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    fake_loop.go_on(0)
    protocol.data_received(size + b"\r\n")

    assert client.received[9:12] == (b"" if is_taken else b"400")
    leave(protocol, fake_loop)


def test_oldest_of_many_unfinished_heads_loses_its_connection(
    fake_loop: FakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StrictH11Protocol, "_awaiting_heads", {})
    clients = [Client() for _ in range(514)]
    protocols = [
        StrictH11Protocol(server.build_config(wait_for_client), ServerState(), {}, fake_loop)
        for _ in clients
    ]

    protocols[0].connection_made(clients[0])
    protocols[0].data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    for client, protocol in zip(clients[1:], protocols[1:], strict=True):
        protocol.connection_made(client)
        protocol.data_received(b"GET /")

    assert [client.is_closed for client in clients] == [False, True, *[False] * 512]
    for protocol in protocols:
        leave(protocol, fake_loop)


def chunks(*sizes: int) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (size, bytes(size)) for size in sizes)


@pytest.mark.parametrize("sizes", [[1] * 1100, [200_000] + [1] * 1100, [60] * 40_000])
def test_body_of_tiny_chunks_is_refused_before_the_application_runs(
    fake_loop: FakeLoop, sizes: list[int]
) -> None:
    calls = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append((await receive())["type"])
        await Response()(scope, receive, send)

    client, protocol = connect(fake_loop, app)

    protocol.data_received(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    protocol.data_received(chunks(*sizes))
    answer = client.received
    fake_loop.go_on(0)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"the chunks of the body are too small" in answer
    assert client.is_half_closed
    assert (calls, client.received) == (["http.disconnect"], answer)


def test_body_with_two_lengths_is_refused_and_hides_no_request(fake_loop: FakeLoop) -> None:
    client, protocol = connect(fake_loop)

    protocol.data_received(
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\ntransfer-encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    fake_loop.go_on(0)

    assert client.received.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Length or Transfer-Encoding, not both" in client.received
    assert client.received.count(b"HTTP/1.1 ") == 1
    assert client.is_half_closed


def test_header_that_continues_on_a_second_line_is_refused(fake_loop: FakeLoop) -> None:
    client, protocol = connect(fake_loop)

    protocol.data_received(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n")
    fake_loop.go_on(0)

    assert client.received.startswith(b"HTTP/1.1 400 ")
    assert b"a header continues on a second line" in client.received


@pytest.mark.parametrize("sizes", [[1] * 1000, [64] * 5000, ([1] * 900 + [60_000]) * 5])
def test_bodies_of_small_chunks_are_taken(fake_loop: FakeLoop, sizes: list[int]) -> None:
    client, protocol = connect(fake_loop)

    for _ in range(2):  # each body of a connection has its own small chunks
        protocol.data_received(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        protocol.data_received(chunks(*sizes) + b"0\r\n\r\n")
        fake_loop.go_on(0)

    assert client.received.count(b"HTTP/1.1 200 ") == 2
    assert not client.is_closed


async def wait_for_client(_: Scope, receive: Receive, __: Send) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def leave(protocol: H11Protocol, loop: FakeLoop) -> None:
    protocol.connection_lost(None)
    loop.go_on(0)


@pytest.mark.parametrize(("length", "is_heard"), [(1, True), (60_000, True), (70_000, False)])
def test_client_with_another_request_behind_the_first_is_heard(
    fake_loop: FakeLoop, *, length: int, is_heard: bool
) -> None:
    client, protocol = connect(fake_loop, wait_for_client)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    fake_loop.go_on(0)

    protocol.data_received(bytes(length))

    assert client.is_heard == is_heard
    leave(protocol, fake_loop)


def test_client_that_stops_reading_loses_its_connection(fake_loop: FakeLoop) -> None:
    client, protocol = connect(fake_loop, wait_for_client)
    protocol.data_received(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")

    client.unread = 200_000
    protocol.pause_writing()
    for _ in range(2):  # slow, but it reads
        fake_loop.go_on(59)
        client.unread -= 61_000
        fake_loop.go_on(1)
    was_closed = client.is_closed
    fake_loop.go_on(60)

    leave(protocol, fake_loop)
    assert (was_closed, client.is_closed) == (False, True)


def test_client_that_caught_up_keeps_its_connection(fake_loop: FakeLoop) -> None:
    client, protocol = connect(fake_loop, wait_for_client)
    protocol.data_received(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")

    for unread in (200_000, 10_000):
        client.unread = unread
        protocol.pause_writing()
        fake_loop.go_on(59)
        protocol.resume_writing()
        fake_loop.go_on(59)

    was_closed = client.is_closed

    leave(protocol, fake_loop)
    assert not was_closed


def answer_early(loop: FakeLoop, *, header: bytes = b"") -> tuple[Client, StrictH11Protocol]:
    """Answer a request while its body is on its way."""
    client, protocol = connect(loop)
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n" + header
    protocol.data_received(head + b"\r\n")
    loop.go_on(0)
    assert client.received.startswith(b"HTTP/1.1 200 ")
    return client, protocol


ENDINGS = {
    "close": b"Connection: close\r\n",
    "keep-alive": b"",
    "expect": b"Expect: 100-continue\r\n",
}


@pytest.mark.parametrize("header", ENDINGS.values(), ids=ENDINGS)
def test_rest_of_a_body_is_read_after_its_answer(fake_loop: FakeLoop, header: bytes) -> None:
    client, protocol = answer_early(fake_loop, header=header)

    for _ in range(4):
        fake_loop.go_on(4)
        protocol.data_received(bytes(40_000_000))
    was_closed, was_half_closed = client.is_closed, client.is_half_closed
    leave(protocol, fake_loop)

    assert not was_closed
    assert was_half_closed == (header == ENDINGS["close"])
    assert client.received.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("header", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize(
    ("pieces", "seconds"), [([1] * 31, 1.0), ([40_000_001] * 5, 0.0)], ids=["seconds", "bytes"]
)
def test_rest_of_a_body_is_bounded(
    fake_loop: FakeLoop, header: bytes, pieces: list[int], seconds: float
) -> None:
    client, protocol = answer_early(fake_loop, header=header)

    closed = []
    for piece in pieces:
        closed.append(client.is_closed)
        protocol.data_received(bytes(piece))
        fake_loop.go_on(seconds)

    assert (any(closed[:-1]), client.is_closed) == (False, True)


def test_connection_is_used_again_after_the_rest_of_a_body(fake_loop: FakeLoop) -> None:
    client, protocol = connect(fake_loop)
    request = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"

    for _ in range(2):
        protocol.data_received(request + b"a")
        fake_loop.go_on(0)
        protocol.data_received(b"b")
    fake_loop.go_on(4)  # less than an idle connection is kept

    assert client.received.count(b"HTTP/1.1 200 ") == 2
    assert not client.is_closed
    leave(protocol, fake_loop)
