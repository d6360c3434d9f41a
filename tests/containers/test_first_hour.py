"""The first hour of docs/deploying.md, typed as it stands: from a clone to a restored backup."""

import json
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from containers import images
from containers.compose_stack import PATIENCE_SECONDS, PHOTO, ComposeStack
from containers.engine import CHECKOUT, Engine
from containers.images import OwnImages, copy_checkout
from smart_filter_client import Client
from smart_filter_tests.http_server import ReceivedRequest
from smart_filter_tests.live_worker import view_frame
from smart_filter_tests.page_walk import Walk, of_the_test, type_all, walk

# The first test builds the images.
pytestmark = pytest.mark.timeout(1500)
PAGE = "docs/deploying.md"
URL, OPERATORS_URL = "http://127.0.0.1:8000", "http://127.0.0.1:8001"
# A file that the image of the API has.
CHANGED = "api/smart_filter_api/__init__.py"
DASHBOARD = CHECKOUT / "deploy" / "grafana" / "dashboards" / "smart-filter.json"


@dataclass(frozen=True, slots=True)
class FirstHour:
    """A terminal, and the steps of the page that are not typed yet."""

    terminal: Walk
    steps: list[tuple[str, str]]
    stack: ComposeStack

    def follow(self, title: str) -> None:
        """Type the commands of the next step."""
        found, text = self.steps.pop(0)
        assert found == title
        assert type_all(self.terminal, text) > 0

    def type(self, code: str) -> str:
        """Return what a command prints that is not on the page."""
        return self.terminal.type(of_the_test(f"{code}\n")).strip()


@pytest.fixture
def more_servers(engine: Engine) -> Iterator[None]:
    """The images of monitoring and of TLS."""
    with images.provide(engine, images.list_more_servers()):
        yield


@pytest.fixture
def hour(
    engine: Engine,
    own_images: OwnImages,  # noqa: ARG001 - its layers are those of the page's images
    tmp_path: Path,
) -> Iterator[FirstHour]:
    """A clone, on an engine without any service."""
    if not engine.is_private:
        pytest.skip("the page's project, ports and images may be in use on this machine's engine")
    folder = tmp_path / "smart-filter"
    origin = tmp_path / "origin"
    origin.mkdir()
    copy_checkout(origin)
    commit(origin, "init", "--quiet")
    commit(origin, "add", "--all")
    commit(origin, "commit", "--quiet", "--message=first")
    commit(origin, "tag", "v0.0.1")
    commit(tmp_path, "clone", "--quiet", origin, folder)
    stack = ComposeStack(engine, folder, "smart-filter", URL, OPERATORS_URL, 8000, 8090, 8333, 9090)
    with (
        walk(PAGE, folder=folder, scratch=tmp_path, environment=engine.environment) as terminal,
        removed_afterwards(stack),
    ):
        page = (CHECKOUT / PAGE).read_text()
        part = page.partition("\n## The first hour\n")[2].partition("\n## ")[0]
        steps = re.findall(r"^### \d+\. (.+?)$(.+?)(?=^### |\Z)", part, re.MULTILINE | re.DOTALL)
        yield FirstHour(terminal, steps, stack)


def test_service_starts_and_makes_a_picture_as_the_page_says(hour: FirstHour) -> None:
    hour.follow("Start")
    hour.follow("A key and a photo")

    [api] = hour.stack.inspect("api")
    assert api["State"]["Health"]["Status"] == "healthy"


@pytest.mark.slow
@pytest.mark.usefixtures("more_servers")
def test_first_hour_goes_as_the_page_says(hour: FirstHour) -> None:
    stack = hour.stack
    hour.follow("Start")
    hour.follow("A key and a photo")
    key = hour.type('echo "$SMART_FILTER_API_KEY"')
    with Client(URL, key) as client:
        job = client.run(PHOTO, timeout=PATIENCE_SECONDS)
        picture = client.output(job.id, "image").content

    hour.follow("TLS")
    assert_tls(hour, f"/v1/jobs/{job.id}/outputs/image?redirect=1", picture)

    hour.follow("Scale")
    assert len(stack.inspect("segmentation")) == 2

    hour.follow("The dashboard")
    assert_dashboard_is_evaluated()

    with stack.receiver("screens") as receiver:
        hour.type(f"export ALERT_URL={receiver.url}")
        hour.follow("A page on an alert")
        receiver.wait(lambda request: "Trial" in alerts_of(request))
        hour.type("docker compose stop api")
        receiver.wait(lambda request: "ApiDown" in alerts_of(request))
        hour.type("docker compose up --wait")

    hour.follow("Back up")

    [before] = stack.inspect("api")
    publish_version(stack.folder.parent / "origin")
    hour.follow("Upgrade")
    [after] = stack.inspect("api")
    assert before["Image"] != after["Image"]

    hour.type("docker compose down")
    hour.type("git clone --quiet ../origin ../elsewhere && cd ../elsewhere")
    hour.type("export COMPOSE_PROJECT_NAME=elsewhere")
    hour.follow("Restore on another machine")
    with Client(URL, key) as client:
        assert client.output(job.id, "image").content == picture
    assert hour.steps == []


def assert_tls(hour: FirstHour, link: str, picture: bytes) -> None:
    """Check pictures, the operators' pages and live video behind Caddy."""
    folder = hour.stack.folder / "build"
    # curl finds names that end in .localhost by itself.
    curl = (
        "curl --silent --cacert build/caddy.pem"
        ' --header "Authorization: Bearer $SMART_FILTER_API_KEY" https://photos.localhost'
    )
    with Image.open(folder / "no-bg.png") as cut_out:
        assert (cut_out.mode, cut_out.size) == ("RGBA", (512, 512))
    final = hour.type(
        f"{curl}'{link}' --location --output build/linked --write-out '%{{url_effective}}'"
    )
    hidden = hour.type(f"{curl}/metrics --output /dev/null --write-out '%{{http_code}}'")
    live = json.dumps({"background": "color:#336699"})
    announced = json.loads(hour.type(f"{curl}/v1/live --json '{live}'"))
    trust = ssl.create_default_context(cafile=str(folder / "caddy.pem"))
    frame = np.asarray(Image.open(PHOTO).convert("RGB"))
    to_caddy = socket.create_connection(("127.0.0.1", 443))
    ready, seen = view_frame(announced, frame, sock=to_caddy, ssl=trust)

    assert final.startswith("https://pictures.localhost/")
    assert (folder / "linked").read_bytes() == picture
    assert hidden == "404"
    assert ready["type"] == "ready"
    assert seen.said["people"]


def assert_dashboard_is_evaluated() -> None:
    """Check that Prometheus can evaluate every panel."""
    expressions = re.findall(r'"expr": "((?:[^"\\]|\\.)*)"', DASHBOARD.read_text())
    with httpx.Client(base_url="http://127.0.0.1:9090/api/v1", timeout=60) as http:
        answers = {
            expression: http.get("/query", params={"query": query_of(expression)})
            for expression in expressions
        }

    assert answers
    assert {one for one, answer in answers.items() if answer.status_code != 200} == set()


def query_of(expression: str) -> str:
    """Return an expression of the dashboard's file as Grafana sends it for all capabilities."""
    query: str = json.loads(f'"{expression}"')
    return query.replace("$capability", ".*")


def alerts_of(request: ReceivedRequest) -> set[str]:
    """Return the names of the alerts in a request of Alertmanager."""
    return {alert["labels"]["alertname"] for alert in json.loads(request.body)["alerts"]}


def publish_version(origin: Path) -> None:
    """Commit and tag a version whose image of the API differs."""
    changed = origin / CHANGED
    changed.write_text(f"{changed.read_text()}\n# A later version.\n")
    commit(origin, "commit", "--quiet", "--all", "--message=second")
    commit(origin, "tag", "v0.0.2")


def commit(folder: Path, *arguments: str | Path) -> None:
    """Run git as an author of its own."""
    author = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *author, *arguments], cwd=folder, check=True)


@contextmanager
def removed_afterwards(stack: ComposeStack) -> Iterator[None]:
    """Remove both stacks in the end."""
    try:
        yield
    finally:
        for project in (stack.project, "elsewhere"):
            stack.engine.run(
                *("docker", "compose", "--project-name", project, "down", "--volumes", "-t5"),
                folder=stack.folder,
                check=False,
            )
