"""The cell router over HTTP: forwarded and refused requests, and a cell that is down."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from smart_filter_api.cells import router
from smart_filter_api.cells.connection_pool import CellUnavailable
from smart_filter_api.cells.proxy import CellProxy
from smart_filter_api.cells.rendezvous import Cell, Cells
from smart_filter_deploy.embedded.ports import free_port
from smart_filter_tests.serving import serve_application

DOMAIN = "photos.test"
PIECE = b"x" * 65536
HOST = f"Host: acme.{DOMAIN}".encode()


class Echo:
    """A cell that answers with the request it received.

    sent: set when the first piece of a body has arrived.
    """

    def __init__(self) -> None:
        self.sent = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        if scope["path"] == "/refused":
            await JSONResponse({"code": "unauthorized"}, 401)(scope, receive, send)
            return
        if scope["path"] == "/broken":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
            return  # the server cuts the connection
        length = 0
        async for piece in request.stream():
            length += len(piece)
            if piece:
                self.sent.set()
        document = {
            "target": (scope["raw_path"] + b"?" + scope["query_string"]).decode(),
            "method": scope["method"],
            "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
            "length": length,
            "client": scope["client"][0],
            "scheme": scope["scheme"],
        }
        answer = JSONResponse(document, headers={"Location": "/v1/jobs/1", "Connection": "x-odd"})
        answer.headers["X-Odd"] = "of this hop"
        answer.headers.append("Set-Cookie", "a=1")
        answer.headers.append("Set-Cookie", "b=2")
        await answer(scope, receive, send)


@dataclass(slots=True)
class Routed:
    """A router before two cells: amber, which echoes, and basil, which is down."""

    url: str
    watch: str
    echo: Echo
    client: httpx.Client

    def host(self, tenant: str) -> dict[str, str]:
        return {"Host": f"{tenant}.{DOMAIN}"}

    def fetch_echo(self, path: str = "/v1/jobs", **headers: str) -> dict[str, Any]:
        """Ask amber; return the request it received. In names of headers `_` stands for a dash."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.client.get(path, headers={**self.host("acme"), **given})
        assert answer.status_code == 200
        document: dict[str, Any] = answer.json()
        return document

    def send_raw(self, *lines: bytes) -> bytes:
        """Send bytes as a request, and nothing more; return the whole answer."""
        with self.send_part(*lines) as client:
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := client.recv(65536):
                answer += piece
        return answer

    def send_part(self, *lines: bytes) -> socket.socket:
        """Send the beginning of a request; return the connection, which stays open."""
        place = urlsplit(self.url)
        client = socket.create_connection((place.hostname, place.port or 80), timeout=60)
        client.sendall(b"\r\n".join(lines))
        return client


@pytest.fixture(scope="module")
def routed() -> Iterator[Routed]:
    """The router; acme's cell is amber, globex' is basil."""
    echo = Echo()
    with serve_application(echo) as url:
        amber, basil = Cell("amber", url), Cell("basil", f"http://127.0.0.1:{free_port()}")
        cells = Cells((amber, basil), {"acme": amber, "globex": basil})
        watching = socket.create_server(("127.0.0.1", 0))
        port = watching.getsockname()[1]
        with (
            serve_application(
                router.create_router(DOMAIN, cells, watch_port=port), watching
            ) as front,
            httpx.Client(base_url=front, timeout=60, trust_env=False) as client,
        ):
            yield Routed(front, f"http://127.0.0.1:{port}", echo, client)


def test_request_and_answer_are_forwarded_without_hop_by_hop_headers(routed: Routed) -> None:
    path = "/v1//jobs/%2e%2E/a%2Fb?x=%26&y"
    headers = {**routed.host("acme"), "Authorization": "Bearer key"}

    answer = routed.client.put(path, headers=headers, content=b"photo")

    echo = answer.json()
    assert (echo["method"], echo["target"], echo["length"]) == ("PUT", path, 5)
    assert ["authorization", "Bearer key"] in echo["headers"]
    assert ["host", f"acme.{DOMAIN}"] in echo["headers"]
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["location"] == "/v1/jobs/1"
    assert "x-odd" not in answer.headers
    assert len(answer.headers.get_list("date")) == 1


def test_cell_receives_the_routers_client_address_and_no_connection_headers(
    routed: Routed,
) -> None:
    of_a_hop = {"Keep_Alive": "timeout=5", "TE": "trailers", "Upgrade": "h2c", "X_Own": "1"}
    of_the_client = {"X_Forwarded_For": "6.6.6.6", "X_Forwarded_Proto": "https"}
    forged = {"X_Forwarded_Host": "evil", "Forwarded": "for=6.6.6.6", "X_Real_IP": "6.6.6.6"}

    echo = routed.fetch_echo(
        Connection="X-Own, Host, keep-alive",
        Proxy_Authorization="Basic x",
        **of_a_hop,
        **of_the_client,
        **forged,
    )

    names = [name for name, _ in echo["headers"]]
    assert not set(names) & set("x-own keep-alive te proxy-authorization upgrade".split())
    assert not set(names) & {"forwarded", "x-real-ip", "x-forwarded-host"}
    # The router trusts this machine, as the API does; so it takes these two from the test.
    assert (echo["client"], echo["scheme"]) == ("6.6.6.6", "https")
    assert names.count("x-forwarded-for") == names.count("host") == 1


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([b"GET / HTTP/1.1", HOST, b"Host: globex.photos.test"], id="two-hosts"),
        pytest.param([b"GET http://globex.photos.test/ HTTP/1.1", HOST], id="whole-address"),
        pytest.param([b"OPTIONS * HTTP/1.1", HOST], id="star"),
        *(
            pytest.param([b"GET / HTTP/1.1", HOST + port], id=port.decode())
            for port in (b":@evil", b":1 2", b":x")
        ),
    ],
)
def test_request_with_an_ambiguous_host_is_refused(routed: Routed, lines: list[bytes]) -> None:
    assert routed.send_raw(*lines, b"", b"").startswith(b"HTTP/1.1 400 ")
    assert routed.fetch_echo(Host=f"acme.{DOMAIN}:")["method"] == "GET"


def test_body_with_two_lengths_is_refused_with_everything_after_it(routed: Routed) -> None:
    answer = routed.send_raw(
        *(b"POST /v1/jobs HTTP/1.1", HOST, b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        *(b"", b"0", b""),
        *(b"GET /smuggled HTTP/1.1", HOST, b"", b""),
    )

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"two lengths" in answer
    assert answer.count(b"HTTP/1.1") == 1
    assert b"connection: close" in answer.lower()


def test_body_is_forwarded_before_it_has_ended(routed: Routed) -> None:
    routed.echo.sent.clear()
    came = []

    def pieces() -> Iterator[bytes]:
        yield PIECE
        came.append(routed.echo.sent.wait(60))
        for _ in range(480):
            yield PIECE

    answer = routed.client.post("/v1/jobs", headers=routed.host("acme"), content=pieces())

    assert came == [True]
    assert answer.json()["length"] == 481 * len(PIECE)


@pytest.mark.parametrize("expect", [b"Accept: */*", b"Expect: 100-continue"])
def test_answer_does_not_wait_for_a_missing_body(routed: Routed, expect: bytes) -> None:
    length = b"Content-Length: 1000000"

    with routed.send_part(b"POST /refused HTTP/1.1", HOST, length, expect, b"", b"") as client:
        answer = client.recv(65536)

    assert answer.startswith(b"HTTP/1.1 401 ")


def test_client_is_asked_for_its_body_when_the_cell_wants_it(routed: Routed) -> None:
    expect = b"Expect: 100-continue"

    with routed.send_part(
        b"POST / HTTP/1.1", HOST, b"Content-Length: 5", expect, b"", b""
    ) as client:
        interim = client.recv(65536)
        client.sendall(b"photo")
        answer = client.recv(65536)

    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_truncated_answer_is_truncated_for_the_client(routed: Routed) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        routed.client.get("/broken", headers=routed.host("acme"))


def test_unreachable_cell_fails_at_once_and_only_for_its_tenants(routed: Routed) -> None:
    answer = routed.client.get("/v1/jobs", headers=routed.host("globex"))
    problem = answer.json()

    assert (answer.status_code, problem["code"]) == (503, "unavailable")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "2"
    assert problem["instance"] == f"urn:uuid:{answer.headers['x-request-id']}"
    assert routed.fetch_echo()["method"] == "GET"


@pytest.mark.parametrize(
    "path",
    [
        *("/metrics", "/admin", "/admin/", "/admin/jobs", "/v1/operator/summary"),
        *("/%61dmin", "/v1/%6fperator/jobs", "//admin", "/v1/./operator", "/v1/x/../operator"),
    ],
)
def test_operator_pages_are_not_on_tenant_hosts(routed: Routed, path: str) -> None:
    answer = routed.send_raw(f"GET {path} HTTP/1.1".encode(), HOST, b"", b"")

    assert answer.startswith(b"HTTP/1.1 404 ")


def test_operators_monitor_on_a_host_without_tenants(routed: Routed) -> None:
    routed.client.get("/v1/jobs", headers=routed.host("globex"))

    with httpx.Client(base_url=routed.watch, trust_env=False, timeout=60) as operator:
        assert operator.get("/v1/jobs", headers=routed.host("acme")).status_code == 404
        assert operator.get("/livez").json() == {"status": "ok"}
        assert operator.get("/readyz").json() == {"status": "ok", "degraded": ["basil"]}
        shown = operator.get("/metrics").text
    assert 'smart_filter_cell_up{cell="amber"} 1' in shown
    assert 'smart_filter_cell_up{cell="basil"} 0' in shown
    assert 'smart_filter_passed_seconds_count{cell="basil",status="503"}' in shown
    # Tenants learn only that the router is alive.
    assert [routed.client.get(path).status_code for path in ("/readyz", "/metrics")] == [404] * 2
    assert routed.client.get("/livez").json() == {"status": "ok"}


def test_host_without_a_tenant_is_not_found(routed: Routed) -> None:
    answer = routed.client.get("/v1/jobs", headers={"Host": "photos.test"})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "acme.photos.test" in answer.json()["detail"]


def test_router_without_a_reachable_cell_is_not_ready() -> None:
    cells = Cells([Cell("basil", f"http://127.0.0.1:{free_port()}")])
    watching = socket.create_server(("127.0.0.1", 0))
    port = watching.getsockname()[1]
    with serve_application(router.create_router(DOMAIN, cells, watch_port=port), watching) as url:
        httpx.get(url, headers={"Host": f"acme.{DOMAIN}"}, trust_env=False, timeout=60)

        answer = httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False, timeout=60)

    assert (answer.status_code, answer.json()["detail"]) == (503, "basil cannot be reached")


def test_websocket_is_refused(routed: Routed) -> None:
    answer = routed.send_raw(
        *(b"GET /v1/live/socket HTTP/1.1", HOST, b"Connection: Upgrade", b"Upgrade: websocket"),
        *(b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"", b""),
    )

    assert answer.startswith(b"HTTP/1.1 403 ")


@contextlib.contextmanager
def answering_cell(answer: bytes) -> Iterator[tuple[Cell, list[bytes]]]:
    """A cell that always gives the same answer, and the requests it received."""
    received: list[bytes] = []

    def converse(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while head := connection.recv(65536):
                if b" /livez " not in head:
                    received.append(head.split()[1])
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=converse, args=server.accept()[:1]).start()

        threading.Thread(target=accept).start()
        yield Cell("amber", f"http://127.0.0.1:{server.getsockname()[1]}"), received
        server.shutdown(socket.SHUT_RDWR)


def ask_alone(cell: Cell) -> httpx.Response:
    with serve_application(router.create_router(DOMAIN, Cells([cell]))) as url:
        return httpx.get(url, headers={"Host": f"acme.{DOMAIN}"}, trust_env=False, timeout=60)


def a_scope(client: str) -> Scope:
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


async def discard(message: Message) -> None:
    del message


def test_one_client_cannot_use_all_requests_of_a_cell() -> None:
    async def ask() -> list[str]:
        refused: list[str] = []
        # Its kernel accepts connections, but no process answers.
        with socket.create_server(("127.0.0.1", 0), backlog=1000) as server:
            passage = CellProxy(Cell("amber", f"http://127.0.0.1:{server.getsockname()[1]}"))

            async def carry(client: str) -> None:
                try:
                    await passage.carry(a_scope(client), nothing_more, discard)
                except CellUnavailable as error:
                    # On a busy machine connecting may also take too long.
                    if "requests under way" in str(error):
                        refused.append(client)

            async with anyio.create_task_group() as tasks:
                # One IPv6 network counts as one client.
                for host in range(251):
                    tasks.start_soon(carry, f"2001:db8::{host:x}")
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(carry, "198.51.100.1")
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
        return refused

    assert anyio.run(ask) == ["2001:db8::fa"]


def test_busy_cell_does_not_count_as_down() -> None:
    """Three silent health checks in a row count as down unless a request was answered."""

    async def busy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == "/livez":
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await JSONResponse({})(scope, receive, send)

    async def look(url: str) -> list[bool]:
        passage = CellProxy(Cell("amber", url))
        seen = []
        for answered in (False, False, True, False, False, False):
            if answered:
                await passage.carry(a_scope("198.51.100.1"), nothing_more, discard)
            else:
                await passage.look(seconds=0.02)
            seen.append(passage.is_away)
        passage.close()
        return seen

    with serve_application(busy) as url:
        assert anyio.run(look, url) == [False, False, False, False, False, True]


def test_unsolicited_answer_of_a_cell_is_dropped() -> None:
    one = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
    with (
        answering_cell(one + b"own" + one + b"not") as (cell, received),
        serve_application(router.create_router(DOMAIN, Cells([cell]))) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as client,
    ):
        host = {"Host": f"acme.{DOMAIN}"}
        answers = [client.get(f"/{number}", headers=host).text for number in range(3)]

    assert (received, answers) == ([b"/0", b"/1", b"/2"], ["own"] * 3)


@pytest.mark.parametrize("status", [b"600 Odd", b"799 Odd"])
def test_answer_that_is_not_http_counts_as_a_closed_cell(status: bytes) -> None:
    with answering_cell(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n") as (cell, _):
        answer = ask_alone(cell)

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def test_answer_without_content_has_no_length() -> None:
    with answering_cell(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n") as (cell, _):
        answer = ask_alone(cell)

    assert answer.status_code == 204
    assert "content-length" not in answer.headers
