"""deploy/nginx/cells.conf in a real nginx: forwarded and refused requests, and a lost cell."""

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from smart_filter_deploy.embedded.ports import free_port
from smart_filter_tests import reverse_proxies
from smart_filter_tests.patience import PATIENCE_SECONDS
from smart_filter_tests.serving import Api, a_photo, serve_application
from smart_filter_tests.tls_certificates import create_certificate

CONFIGURATION = Path(__file__).parents[2] / "deploy/nginx/cells.conf"
PAGE = Path(__file__).parents[2] / "docs/cells.md"
DOMAIN = "photos.test"
PIECE = b"x" * 65536
HOST = f"Host: acme.{DOMAIN}".encode()

pytestmark = pytest.mark.needs_program("nginx")


class Echo:
    """A cell that answers with the request it received.

    came: set when the first piece of a body has arrived.
    """

    def __init__(self) -> None:
        self.came = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        length = 0
        async for piece in request.stream():
            length += len(piece)
            if piece:
                self.came.set()
        document = {
            "target": (scope["raw_path"] + b"?" + scope["query_string"]).decode(),
            "method": scope["method"],
            "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
            "length": length,
            "client": scope["client"][0],
            "scheme": scope["scheme"],
        }
        answer = JSONResponse(document, headers={"Location": "/v1/jobs/1"})
        answer.headers.append("Set-Cookie", "a=1")
        answer.headers.append("Set-Cookie", "b=2")
        await answer(scope, receive, send)


@dataclass(slots=True)
class Front:
    """nginx before some cells."""

    port: int
    tls: ssl.SSLContext
    certificate: Path

    def client(self, tenant: str, **headers: str) -> httpx.Client:
        """Return a client of a tenant's host. In names of headers `_` stands for a dash."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}",
            headers={"Host": f"{tenant}.{DOMAIN}:{self.port}", **given},
            verify=self.tls,
            timeout=60,
            trust_env=False,
        )

    def fetch_echo(self, **headers: str) -> dict[str, Any]:
        """Ask amber; return the request it received."""
        with self.client("acme", **headers) as client:
            document: dict[str, Any] = client.get("/v1/jobs").raise_for_status().json()
        return document

    def send_raw(self, *lines: bytes) -> bytes:
        """Send a request; return the answer up to the end of its connection."""
        with self.send_part(*lines) as client:
            answer = b""
            while piece := client.recv(65536):
                answer += piece
        return answer

    def send_part(self, *lines: bytes) -> ssl.SSLSocket:
        """Send the beginning of a request; return the connection, which stays open."""
        client = self.tls.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 60))
        client.sendall(b"\r\n".join(lines))
        return client


@contextlib.contextmanager
def nginx_before(
    urls: dict[str, str], tenants: dict[str, str], folder: Path, *, trusted: Path | None = None
) -> Iterator[Front]:
    """Run nginx before cells on this machine.

    urls: of each cell.  tenants: the cell of each.  trusted: a certificate of cells.
    """
    port = free_port()
    (folder / "tenants.conf").write_text(_tenants_file(urls, tenants))
    certificate = create_certificate(folder, f"*.{DOMAIN}").chain
    # Only places change, ports and files, and limits that a busy machine may need.
    text = CONFIGURATION.read_text().replace("/etc/nginx", str(folder))
    text = re.sub(r"(_timeout +)20?s;", rf"\g<1>{PATIENCE_SECONDS:.0f}s;", text)
    text = re.sub(r" *listen \[::\].*\n", "", text).replace(
        "listen 443", f"listen 127.0.0.1:{port}"
    )
    text = text.replace("/etc/ssl/certs/ca-certificates.crt", str(trusted or certificate))
    text = text.replace("/var/log/nginx", str(folder))
    tls = ssl.create_default_context(cafile=str(certificate))
    tls.check_hostname = False
    with reverse_proxies.run_nginx(folder, text, port):
        yield Front(port, tls, certificate)


def _tenants_file(urls: dict[str, str], tenants: dict[str, str]) -> str:
    """Return the file of tenants as docs/cells.md shows it, for these cells and tenants."""
    cells = {name: httpx.URL(url) for name, url in urls.items()}
    origins = {name: f"{url.scheme}://{name}" for name, url in cells.items()}
    example = PAGE.read_text().partition("```nginx\n")[2].partition("```")[0]
    upstream = example.partition("upstream basil")[0]
    # No DNS here knows the names of cells.
    upstreams = (
        upstream.replace("amber", name).replace("10.0.0.5:8000", f"127.0.0.1:{url.port}")
        for name, url in cells.items()
    )
    hosts = (f"{tenant}.{DOMAIN} {origins[cell]};\n" for tenant, cell in tenants.items())
    names = (f"{origins[name]} {url.host};\n" for name, url in cells.items())
    return "".join(
        (
            *upstreams,
            *("map $host $cell_url {\n", *hosts, "}\n"),
            *("map $cell_url $cell_tls_name {\n", *names, "}\n"),
        )
    )


@pytest.fixture(scope="module")
def echo() -> Echo:
    """The server of the cell amber."""
    return Echo()


@pytest.fixture(scope="module")
def front(echo: Echo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """nginx before amber, which echoes and is acme's, and basil, which is down and globex'."""
    with (
        serve_application(Starlette(routes=[Mount("/", echo)])) as url,
        nginx_before(
            {"amber": url, "basil": f"http://127.0.0.1:{free_port()}"},
            {"acme": "amber", "globex": "basil"},
            tmp_path_factory.mktemp("nginx"),
        ) as front,
    ):
        yield front


def test_request_and_answer_are_forwarded_unchanged(front: Front) -> None:
    path = "/v1//jobs/%2e%2E/a%2Fb?x=%26&y"

    with front.client("Acme", Authorization="Bearer key") as client:
        answer = client.put(path, content=b"photo")

    echo = answer.json()
    assert (echo["method"], echo["target"], echo["length"]) == ("PUT", path, 5)
    assert ["authorization", "Bearer key"] in echo["headers"]
    assert ["host", f"acme.{DOMAIN}:{front.port}"] in echo["headers"]
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["location"] == "/v1/jobs/1"
    assert len(answer.headers.get_list("date")) == 1


def test_cell_receives_nginx_description_of_the_client_alone(front: Front) -> None:
    of_a_hop = {"TE": "trailers", "Upgrade": "websocket", "Proxy_Authorization": "Basic x"}
    forged = {"X_Forwarded_For": "6.6.6.6", "X_Forwarded_Proto": "http"}
    unused = {"X_Forwarded_Host": "evil", "Forwarded": "for=6.6.6.6", "X_Real_IP": "6.6.6.6"}

    echo = front.fetch_echo(Connection="upgrade", **of_a_hop, **forged, **unused)

    names = [name for name, _ in echo["headers"]]
    assert not set(names) & set("connection keep-alive te proxy-authorization upgrade".split())
    assert not set(names) & {"forwarded", "x-real-ip", "x-forwarded-host"}
    assert (echo["client"], echo["scheme"]) == ("127.0.0.1", "https")
    assert names.count("x-forwarded-for") == names.count("host") == 1


def test_host_in_the_target_counts_and_is_the_one_that_the_cell_receives(front: Front) -> None:
    line = f"GET http://globex.{DOMAIN}/ HTTP/1.1".encode()

    answer = front.send_raw(line, HOST, b"Connection: close", b"", b"")

    assert answer.startswith(b"HTTP/1.1 503 ")


def test_body_is_forwarded_before_it_has_ended(front: Front, echo: Echo) -> None:
    echo.came.clear()
    came = []

    def pieces() -> Iterator[bytes]:
        yield PIECE
        came.append(echo.came.wait(60))
        for _ in range(480):
            yield PIECE

    with front.client("acme") as client:
        answer = client.post("/v1/jobs", content=pieces())

    assert came == [True]
    assert answer.json()["length"] == 481 * len(PIECE)


def test_unreachable_cell_fails_at_once_and_only_for_its_tenants(front: Front) -> None:
    with front.client("globex") as client:
        answer = client.post("/v1/jobs", content=b"photo")

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (503, "unavailable")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "2"
    assert problem["instance"] == f"urn:uuid:{answer.headers['x-request-id']}"
    assert front.fetch_echo()["method"] == "GET"


@pytest.mark.parametrize(("is_trusted", "status"), [(True, 200), (False, 503)])
def test_certificate_of_a_cell_is_verified(
    front: Front, tmp_path: Path, *, is_trusted: bool, status: int
) -> None:
    trusted = front.certificate if is_trusted else None
    urls = {"outer": f"https://amber.{DOMAIN}:{front.port}"}

    with (
        nginx_before(urls, {"acme": "outer"}, tmp_path, trusted=trusted) as before,
        before.client("acme") as client,
    ):
        answer = client.get("/v1/jobs")

    assert answer.status_code == status


@pytest.mark.parametrize("host", ["photos.test", "stranger.photos.test", "local.photos.test", "x"])
def test_host_without_a_tenant_is_not_found(front: Front, host: str) -> None:
    with front.client("acme", Host=host) as client:
        answer = client.get("/v1/jobs")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"


def test_one_client_cannot_use_all_requests_of_a_cell(front: Front) -> None:
    # Requests whose bodies are missing stay in flight.
    part = (b"POST / HTTP/1.1", HOST, b"Content-Length: 5", b"", b"")

    with contextlib.ExitStack() as held:
        for _ in range(250):
            held.enter_context(front.send_part(*part))
        with front.client("acme") as client:
            statuses = {client.get("/v1/jobs").status_code for _ in range(3)}

    assert statuses == {503}


def test_large_photo_and_events_as_they_come_pass_to_a_real_cell(api: Api, tmp_path: Path) -> None:
    with (
        nginx_before({"amber": api.url}, {"acme": "amber"}, tmp_path) as front,
        front.client("acme", Authorization=api.client.headers["Authorization"]) as client,
    ):
        # A JPEG decoder ignores bytes after the end marker.
        photo = a_photo() + bytes(30_000_000)
        job = client.post("/v1/jobs", files={"photo": photo}).raise_for_status().json()
        with client.stream("GET", f"/v1/jobs/{job['id']}/events") as answer:
            lines = (line for line in answer.iter_lines() if line.startswith("event: "))
            first = next(lines)
            client.post(f"/v1/jobs/{job['id']}/cancel").raise_for_status()
            rest = list(lines)

    assert first != rest[-1] == "event: job.canceled"


def test_browser_signs_in_at_its_tenants_host(api: Api, tmp_path: Path) -> None:
    key = api.client.headers["Authorization"].removeprefix("Bearer ")
    with (
        nginx_before({"amber": api.url}, {"acme": "amber"}, tmp_path) as front,
        front.client("acme") as browser,
    ):
        signed_in = browser.post("/v1/session", json={"key": key})
        cookie = signed_in.headers["set-cookie"].partition(";")[0]
        own = {"Cookie": cookie, "Origin": f"https://{browser.headers['Host']}"}

        assert cookie.startswith("__Host-")
        assert browser.get("/v1/jobs", headers=own).status_code == 200
        other = {**own, "Origin": "https://other.test"}
        assert browser.get("/v1/jobs", headers=other).status_code == 403
