"""The nginx of docs/removebg-network.md, which answers as api.remove.bg, in a real nginx."""

import datetime as dt
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from smart_filter_api.auth.api_keys import Scope
from smart_filter_deploy.cli.removebg import certificate
from smart_filter_deploy.embedded.ports import free_port
from smart_filter_tests import reverse_proxies
from smart_filter_tests.bench import TENANT
from smart_filter_tests.removebg_client import PHOTO, PICTURE, RemoveBgClient, open_client
from smart_filter_tests.serving import Api

PAGE = Path(__file__).parents[2] / "docs" / "removebg-network.md"
HOST = "api.remove.bg"

pytestmark = pytest.mark.needs_program("nginx")


@pytest.fixture
def client(api: Api) -> Iterator[RemoveBgClient]:
    with open_client(api) as client:
        yield client


@pytest.fixture
def front(client: RemoveBgClient, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of nginx before the API, which trusts the CA and looks up no name."""
    certificate.issue(tmp_path, hosts=[], server_days=2, now=dt.datetime.now(dt.UTC))
    port = free_port()
    (server,) = re.findall(r"(?ms)^ {8}server \{\n.*?\n {8}\}$", PAGE.read_text())
    # Only places change: ports and files.
    server = server.replace("listen 443", f"listen 127.0.0.1:{port}")
    server = server.replace("/srv/removebg-tls", str(tmp_path))
    server = server.replace("127.0.0.1:8000", urlsplit(client.api.url).netloc)
    with (
        reverse_proxies.run_nginx(tmp_path, server, port),
        httpx.Client(
            base_url=f"https://127.0.0.1:{port}",
            headers={
                "Host": HOST,
                "X-Api-Key": client.api.key(Scope.SUBMIT, tenant=TENANT),
            },
            verify=ssl.create_default_context(cafile=str(tmp_path / "ca.pem")),
            timeout=60,
            trust_env=False,
        ) as front,
    ):
        yield front


def test_program_gets_its_picture_through_nginx(
    client: RemoveBgClient, front: httpx.Client
) -> None:
    as_host = {"sni_hostname": HOST}

    answer = client.begin_request(
        lambda: front.post("/v1.0/removebg", files={"image_file": PHOTO}, extensions=as_host)
    )
    client.work()

    assert (answer.result().status_code, answer.result().content) == (200, PICTURE)
    assert front.get("/v1.0/account", extensions=as_host).status_code == 200


def test_only_the_interface_of_removebg_is_reached(front: httpx.Client) -> None:
    answer = front.get("/v1/jobs", extensions={"sni_hostname": HOST})

    assert answer.status_code == 404
    assert "application/problem+json" not in answer.headers["Content-Type"]
