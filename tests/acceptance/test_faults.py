"""What goes wrong while a photo is on its way, and what becomes of its job."""

import os
import signal
from collections import Counter

import psycopg

from smart_filter_tests.running import WORKER, Running


def keys_of(running: Running) -> list[str]:
    """Return the rows' keys of every stage result, to see one twice."""
    url = running.stack.addresses.database_url.replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT job_id::text || stage FROM stages").fetchall()
    return [row[0] for row in rows]


def test_worker_killed_inside_a_stage_loses_nothing(running_stack: Running) -> None:
    with running_stack.armed("hangs") as flag:
        job_id = running_stack.submit(segmentation__model="hangs", background="color:red")
        running_stack.until((running_stack.faults / "hangs.reached").exists)
        pid = running_stack.stack.pid(WORKER)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        flag.unlink()
    job = running_stack.wait(job_id)

    assert job["state"] == "succeeded"
    attempts = {stage["name"]: stage["attempt"] for stage in job["stages"]}
    assert attempts == {"prepare": 1, "segmentation": 2, "composite": 1}


def test_stage_that_kills_its_worker_once_is_tried_again(running_stack: Running) -> None:
    with running_stack.armed("kills"):
        job = running_stack.wait(running_stack.submit(segmentation__model="kills"))

    assert job["state"] == "succeeded"


def test_stage_that_raises_fails_its_job_after_three_attempts(running_stack: Running) -> None:
    with running_stack.armed("raises"):
        job = running_stack.wait(running_stack.submit(segmentation__model="raises"))

    assert job["state"] == "failed"
    assert (job["error"]["code"], job["error"]["stage"]) == ("model_failed", "segmentation")
    assert "raised as asked" not in job["error"]["detail"]
    attempts = {stage["name"]: stage["attempt"] for stage in job["stages"]}
    assert attempts["segmentation"] == 3


def test_last_attempt_in_a_process_of_its_own_can_succeed(running_stack: Running) -> None:
    with running_stack.armed("raises") as flag:
        flag.write_text("2")
        job = running_stack.wait(running_stack.submit(segmentation__model="raises"))

    attempts = {stage["name"]: stage["attempt"] for stage in job["stages"]}
    assert (job["state"], attempts["segmentation"]) == ("succeeded", 3)


def test_broker_flushed_loses_no_job(running_stack: Running) -> None:
    submitted = []
    for _ in range(5):
        submitted.append(running_stack.submit(background="color:blue"))
        running_stack.broker.flushdb()

    states = Counter(running_stack.wait(job_id)["state"] for job_id in submitted)

    assert states == {"succeeded": 5}


def test_broker_killed_loses_no_job(running_stack: Running) -> None:
    running_stack.stack.kill("valkey")
    submitted = [running_stack.submit(background="color:blue") for _ in range(3)]

    states = Counter(running_stack.wait(job_id)["state"] for job_id in submitted)

    assert states == {"succeeded": 3}


def test_job_canceled_in_mid_work_stays_canceled(running_stack: Running) -> None:
    with running_stack.armed("hangs"):
        (running_stack.faults / "hangs.reached").unlink(missing_ok=True)
        job_id = running_stack.submit(segmentation__model="hangs", background="color:red")
        running_stack.until((running_stack.faults / "hangs.reached").exists)
        answer = running_stack.client.post(f"/v1/jobs/{job_id}/cancel")
    after = running_stack.wait(running_stack.submit(background="keep"))

    assert answer.status_code == 200
    assert after["state"] == "succeeded"
    job = running_stack.job(job_id)
    assert job["state"] == "canceled"
    assert {stage["state"] for stage in job["stages"]} == {"succeeded", "canceled"}


def test_photo_that_kills_every_worker_is_poison_and_its_neighbours_succeed(
    running_stack: Running,
) -> None:
    with running_stack.armed("kills-always"):
        poison = running_stack.submit(segmentation__model="kills")
        neighbours = [running_stack.submit(background="color:blue") for _ in range(3)]
        job = running_stack.wait(poison)
        errors = [running_stack.wait(one)["error"] for one in neighbours]

    assert (job["state"], job["error"]["code"]) == ("failed", "poison")
    assert errors == [None] * 3


def test_photo_that_hangs_in_every_attempt_is_poison(impatient_stack: Running) -> None:
    with impatient_stack.armed("hangs"):
        job = impatient_stack.wait(impatient_stack.submit(segmentation__model="hangs"))

    assert (job["state"], job["error"]["code"]) == ("failed", "poison")


def test_worker_told_to_stop_hands_back_what_it_cannot_finish(running_stack: Running) -> None:
    (running_stack.faults / "hangs.reached").unlink(missing_ok=True)
    with running_stack.armed("hangs"):
        job_id = running_stack.submit(segmentation__model="hangs", background="color:red")
        running_stack.until((running_stack.faults / "hangs.reached").exists)
        running_stack.stack.send(WORKER, signal.SIGTERM)
        running_stack.until(lambda: running_stack.stack.pid(WORKER) is None)
    job = running_stack.wait(job_id)

    attempts = {stage["name"]: stage["attempt"] for stage in job["stages"]}
    assert job["state"] == "succeeded"
    assert attempts["segmentation"] == 1
