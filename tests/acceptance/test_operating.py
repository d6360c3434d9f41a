"""What operators do to a running service: drain a worker, pause a queue."""

from typing import Any

import pytest

from smart_filter_shared.doorbell import queue_of
from smart_filter_shared.jobs.presence import SENDING
from smart_filter_tests import commands
from smart_filter_tests.bench import settings_of
from smart_filter_tests.commands import Command
from smart_filter_tests.running import Running


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


def test_paused_queue_holds_jobs_up_until_it_is_resumed(
    running_stack: Running, command: Command
) -> None:
    queues = [one["capability"] for one in command("queues", "list")["items"]]
    (queue,) = [one for one in queues if one.startswith("composite.")]

    command("queues", "pause", queue)
    job_id = running_stack.submit()
    running_stack.until(lambda: command("queues", "show", queue)["items"] != [])
    held = running_stack.job(job_id)["state"]
    command("queues", "resume", queue)

    assert held == "running"
    assert running_stack.wait(job_id)["state"] == "succeeded"
