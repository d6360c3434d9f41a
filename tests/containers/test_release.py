"""compose.release.yml without a checkout, and nginx with TLS in front of it."""

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image

from containers.compose_stack import (
    PATIENCE_SECONDS,
    PHOTO,
    ComposeStack,
    draw_photos,
    release_stack,
)
from containers.engine import CHECKOUT, Engine
from containers.images import OwnImages
from smart_filter_client import Client
from smart_filter_deploy.embedded.addresses import free_port
from smart_filter_tests import reverse_proxies
from smart_filter_tests.live_worker import view_frame
from smart_filter_tests.tls_certificates import create_certificate

# The first test builds the images.
pytestmark = pytest.mark.timeout(1500)
CONFIGURATION = CHECKOUT / "deploy" / "nginx" / "one-machine.conf"


@pytest.fixture(scope="module")
def tls_port() -> int:
    """The port of nginx, which the stack's public addresses name."""
    return free_port()


@pytest.fixture(scope="module")
def stack(engine: Engine, own_images: OwnImages, tls_port: int) -> Iterator[ComposeStack]:
    """The stack of a release, healthy."""
    public = {
        "SMART_FILTER_STORAGE_PUBLIC_URL": f"https://pictures.example.com:{tls_port}",
        "SMART_FILTER_LIVE_URL": f"wss://live.example.com:{tls_port}",
    }
    with release_stack(engine, own_images, public) as services:
        services.up()
        yield services


@contextlib.contextmanager
def nginx_before(stack: ComposeStack, port: int, folder: Path) -> Iterator[ssl.SSLContext]:
    """Run nginx; yield what verifies its certificate."""
    hosts = (f"{name}.example.com" for name in ("photos", "live", "pictures"))
    certificate = create_certificate(folder, *hosts)
    # Only places change: ports and folders.
    text = CONFIGURATION.read_text().replace("/etc/nginx", str(folder))
    text = text.replace("listen 443", f"listen 127.0.0.1:{port}")
    text = text.replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
    for given, used in ((8000, stack.port), (8090, stack.live_port), (8333, stack.storage_port)):
        text = text.replace(f"pass http://127.0.0.1:{given};", f"pass http://127.0.0.1:{used};")
    with reverse_proxies.run_nginx(folder, text, port):
        yield certificate.trusting()


def test_database_roles_are_no_superusers(stack: ComposeStack) -> None:
    roles = stack.exec(
        *("postgres", "psql", "-U", "postgres", "-At", "smart_filter", "-c"),
        "SELECT rolname, rolsuper FROM pg_roles WHERE rolcanlogin ORDER BY rolname",
    )

    processes = [f"smart_filter_{process}|f" for process in ("api", "sender", "worker")]
    assert roles.splitlines() == ["postgres|t", "smart_filter|f", *processes]


def test_one_file_runs_the_service_and_keeps_its_secrets(stack: ComposeStack) -> None:
    [photo] = draw_photos(1)
    with Client(stack.url, stack.create_key()) as client:
        job = client.run(photo, timeout=PATIENCE_SECONDS)
        picture = client.output(job.id, "image").content

        stack.compose("down")
        stack.up()

        assert client.output(job.id, "image").content == picture


@pytest.mark.needs_program("nginx")
def test_nginx_with_tls_serves_the_api_pictures_and_live_video(
    stack: ComposeStack, tls_port: int, tmp_path: Path
) -> None:
    key = stack.create_key()
    [photo] = draw_photos(1)
    frame = np.asarray(Image.open(PHOTO).convert("RGB"))

    with (
        nginx_before(stack, tls_port, tmp_path) as trust,
        httpx.Client(
            base_url=f"https://127.0.0.1:{tls_port}",
            verify=trust,
            timeout=PATIENCE_SECONDS,
        ) as http,
    ):

        def ask(method: str, path: str, host: str = "photos", **given: object) -> httpx.Response:
            name = f"{host}.example.com"
            headers = {"host": f"{name}:{tls_port}"}
            # A link to a picture is signed, and the storage takes one authorization.
            if host == "photos":
                headers["authorization"] = f"Bearer {key}"
            return http.request(
                method,
                path,
                headers=headers,
                extensions={"sni_hostname": name},
                **given,  # type: ignore[arg-type]
            )

        submitted = ask("POST", "/v1/jobs", files={"photo": photo}).raise_for_status().json()
        path = f"/v1/jobs/{submitted['id']}"
        while ask("GET", path).json()["state"] not in {"succeeded", "failed"}:
            time.sleep(1)
        redirected = ask("GET", f"{path}/outputs/image?redirect=1", follow_redirects=False)
        link = urlsplit(redirected.headers["location"])
        picture = ask("GET", f"{link.path}?{link.query}", host="pictures")
        hidden = {ask("GET", place).status_code for place in ("/metrics", "/readyz", "/admin")}
        announced = ask("POST", "/v1/live", json={"background": "color:#336699"}).json()
        socket_to_nginx = socket.create_connection(("127.0.0.1", tls_port))
        ready, seen = view_frame(announced, frame, sock=socket_to_nginx, ssl=trust)

    assert link.netloc == f"pictures.example.com:{tls_port}"
    assert picture.status_code == 200
    assert re.match("image/", picture.headers["content-type"])
    assert hidden == {404}
    assert ready["type"] == "ready"
    assert seen.said["people"]
