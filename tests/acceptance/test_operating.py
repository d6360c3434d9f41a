"""What operators do to a running service and expect of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from smart_filter_shared.doorbell import queue_of
from smart_filter_shared.jobs.presence import SENDING
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_tests import commands
from smart_filter_tests.bench import settings_of
from smart_filter_tests.commands import Command
from smart_filter_tests.pooling import held
from smart_filter_tests.running import ENGINE, WORKER, Running, running
from smart_filter_tests.serving import a_photo


@pytest.fixture
def command(
    running_stack: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    told = settings_of(running_stack.stack.addresses)
    return commands.on_servers(told, capsys, monkeypatch)


def test_drained_worker_takes_neither_work_nor_rings_until_it_is_resumed(
    running_stack: Running, command: Command
) -> None:
    def worker() -> dict[str, Any]:
        items = command("workers", "list")["items"]
        return dict(*[one for one in items if one["wanted"] != [SENDING]])

    running_stack.until(lambda: worker().get("capabilities", []) != [])
    served = worker()["capabilities"]
    (entrance,) = [one for one in served if one.startswith("prepare.")]

    command("workers", "drain", worker()["id"])
    running_stack.until(lambda: worker()["capabilities"] == [])
    job_id = running_stack.submit()
    running_stack.until(lambda: running_stack.broker.llen(queue_of(entrance)) > 0)
    waiting = running_stack.job(job_id)["state"]
    command("workers", "resume", worker()["id"])
    ended = running_stack.wait(job_id)["state"]

    assert (waiting, ended) == ("queued", "succeeded")
    assert worker()["capabilities"] == served


TENANT = "/v1/tenants/local"


@pytest.fixture
def forgetful(running_stack: Running) -> Iterator[Running]:
    running_stack.client.patch(TENANT, json={"keep_nothing": True}).raise_for_status()
    yield running_stack
    running_stack.client.patch(TENANT, json={"keep_nothing": False}).raise_for_status()


def test_nothing_of_a_photo_is_left_once_its_picture_is_fetched(forgetful: Running) -> None:
    bucket = ObjectStore(settings_of(forgetful.stack.addresses).storage, connections=1)
    job = forgetful.run(background="color:red", outputs="image,faces")
    job_id = job["id"]
    shown = forgetful.client.get(job["links"]["photo"])
    objects = [one.key for one in bucket.stored() if job_id in one.key]

    picture = forgetful.output(job_id, "image")
    faces = forgetful.output(job_id, "faces")
    forgetful.until(lambda: not any(job_id in one.key for one in bucket.stored()))
    forgetful.until(lambda: forgetful.job(job_id)["faces"] is None)

    assert len(objects) >= 4
    # To be shown the photo is no delivery, and it goes with the rest.
    gone = forgetful.client.get(job["links"]["photo"])
    assert (shown.status_code, gone.status_code) == (200, 410)
    assert len(picture) == job["image"]["bytes"]
    assert b"landmarks" in faces
    answer = forgetful.client.get(f"/v1/jobs/{job_id}/outputs/image")
    assert (answer.status_code, answer.json()["code"]) == (410, "output_expired")


# docs/deploying.md reckons with them.
OF_A_WORKER, OF_AN_API = 3, 4
JOBS, CLIENTS = 32, 16


@pytest.mark.slow
def test_worker_and_api_hold_few_connections_at_work(running_stack: Running) -> None:
    most = {WORKER: 0, "api": 0}

    def submit(_: int) -> str:
        return running_stack.submit(a_photo(), background="color:navy")

    def has_ended(job_ids: list[str]) -> bool:
        with ThreadPoolExecutor(CLIENTS) as clients:
            jobs = clients.map(running_stack.job, job_ids)
            for name in (WORKER, "api"):
                most[name] = max(most[name], held(running_stack, name))
            return all(job["finished_at"] is not None for job in jobs)

    with ThreadPoolExecutor(CLIENTS) as clients:
        submitting = [clients.submit(submit, number) for number in range(JOBS)]
        while not all(one.done() for one in submitting):
            most["api"] = max(most["api"], held(running_stack, "api"))
        job_ids = [one.result() for one in submitting]
    running_stack.until(lambda: has_ended(job_ids), seconds=100)

    assert 1 < most[WORKER] <= OF_A_WORKER
    assert 1 < most["api"] <= OF_AN_API


@pytest.mark.slow
def test_without_research_weights_a_photo_is_rated_by_geometry(
    data_folder: Path, weights_folder: Path
) -> None:
    told = {**ENGINE, "SMART_FILTER_RESEARCH_WEIGHTS": "off"}

    with running(data_folder / "research", weights_folder, told) as stack:
        offered = stack.client.get("/v1/models").json()["items"]
        job = stack.run(outputs="faces")

    smile = next(stage for stage in job["stages"] if stage["name"] == "smile")
    assert (job["state"], smile["model"]) == ("succeeded", "geometry")
    assert [face["emotion"] for face in job["faces"]] == [None]
    assert [card["name"] for card in offered if card["research"]] == []
    assert "geometry" in {card["name"] for card in offered if card["default"]}
