"""The nginx of docs/removebg.md, which answers as api.remove.bg, in a real nginx."""

import contextlib
import datetime as dt
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from smart_filter_api.auth.api_keys import Scope
from smart_filter_deploy.cli.removebg import certificate
from smart_filter_deploy.embedded.ports import free_port
from smart_filter_tests.bench import TENANT
from smart_filter_tests.removebg_client import PHOTO, PICTURE, RemoveBgClient, open_client
from smart_filter_tests.serving import Api

PAGE = Path(__file__).parents[2] / "docs" / "removebg.md"
NGINX = shutil.which(os.environ.get("NGINX", "nginx"), path=f"{os.environ['PATH']}:/usr/sbin")
HOST = "api.remove.bg"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
START_SECONDS = 30

pytestmark = pytest.mark.skipif(
    NGINX is None, reason="no nginx: deploy/bootstrap.sh proxies installs it"
)


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
    # Only places change: ports, files, and the folders that packages of nginx own.
    server = server.replace("listen 443", f"listen 127.0.0.1:{port}")
    server = server.replace("/srv/removebg-tls", str(tmp_path))
    server = server.replace("127.0.0.1:8000", urlsplit(client.api.url).netloc)
    folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in TEMPORARY)
    (tmp_path / "nginx.conf").write_text(
        f"events {{}}\nhttp {{ access_log off; {folders}\n{server}\n}}\n"
    )
    places = ("-e", f"{tmp_path}/error.log", "-g", f"daemon off; pid {tmp_path}/pid;")
    process = subprocess.Popen([str(NGINX), "-c", f"{tmp_path}/nginx.conf", *places])
    try:
        wait_until_open(port, process)
        with httpx.Client(
            base_url=f"https://127.0.0.1:{port}",
            headers={
                "Host": HOST,
                "X-Api-Key": client.api.key(Scope.SUBMIT, tenant=TENANT),
            },
            verify=ssl.create_default_context(cafile=str(tmp_path / "ca.pem")),
            timeout=60,
            trust_env=False,
        ) as front:
            yield front
    finally:
        process.terminate()
        process.wait()


def wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    begun = dt.datetime.now(dt.UTC)
    while (dt.datetime.now(dt.UTC) - begun).total_seconds() < START_SECONDS:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None
    raise AssertionError("nginx does not listen")


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
