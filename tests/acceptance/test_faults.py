"""What goes wrong while a photo is on its way, and what becomes of its job."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smart_filter_tests.running import ENGINE, WORKER, Running, running


@pytest.fixture(scope="module")
def impatient_stack(data_folder: Path, weights_folder: Path) -> Iterator[Running]:
    """A whole stack whose stages may take three seconds."""
    impatient = {**ENGINE, "SMART_FILTER_STAGE_SECONDS": "3"}
    with running(data_folder / "impatient", weights_folder, impatient) as stack:
        yield stack


def hanging(running: Running) -> str:
    """Submit a photo and return its job while a worker hangs in its segmentation."""
    reached = running.faults / "hangs.reached"
    reached.unlink(missing_ok=True)
    job_id = running.submit(segmentation__model="hangs", background="color:red")
    running.until(reached.exists)
    return job_id


def attempts(job: dict[str, Any]) -> dict[str, int]:
    return {stage["name"]: stage["attempt"] for stage in job["stages"]}


def test_worker_killed_inside_a_stage_loses_nothing(running_stack: Running) -> None:
    with running_stack.armed("hangs"):
        job_id = hanging(running_stack)
        pid = running_stack.stack.pid(WORKER)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    job = running_stack.wait(job_id)

    assert job["state"] == "succeeded"
    assert attempts(job) == {"prepare": 1, "segmentation": 2, "composite": 1}


@pytest.mark.slow
def test_worker_asked_to_stop_hands_back_what_it_cannot_finish(running_stack: Running) -> None:
    with running_stack.armed("hangs"):
        job_id = hanging(running_stack)
        running_stack.stack.send(WORKER, signal.SIGTERM)
        running_stack.until(lambda: running_stack.stack.pid(WORKER) is None)
    job = running_stack.wait(job_id)

    assert (job["state"], attempts(job)["segmentation"]) == ("succeeded", 1)


def test_job_canceled_in_mid_work_stays_canceled(running_stack: Running) -> None:
    with running_stack.armed("hangs"):
        job_id = hanging(running_stack)
        answer = running_stack.client.post(f"/v1/jobs/{job_id}/cancel")
    after = running_stack.run(background="keep")

    job = running_stack.job(job_id)
    assert (answer.status_code, job["state"], after["state"]) == (200, "canceled", "succeeded")
    assert {stage["state"] for stage in job["stages"]} == {"succeeded", "canceled"}


@pytest.mark.slow
def test_stage_that_raises_fails_its_job_after_three_attempts(running_stack: Running) -> None:
    with running_stack.armed("raises"):
        job = running_stack.run(segmentation__model="raises")

    assert job["state"] == "failed"
    assert (job["error"]["code"], job["error"]["stage"]) == ("model_failed", "segmentation")
    assert "raised as asked" not in job["error"]["detail"]
    assert attempts(job)["segmentation"] == 3


@pytest.mark.slow
def test_last_attempt_in_a_process_of_its_own_can_succeed(running_stack: Running) -> None:
    with running_stack.armed("raises") as flag:
        flag.write_text("2")
        job = running_stack.run(segmentation__model="raises")

    assert (job["state"], attempts(job)["segmentation"]) == ("succeeded", 3)


@pytest.mark.slow
def test_photo_that_kills_every_worker_is_poison_and_its_neighbors_succeed(
    running_stack: Running,
) -> None:
    with running_stack.armed("kills-always"):
        poison = running_stack.submit(segmentation__model="kills")
        neighbors = [running_stack.submit(background="color:blue") for _ in range(3)]
        job = running_stack.wait(poison)
        states = [running_stack.wait(job_id)["state"] for job_id in neighbors]

    assert (job["state"], job["error"]["code"]) == ("failed", "poison")
    assert states == ["succeeded"] * 3


@pytest.mark.slow
def test_photo_that_hangs_in_every_attempt_is_poison(impatient_stack: Running) -> None:
    with impatient_stack.armed("hangs"):
        job = impatient_stack.run(segmentation__model="hangs")

    assert (job["state"], job["error"]["code"]) == ("failed", "poison")
