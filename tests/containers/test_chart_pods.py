"""The chart's pods, started by `podman kube play` from the rendered templates."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from containers.compose_stack import PATIENCE_SECONDS, draw_photos
from containers.engine import Engine
from containers.images import OwnImages
from containers.podman import Podman, open_podman
from smart_filter_client import Client
from smart_filter_tests import chart
from smart_filter_tests.s3_server import S3Stack

# Podman is downloaded, and loads both images.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
URL = "http://127.0.0.1:8000"
PHOTOS = 5
WEIGHTS = "weights"
SECRET = "smart-filter"


@pytest.fixture
def podman(engine: Engine, own_images: OwnImages, tmp_path: Path) -> Iterator[Podman]:
    """Podman with our images, in the private network of the engine."""
    if not engine.is_private:
        pytest.skip("the pods' ports may be in use on this machine")
    saved = tmp_path / "images.tar"
    engine.docker("save", "--output", saved, own_images.api, own_images.worker)
    with open_podman() as opened:
        opened.run("load", "--input", saved)
        saved.unlink()
        yield opened


def test_pods_of_the_chart_make_pictures(
    podman: Podman, own_images: OwnImages, servers: S3Stack
) -> None:
    addresses = servers.addresses
    podman.create_claim(WEIGHTS)
    podman.create_secret(
        SECRET,
        {
            "database-url": addresses.database_url,
            "broker-url": addresses.broker_url,
            "storage-access-key": addresses.access_key,
            "storage-secret-key": addresses.secret_key,
            "secrets-key": "s" * 32,
            "live-secret": "l" * 32,
        },
    )
    pods = render_pods(own_images, addresses.storage_url)

    podman.play("prepare", pods.pop("prepare"))
    assert podman.run("wait", "prepare-prepare") == "0", podman.run("logs", "prepare-prepare")
    for name, pod in pods.items():
        podman.play(name, pod)
    created = podman.run(
        *("exec", "api-api", "smart-filter", "keys", "create", "--json"),
        *("--tenant", "test", "--scopes", "submit,read"),
    )
    for name, pod in pods.items():
        if pod["spec"]["containers"][0]["name"] == "worker":
            wait_until_healthy(podman, f"{name}-worker")

    with Client(URL, json.loads(created)["key"]) as client:
        jobs = [client.submit(photo) for photo in draw_photos(PHOTOS)]
        ended = list(client.finished([job.id for job in jobs], timeout=PATIENCE_SECONDS))

    assert [job.state for job in ended] == ["succeeded"] * PHOTOS
    containers = [f"{name}-{pod['spec']['containers'][0]['name']}" for name, pod in pods.items()]
    restarts = {name: podman.inspect(name)["RestartCount"] for name in containers}
    assert restarts == dict.fromkeys(containers, 0)


def render_pods(own_images: OwnImages, storage_url: str) -> dict[str, dict[str, Any]]:
    """Return the pods of an installation on CPUs by their names, without what Podman cannot do.

    Podman runs a probe of `httpGet` as curl in the container, and no image of ours has it. It maps
    no ports in the network of the tests, where the pods reach the servers.
    """
    values = {
        "images": {"api": own_images.api, "worker": own_images.worker},
        "secret": SECRET,
        "weightsClaim": WEIGHTS,
        "storage": {"url": storage_url},
        "live": {"enabled": True, "url": "ws://127.0.0.1:8090"},
        # Podman knows no policies of networks, but the chart wants peers for them.
        "network": {
            name: {"to": [{"ipBlock": {"cidr": "127.0.0.1/32"}}]}
            for name in ("database", "broker", "storage")
        },
    }
    pods = chart.render(values).pods()
    for pod in pods.values():
        for container in pod["spec"]["containers"]:
            container.pop("ports", None)
            if "httpGet" in container.get("livenessProbe", {}):
                for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                    container.pop(probe, None)
    return pods


def wait_until_healthy(podman: Podman, container: str) -> None:
    """Run the chart's probe of a container until it succeeds: only systemd would repeat it."""
    gives_up_at = time.monotonic() + PATIENCE_SECONDS
    while podman.inspect(container)["State"]["Health"]["Status"] != "healthy":
        assert time.monotonic() < gives_up_at, podman.run("logs", container)
        podman.run("healthcheck", "run", container, check=False)
