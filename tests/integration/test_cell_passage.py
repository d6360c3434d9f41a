"""The way to one cell: busy, silent or unruly ones, and what one client may have of them."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import anyio
import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from smart_filter_api.cells import router
from smart_filter_api.cells.choosing import Cell, Cells
from smart_filter_api.cells.lines import CellAway
from smart_filter_api.cells.passing import Passage
from smart_filter_tests.serving import listening

DOMAIN = "photos.test"


@contextlib.contextmanager
def saying(answer: bytes) -> Iterator[tuple[Cell, list[bytes]]]:
    """A cell that says the same whatever it is asked, and what was asked but whether it lives."""
    asked: list[bytes] = []

    def converse(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while head := connection.recv(65536):
                if b" /livez " not in head:
                    asked.append(head.split()[1])
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=converse, args=server.accept()[:1]).start()

        threading.Thread(target=accept).start()
        yield Cell("amber", f"http://127.0.0.1:{server.getsockname()[1]}"), asked
        server.shutdown(socket.SHUT_RDWR)


def asked_alone(cell: Cell) -> httpx.Response:
    """Ask a router that has one cell."""
    with listening(router.create(DOMAIN, Cells([cell]))) as url:
        return httpx.get(url, headers={"Host": f"acme.{DOMAIN}"}, trust_env=False, timeout=60)


def a_scope(client: str) -> Scope:
    """A request as the server gives it to the application."""
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(b"host", b"acme.photos.test")],
        "client": (client, 5000),
    }


async def nothing_more() -> Message:
    await anyio.sleep_forever()
    raise AssertionError


async def to_nobody(message: Message) -> None:
    del message


def test_one_client_cannot_have_all_requests_of_a_cell() -> None:
    async def ask() -> list[str]:
        refused: list[str] = []
        # Its kernel takes connections, and nobody answers.
        with socket.create_server(("127.0.0.1", 0), backlog=1000) as server:
            passage = Passage(Cell("amber", f"http://127.0.0.1:{server.getsockname()[1]}"))

            async def carry(client: str) -> None:
                try:
                    await passage.carry(a_scope(client), nothing_more, to_nobody)
                except CellAway:
                    refused.append(client)

            async with anyio.create_task_group() as tasks:
                # One network of IPv6 is one client.
                for host in range(251):
                    tasks.start_soon(carry, f"2001:db8::{host:x}")
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(carry, "198.51.100.1")
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
        return refused

    assert anyio.run(ask) == ["2001:db8::fa"]


def test_cell_that_is_busy_is_not_taken_for_away() -> None:
    """Three silent looks in a row say that it is, unless a request was answered between them."""

    async def busy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == "/livez":
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await JSONResponse({})(scope, receive, send)

    async def look(url: str) -> list[bool]:
        passage = Passage(Cell("amber", url))
        seen = []
        for answered in (False, False, True, False, False, False):
            if answered:
                await passage.carry(a_scope("198.51.100.1"), nothing_more, to_nobody)
            else:
                await passage.look(seconds=0.02)
            seen.append(passage.is_away)
        passage.close()
        return seen

    with listening(busy) as url:
        assert anyio.run(look, url) == [False, False, False, False, False, True]


def test_unsolicited_answer_of_a_cell_is_dropped() -> None:
    one = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
    with (
        saying(one + b"own" + one + b"not") as (cell, asked),
        listening(router.create(DOMAIN, Cells([cell]))) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as client,
    ):
        host = {"Host": f"acme.{DOMAIN}"}
        answers = [client.get(f"/{number}", headers=host).text for number in range(3)]

    assert (asked, answers) == ([b"/0", b"/1", b"/2"], ["own"] * 3)


@pytest.mark.parametrize("status", [b"600 Odd", b"799 Odd"])
def test_answer_that_is_not_http_counts_as_a_cell_that_left(status: bytes) -> None:
    with saying(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n") as (cell, _):
        answer = asked_alone(cell)

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def test_answer_without_content_has_no_length() -> None:
    with saying(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n") as (cell, _):
        answer = asked_alone(cell)

    assert answer.status_code == 204
    assert "content-length" not in answer.headers
