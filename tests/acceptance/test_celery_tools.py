"""Celery's own command line shows the workers and the stages of a running stack."""

import json
import os
import subprocess
import sys
from socket import gethostname

import pytest

from smart_filter_shared.doorbell import RING_TASK
from smart_filter_tests.full_stack import RunningStack

CELERY = (sys.executable, "-m", "celery")


def command(stack: RunningStack, *words: str) -> tuple[str, ...]:
    return (*CELERY, "-b", stack.stack.addresses.broker_url, *words)


def inspect(stack: RunningStack, what: str) -> dict[str, object]:
    """Return the answer of each worker to `celery inspect`, by the name of its node."""
    words = command(stack, "inspect", "--timeout", "20", "--json", what)
    ended = subprocess.run(words, capture_output=True, text=True, check=True)
    answers: dict[str, object] = json.loads(ended.stdout)
    return answers


@pytest.mark.slow
@pytest.mark.parametrize("what", ["ping", "stats", "active", "registered"])
def test_celery_inspect_is_answered_by_every_worker(running_stack: RunningStack, what: str) -> None:
    running_stack.run(background="keep")

    ((node, answer),) = inspect(running_stack, what).items()

    assert node.endswith(f"@{gethostname()}")
    if what == "stats":
        assert isinstance(answer, dict)
        assert answer["pool"]["max-concurrency"] == 4
    if what == "registered":
        assert answer == [RING_TASK]


@pytest.mark.slow
def test_celery_status_lists_the_worker(running_stack: RunningStack) -> None:
    running_stack.run(background="keep")

    words = command(running_stack, "status", "--timeout", "20")
    ended = subprocess.run(words, capture_output=True, text=True, check=True)

    assert f"@{gethostname()}: OK" in ended.stdout
    assert "1 node online" in ended.stdout


def test_celery_events_show_the_stages_of_a_job(running_stack: RunningStack) -> None:
    heard: list[str] = []
    with subprocess.Popen(
        command(running_stack, "events", "--dump"),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as dump:
        try:
            assert dump.stdout is not None
            # The first heartbeat of the worker tells that the command listens.
            next(line for line in dump.stdout if "heartbeat" in line)
            job = running_stack.run(background="keep")
            job_id = job["id"]
            for line in dump.stdout:
                heard.append(line)
                if f"task succeeded: composite({job_id}." in line:
                    break
        finally:
            dump.kill()

    assert len(job["stages"]) > 1
    for stage in [ran["name"] for ran in job["stages"]]:
        kinds = [line for line in heard if f"{stage}({job_id}.{stage})" in line]
        assert [line.partition("task ")[2].partition(":")[0] for line in kinds] == [
            *("received", "started", "succeeded")
        ]
        assert f"'job': '{job_id}'" in kinds[0]
        assert "runtime=" in kinds[-1]
    assert not [line for line in heard if RING_TASK in line]
