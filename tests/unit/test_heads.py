import asyncio
from collections.abc import Iterator

import pytest
from starlette.responses import Response
from uvicorn.server import ServerState

from smart_filter_api import server
from smart_filter_api.heads import StrictHeads


class Hours(asyncio.SelectorEventLoop):
    """A loop whose clock stands until it is told to go on."""

    now = 0.0

    def time(self) -> float:
        """Return what the clock says, in seconds."""
        return self.now

    def go_on(self, seconds: float) -> None:
        """Do what is due after so long."""
        self.now += seconds
        for _ in range(5):
            self.run_until_complete(asyncio.sleep(0))


class Client(asyncio.Transport):
    """The connection of a client, who never reads."""

    is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Throw away what is said."""

    def close(self) -> None:
        """Note that it is over."""
        self.is_closed = True

    def is_closing(self) -> bool:
        """Whether it is over."""
        return self.is_closed

    def pause_reading(self) -> None:
        """Read nothing, as ever."""

    def resume_reading(self) -> None:
        """Read nothing, as ever."""


@pytest.fixture
def hours() -> Iterator[Hours]:
    loop = Hours()
    yield loop
    loop.close()


@pytest.mark.parametrize("head", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_head_that_does_not_end_loses_its_connection(hours: Hours, head: bytes) -> None:
    client, protocol = Client(), StrictHeads(server.config(Response()), ServerState(), {}, hours)
    protocol.connection_made(client)

    for byte in head:
        protocol.data_received(bytes([byte]))
        hours.go_on(0.5)  # a byte now and then gains nothing
    hours.go_on(19 - 0.5 * len(head))
    was_closed = client.is_closed
    hours.go_on(1)

    assert (was_closed, client.is_closed) == (False, True)


def test_body_and_the_next_head_have_times_of_their_own(hours: Hours) -> None:
    client, protocol = Client(), StrictHeads(server.config(Response()), ServerState(), {}, hours)
    protocol.connection_made(client)

    hours.go_on(19)
    protocol.data_received(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
    hours.go_on(2)
    protocol.data_received(b"1GET")
    hours.go_on(4)
    protocol.data_received(b" /")
    hours.go_on(15)

    assert not client.is_closed
