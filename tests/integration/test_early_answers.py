"""Raw clients that write a whole request before they read, while it is refused."""

import socket
import threading
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from smart_filter_api.http import server
from smart_filter_shared import http_servers
from smart_filter_tests.outages import wait_until

# More than the buffers of both sockets hold, so that the client still writes when it is refused.
BODY = bytes(30_000_000)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
SENT = {
    "length": b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "chunked": CHUNKED,
    "expect": b"Expect: 100-continue\r\n" + CHUNKED,
    "two lengths": b"Content-Length: 1\r\n" + CHUNKED,
}


async def refuse(_: Request) -> Response:
    return Response(status_code=400)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    listener = http_servers.bind("127.0.0.1", 0)
    app = Starlette(routes=[Route("/", refuse, methods=["POST"])])
    running = server.Server(server.build_config(app), end_waits=lambda: None)
    thread = threading.Thread(target=running.run, args=([listener],), daemon=True)
    thread.start()
    wait_until(lambda: running.started)
    yield listener.getsockname()
    running.should_exit = True
    thread.join(60)


@pytest.mark.parametrize("sent", SENT.values(), ids=SENT)
def test_refusal_reaches_a_client_that_writes_first_and_reads_later(
    address: tuple[str, int], sent: bytes
) -> None:
    with socket.create_connection(address, timeout=60) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + sent)
        answer = client.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 400 ")
