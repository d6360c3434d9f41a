import asyncio
from collections.abc import Iterator

import pytest
from starlette.responses import Response
from uvicorn.server import ServerState

from smart_filter_api.http import server
from smart_filter_api.http.strict_h11 import StrictH11Protocol


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
    """The connection of a client that never reads."""

    is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Discard the written data."""

    def close(self) -> None:
        """Record the end of the connection."""
        self.is_closed = True

    def is_closing(self) -> bool:
        """Return whether the connection has ended."""
        return self.is_closed

    def pause_reading(self) -> None:
        """Do nothing: the client never reads."""

    def resume_reading(self) -> None:
        """Do nothing: the client never reads."""


@pytest.fixture
def fake_loop() -> Iterator[FakeLoop]:
    loop = FakeLoop()
    yield loop
    loop.close()


@pytest.mark.parametrize("head", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_unfinished_request_head_loses_its_connection(fake_loop: FakeLoop, head: bytes) -> None:
    client, protocol = (
        Client(),
        StrictH11Protocol(server.build_config(Response()), ServerState(), {}, fake_loop),
    )
    protocol.connection_made(client)

    for byte in head:
        protocol.data_received(bytes([byte]))
        fake_loop.go_on(0.5)  # an occasional byte gains no time
    fake_loop.go_on(19 - 0.5 * len(head))
    was_closed = client.is_closed
    fake_loop.go_on(1)

    assert (was_closed, client.is_closed) == (False, True)


def test_body_and_the_next_head_have_their_own_timeouts(fake_loop: FakeLoop) -> None:
    client, protocol = (
        Client(),
        StrictH11Protocol(server.build_config(Response()), ServerState(), {}, fake_loop),
    )
    protocol.connection_made(client)

    fake_loop.go_on(19)
    protocol.data_received(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
    fake_loop.go_on(2)
    protocol.data_received(b"1GET")
    fake_loop.go_on(4)
    protocol.data_received(b" /")
    fake_loop.go_on(15)

    assert not client.is_closed
