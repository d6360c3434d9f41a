"""docker-compose.yml as it runs: real photos, killed containers, stops and starts."""

import datetime as dt
import io
import json
import re
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from standardwebhooks import Webhook

from containers import images
from containers.compose_stack import (
    PATIENCE_SECONDS,
    PHOTO,
    ComposeStack,
    draw_photos,
    submit_until_running,
)
from containers.engine import Engine
from containers.images import OwnImages
from smart_filter_client import Client, Job
from smart_filter_tests.live_worker import view_frame

# The first test builds the images.
pytestmark = pytest.mark.timeout(1500)
PHOTOS = 12
COLOR = (51, 102, 153)
BACKGROUND = "color:#336699"
# The official Python image has 125 MB, Ubuntu's 78 MB.
MOST_ADDED_TO_PYTHON = 130_000_000
MOST_ADDED_TO_UBUNTU = 1_100_000_000
# Names of our own logs, Python's tracebacks, and the libraries' warnings.
FAULT = re.compile(r'"level": "(warning|error)"|Traceback|\[[WE]:')
# The signal that asks a process to stop, as the exit status of one that does not handle it.
ENDED_BY_SIGTERM = 143
CONFINED = """
import json, os, socket
found = {"uid": os.getuid(), "writable": [], "reachable": []}
for place in ("/x", "/opt/x"):
    try:
        open(place, "w")
        found["writable"].append(place)
    except OSError:
        pass
for host, port in (("example.org", 443), ("192.0.2.1", 443)):
    try:
        socket.create_connection((host, port), 2)
        found["reachable"].append(host)
    except OSError:
        pass
status = open("/proc/self/status").read()
found["capabilities"] = [line.split()[1] for line in status.splitlines() if line[:6] == "CapEff"]
print(json.dumps(found))
"""


def test_every_service_starts_once_and_is_healthy(stack: ComposeStack) -> None:
    containers = {
        one["Config"]["Labels"]["com.docker.compose.service"]: one for one in stack.inspect()
    }

    states = {name: _state_of(one) for name, one in containers.items()}
    assert states == {
        name: "exited 0" if name in {"migrate", "weights"} else "healthy" for name in states
    }
    assert {name for name, one in containers.items() if one["RestartCount"]} == set()


def test_photo_is_cut_out_and_rated_without_a_fault_in_the_logs(
    stack: ComposeStack, client: Client
) -> None:
    since = dt.datetime.now(dt.UTC).isoformat()

    job = client.run(
        PHOTO,
        {"background": BACKGROUND, "format": "png", "outputs": ["image", "matte", "rating"]},
        timeout=PATIENCE_SECONDS,
    )

    assert job.state == "succeeded", job
    picture, matte = (_decode(client, job, name) for name in ("image", "matte"))
    original = np.asarray(Image.open(PHOTO).convert("RGB"))
    assert picture.shape == original.shape
    outside, inside = matte == 0, matte == 255
    assert outside.mean() > 0.1
    assert inside.mean() > 0.2
    assert np.all(picture[outside] == COLOR)
    # The same bound as in the acceptance tests, which have the reason.
    difference = np.abs(picture[inside].astype(int) - original[inside].astype(int))
    assert np.quantile(difference, 0.99) <= 2
    assert job.rating is not None
    assert job.rating.faces == 1
    assert job.rating.open_eye_ratio == 1
    assert 0.5 < job.rating.score <= 1
    lines = stack.compose("logs", "--no-color", f"--since={since}").splitlines()
    assert [line for line in lines if FAULT.search(line)] == []


def test_presigned_link_leads_to_the_published_port(stack: ComposeStack, client: Client) -> None:
    job = client.run(draw_photos(1)[0], timeout=PATIENCE_SECONDS)
    outputs = f"{stack.url}/v1/jobs/{job.id}/outputs/image?redirect=1"

    answer = httpx.get(
        outputs, headers={"authorization": f"Bearer {stack.create_key()}"}, follow_redirects=True
    )

    assert answer.status_code == 200
    assert answer.url.port == stack.storage_port
    assert answer.content == client.output(job.id, "image").content


def test_workers_are_confined(stack: ComposeStack) -> None:
    found = json.loads(stack.exec("segmentation", "python", "-c", CONFINED))

    assert found == {
        "uid": 10001,
        "writable": [],
        "reachable": [],
        "capabilities": ["0000000000000000"],
    }


def test_images_are_small(engine: Engine, own_images: OwnImages) -> None:
    sizes = images.measure_sizes(engine, own_images)

    # The bases differ between the real images and stand-ins.
    assert sizes.api_added <= MOST_ADDED_TO_PYTHON
    assert sizes.worker_added <= MOST_ADDED_TO_UBUNTU


def test_live_video_replaces_the_background(stack: ComposeStack) -> None:
    headers = {"authorization": f"Bearer {stack.create_key()}"}

    frame = np.asarray(Image.open(PHOTO).convert("RGB"))
    opened = httpx.post(f"{stack.url}/v1/live", headers=headers, json={"background": BACKGROUND})
    announced = opened.raise_for_status().json()
    ready, seen = view_frame(announced, frame)

    assert ready["type"] == "ready"
    assert seen.said["people"]
    assert len(seen.said["faces"]) == 1
    # JPEG changes a color by a few levels.
    assert np.abs(seen.srgb[:20, :20].astype(int) - COLOR).max() <= 8


def test_sender_delivers_a_signed_webhook(stack: ComposeStack) -> None:
    key = stack.create_key(scopes="submit,read,admin")
    headers = {"authorization": f"Bearer {key}"}
    with stack.receiver("outside") as receiver, Client(stack.url, key) as client:
        hook = httpx.post(
            f"{stack.url}/v1/webhooks", headers=headers, json={"url": receiver.url}
        ).raise_for_status()
        [photo] = draw_photos(1)

        job = client.run(photo, timeout=PATIENCE_SECONDS)

        delivered = receiver.wait()
    event = Webhook(hook.json()["secret"]).verify(delivered.body, delivered.headers)
    assert event["type"] == "job.succeeded"
    assert event["data"]["id"] == job.id


def test_operator_sees_workers_and_pauses_a_queue(stack: ComposeStack) -> None:
    key = stack.create_key("local", "operator")
    with httpx.Client(
        base_url=stack.operators_url, headers={"authorization": f"Bearer {key}"}, timeout=60
    ) as http:
        page = http.get("/admin")
        hidden = httpx.get(f"{stack.url}/admin", timeout=60)
        state = http.get("/v1/operator/standing").raise_for_status().json()
        capability = state["queues"][0]["capability"]
        address = f"/v1/operator/queues/{capability}/pause"

        paused = http.put(address).raise_for_status().json()
        resumed = http.delete(address).raise_for_status().json()

    assert (page.status_code, hidden.status_code) == (200, 404)
    assert {worker["host"] for worker in state["workers"]} >= _hosts_of(stack, "segmentation")
    assert (paused["capability"], resumed["capability"]) == (capability, capability)
    assert paused["paused_at"]
    assert resumed["paused_at"] is None


def test_scaled_and_killed_workers_lose_no_photo(stack: ComposeStack, client: Client) -> None:
    stack.up("--scale", "segmentation=2")
    assert len(_hosts_of(stack, "segmentation")) == 2
    jobs = submit_until_running(stack, client, "segmentation", photos=PHOTOS)

    stack.kill("prepare", "segmentation", "face", "smile")

    ended = list(client.finished([job.id for job in jobs], timeout=PATIENCE_SECONDS))
    assert [job.state for job in ended] == ["succeeded"] * len(jobs)
    stack.up("--scale", "segmentation=2")
    killed = stack.inspect("prepare", "segmentation", "face", "smile")
    assert [one["RestartCount"] for one in killed] == [1] * 5
    assert len(_hosts_of(stack, "segmentation")) == 2


def test_killed_servers_lose_no_photo(stack: ComposeStack, client: Client) -> None:
    jobs = submit_until_running(stack, client, "segmentation", photos=PHOTOS)

    stack.kill("postgres", "valkey", "storage")
    stack.up()

    ended = list(client.finished([job.id for job in jobs], timeout=PATIENCE_SECONDS))
    assert [job.state for job in ended] == ["succeeded"] * len(jobs)


def test_stopped_stack_ends_cleanly_and_continues(stack: ComposeStack, client: Client) -> None:
    before = client.run(draw_photos(1)[0], timeout=PATIENCE_SECONDS)
    picture = client.output(before.id, "image").content

    stack.compose("stop")

    statuses = {
        one["Config"]["Labels"]["com.docker.compose.service"]: one["State"]["ExitCode"]
        for one in stack.inspect()
    }
    # rclone, the stand-in for SeaweedFS, does not handle the signal.
    assert {name for name, status in statuses.items() if status and name != "storage"} == set()
    assert statuses["storage"] in {0, ENDED_BY_SIGTERM}
    stack.up()
    assert client.output(before.id, "image").content == picture
    after = client.run(draw_photos(1)[0], timeout=PATIENCE_SECONDS)
    assert after.state == "succeeded"


def _state_of(container: dict[str, Any]) -> str:
    state = container["State"]
    if "Health" in state and state["Running"]:
        return str(state["Health"]["Status"])
    return f"{state['Status']} {state['ExitCode']}"


def _decode(client: Client, job: Job, name: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:  # noqa: ANN401
    return np.asarray(Image.open(io.BytesIO(client.output(job.id, name).content)))


def _hosts_of(stack: ComposeStack, stage: str) -> set[str]:
    """Return the containers whose worker is ready for a stage."""
    listed = json.loads(stack.exec("api", "smart-filter", "workers", "list", "--json"))["items"]
    return {
        one["host"]
        for one in listed
        if one["state"] == "ready"
        and any(capability.startswith(f"{stage}.") for capability in one["capabilities"])
    }
