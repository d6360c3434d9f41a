"""Faults of a running service, operator actions, and outgoing connections."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance.isolated_network import isolate_network
from smart_filter_deploy.cli.server import program
from smart_filter_shared.doorbell import queue_name
from smart_filter_shared.queue.worker_registry import SENDER_ROLE
from smart_filter_shared.storage.opening import open_store
from smart_filter_tests import commands
from smart_filter_tests.bench import settings_of
from smart_filter_tests.commands import Command
from smart_filter_tests.full_stack import ENGINE, PHOTO, RunningStack, run_stack
from smart_filter_tests.outages import wait_until
from smart_filter_tests.patience import PATIENCE_SECONDS
from smart_filter_tests.serving import refusal_of
from smart_filter_workers.artifacts import content_credentials
from smart_filter_workers.models import catalog
from smart_filter_workers.networks.faces import expression
from smart_filter_workers.weights import packaged

# Loads the library as its vendor ships it. Its first report follows about ten seconds later.
UNGUARDED = "import onnxruntime, time; time.sleep(600)"
OPENS_LIVE_VIDEO = """
import asyncio, json, sys, httpx, websockets
url, key = sys.argv[1:]
headers = {"Authorization": "Bearer " + key}
let_in = httpx.post(url + "/v1/live", json={}, headers=headers, timeout=60).json()
async def open_live():
    offered = ["smart-filter-live", let_in["token"]]
    async with websockets.connect(let_in["url"], subprotocols=offered, open_timeout=60) as socket:
        await socket.send("{}")
        assert json.loads(await socket.recv())["type"] == "ready"
asyncio.run(open_live())
"""


def hanging(running: RunningStack) -> str:
    """Submit a photo and return its job while a worker hangs in its segmentation."""
    reached = running.faults / "hangs.reached"
    reached.unlink(missing_ok=True)
    job_id = running.submit(segmentation__model="hangs", background="color:red")
    running.until(reached.exists)
    return job_id


def test_job_canceled_while_a_stage_runs_stays_canceled(running_stack: RunningStack) -> None:
    with running_stack.arm("hangs"):
        job_id = hanging(running_stack)
        answer = running_stack.client.post(f"/v1/jobs/{job_id}/cancel")
    after = running_stack.run(background="keep")

    job = running_stack.job(job_id)
    assert (answer.status_code, job["state"], after["state"]) == (200, "canceled", "succeeded")
    assert {stage["state"] for stage in job["stages"]} == {"canceled"}


@pytest.fixture
def command(
    running_stack: RunningStack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    given = settings_of(running_stack.stack.addresses)
    return commands.on_servers(given, capsys, monkeypatch)


def test_drained_worker_takes_neither_work_nor_rings_until_it_is_resumed(
    running_stack: RunningStack, command: Command
) -> None:
    def worker() -> dict[str, Any]:
        items = command("workers", "list")["items"]
        return dict(*[item for item in items if item["wanted"] != [SENDER_ROLE]])

    running_stack.until(lambda: worker().get("capabilities", []) != [])
    served = worker()["capabilities"]
    (entrance,) = [one for one in served if one.startswith("prepare.")]

    command("workers", "drain", worker()["id"])
    running_stack.until(lambda: worker()["capabilities"] == [])
    job_id = running_stack.submit()
    running_stack.until(lambda: running_stack.broker.llen(queue_name(entrance)) > 0)
    waiting = running_stack.job(job_id)["state"]
    command("workers", "resume", worker()["id"])
    ended = running_stack.wait(job_id)["state"]

    assert (waiting, ended) == ("queued", "succeeded")
    assert worker()["capabilities"] == served


TENANT = "/v1/tenants/local"


@pytest.fixture
def forgetful(running_stack: RunningStack) -> Iterator[RunningStack]:
    running_stack.client.patch(TENANT, json={"keep_nothing": True}).raise_for_status()
    yield running_stack
    running_stack.client.patch(TENANT, json={"keep_nothing": False}).raise_for_status()


def test_nothing_of_a_photo_is_left_once_its_picture_is_fetched(forgetful: RunningStack) -> None:
    bucket = open_store(settings_of(forgetful.stack.addresses).storage, connections=1)
    job = forgetful.run(background="color:red", outputs="image,faces")
    job_id = job["id"]
    shown = forgetful.client.get(job["links"]["photo"])
    objects = [one.key for one in bucket.stored() if job_id in one.key]

    picture = forgetful.output(job_id, "image")
    faces = forgetful.output(job_id, "faces")
    forgetful.until(lambda: not any(job_id in one.key for one in bucket.stored()))
    forgetful.until(lambda: forgetful.job(job_id)["faces"] is None)

    assert len(objects) >= 4
    # A fetched photo is not a delivered output; the photo is removed with the rest.
    gone = forgetful.client.get(job["links"]["photo"])
    assert (shown.status_code, gone.status_code) == (200, 410)
    assert len(picture) == job["image"]["bytes"]
    assert b"landmarks" in faces
    answer = forgetful.client.get(f"/v1/jobs/{job_id}/outputs/image")
    assert refusal_of(answer) == (410, "output_expired")


@pytest.mark.slow
def test_without_research_weights_only_models_for_commercial_use_run(
    data_folder: Path, weights_folder: Path
) -> None:
    given = {**ENGINE, "SMART_FILTER_RESEARCH_WEIGHTS": "off"}
    known = catalog.discover_models(research=False)
    allowed = data_folder / "allowed"
    allowed.mkdir()
    for file in packaged.list_files(without=known.refused_files):
        (allowed / file.name).symlink_to(weights_folder / file.name)

    with run_stack(data_folder / "research", allowed, given) as stack:
        offered = stack.client.get("/v1/models").json()["items"]
        job = stack.run(outputs="faces")
        refused = stack.client.post(
            "/v1/jobs",
            files={"photo": PHOTO.read_bytes()},
            data={"outputs": "rating", "smile.model": "expression"},
        )

    ran = {stage["name"]: stage["model"] for stage in job["stages"]}
    assert job["state"] == "succeeded"
    assert {name: ran[name] for name in ("segmentation", "face", "smile")} == {
        "segmentation": "people-blazeface",
        "face": "blazeface",
        "smile": "mouth",
    }
    assert [(face["emotion"], face["smile"]["level"] != "none") for face in job["faces"]] == [
        (None, True)
    ]
    assert {face["eyes"]["left_open"] for face in job["faces"]} == {True}
    assert {card["commercial"] for card in offered} == {"yes"}
    assert refusal_of(refused) == (422, "not_available")
    assert "SMART_FILTER_RESEARCH_WEIGHTS" in refused.json()["errors"][0]["detail"]


@pytest.mark.slow
def test_without_emotions_a_background_is_chosen_and_no_network_for_them_loaded(
    data_folder: Path, weights_folder: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    for file in weights_folder.iterdir():
        if file.name != expression.WEIGHTS.name:
            (weights / file.name).symlink_to(file)
    given = {**ENGINE, "SMART_FILTER_EMOTIONS": "off"}

    with run_stack(data_folder / "emotions", weights, given) as stack:
        offered = stack.client.get("/v1/models").json()["items"]
        job = stack.run(background="auto", outputs="image,faces")

    smile = next(stage for stage in job["stages"] if stage["name"] == "smile")
    assert (job["state"], smile["model"]) == ("succeeded", "mouth")
    assert ([face["emotion"] for face in job["faces"]], job["emotions_notice"]) == ([None], None)
    assert job["background"]["reason"]
    assert [card["name"] for card in offered if card["emotions"]] == []


@pytest.fixture
def environment(data_folder: Path, weights_folder: Path, tmp_path: Path) -> dict[str, str]:
    """A shell's environment only: variables that name a CI service would silence the library."""
    data = data_folder / "secluded"
    data.mkdir(mode=0o711)
    (data / "weights").symlink_to(weights_folder)
    (tmp_path / "home").mkdir()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "SMART_FILTER_DATA": str(data),
    }


@pytest.mark.slow
def test_working_stack_looks_up_no_name(environment: dict[str, str], tmp_path: Path) -> None:
    with (
        isolate_network(tmp_path / "network") as network,
        network.start(program.command("up", "--json"), environment) as up,
    ):
        try:
            assert up.stdout is not None
            first = json.loads(up.stdout.readline())
            for command in (
                program.command(
                    *(
                        "run",
                        str(PHOTO),
                        "--set",
                        "provenance=c2pa",
                        "-o",
                        str(tmp_path / "signed.jpg"),
                    )
                ),
                (sys.executable, "-c", OPENS_LIVE_VIDEO, first["url"], first["api_key"]),
            ):
                with network.start(command, environment) as process:
                    _, said = process.communicate(timeout=PATIENCE_SECONDS)
                assert process.returncode == 0, said
            wait_for_report(tmp_path / "unguarded", environment)
        finally:
            up.send_signal(signal.SIGTERM)
            up.communicate(timeout=PATIENCE_SECONDS)

    assert network.queried_names == []
    signed = (tmp_path / "signed.jpg").read_bytes()
    assert content_credentials.find_fault(signed, "image/jpeg") is None


def wait_for_report(folder: Path, environment: dict[str, str]) -> None:
    """Wait until an unguarded process that loads the library has queried its vendor's host.

    Any library loaded earlier would have reported before that.
    """
    command = (sys.executable, "-c", UNGUARDED)
    with isolate_network(folder) as network, network.start(command, environment) as process:
        wait_until(lambda: bool(network.queried_names))
        process.kill()
