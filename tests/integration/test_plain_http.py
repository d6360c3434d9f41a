"""Requests without TLS to nginx and Caddy before one machine: pages are redirected, else 403."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from smart_filter_deploy.embedded.addresses import free_port
from smart_filter_tests import reverse_proxies
from smart_filter_tests.tls_certificates import create_certificate

DEPLOY = Path(__file__).parents[2] / "deploy"


@contextlib.contextmanager
def nginx(folder: Path, port: int) -> Iterator[None]:
    create_certificate(folder, "photos.example.com")
    # Only places change: ports and folders.
    text = (DEPLOY / "nginx/one-machine.conf").read_text().replace("/etc/nginx", str(folder))
    text = text.replace("listen 443", f"listen 127.0.0.1:{free_port()}")
    text = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
    with reverse_proxies.run_nginx(folder, text, port):
        yield


@contextlib.contextmanager
def caddy(folder: Path, port: int) -> Iterator[None]:
    text = (DEPLOY / "caddy/Caddyfile").read_text()
    ports = f"http_port {port}\n\thttps_port {free_port()}\n\tstorage file_system {folder}"
    text = text.replace("admin off", f"admin off\n\t{ports}").replace(":2020", f":{free_port()}")
    # The defaults of the hosts, also where the environment names others.
    text = re.sub(r"\{\$\w+:([\w.]+)\}", r"\1", text)
    with reverse_proxies.run_caddy(folder, text, port):
        yield


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((run, host), id=name, marks=pytest.mark.needs_program(name))
        for name, run, host in (
            ("nginx", nginx, "photos.example.com"),
            ("caddy", caddy, "photos.localhost"),
        )
    ],
)
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of the proxy's port without TLS."""
    run, host = request.param
    port = free_port()
    with (
        run(tmp_path_factory.mktemp("proxy"), port),
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Host": host},
            timeout=60,
            trust_env=False,
        ) as client,
    ):
        yield client


@pytest.mark.parametrize("path", ["/", "/?a=b", "/docs", "/problems/scope", "/sign-in/oidc"])
def test_page_leads_to_https(client: httpx.Client, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 301
    assert answer.headers["location"] == f"https://{client.headers['Host']}{path}"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in ("/v1/jobs", "/v1.0/account", "/v1/live/socket", "/livez")),
        *(("POST", path) for path in ("/v1/jobs", "/v1.0/removebg", "/")),
        *(("HEAD", "/v1/jobs"), ("PUT", "/smart-filter/upload"), ("OPTIONS", "/v1/jobs")),
    ],
)
def test_request_of_a_program_is_refused(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path)

    assert answer.status_code == 403
    assert "location" not in answer.headers
    assert answer.headers["content-type"] == "application/problem+json"
    if method != "HEAD":
        assert answer.json()["status"] == 403
        assert "https" in answer.json()["detail"]
