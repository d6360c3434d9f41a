"""A batch's photos at the service: sent once, found again after a kill, replaced on request."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from smart_filter_api.auth.api_keys import Scope
from smart_filter_deploy.cli.batch.journal import Journal
from smart_filter_deploy.cli.batch.report import Row
from smart_filter_deploy.cli.batch.retry import RetryingClient
from smart_filter_deploy.cli.batch.watch import FoundPhoto
from smart_filter_deploy.cli.batch.worker import PhotoWorker
from smart_filter_deploy.cli.server.connection import Server
from smart_filter_deploy.cli.server.submit_and_fetch import PhotoRequest
from smart_filter_deploy.cli.terminal.signals import StopFlag
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import Failure
from smart_filter_tests.outages import wait_until
from smart_filter_tests.serving import Api, a_photo
from smart_filter_tests.stages import PREPARE
from smart_filter_tests.stored_results import run_stages


@dataclass(slots=True)
class Batch:
    """A photo, and the worker of a batch with an output folder."""

    api: Api
    patience: RetryingClient
    photo: FoundPhoto
    output: Path

    def take(self, end: Callable[[Api], None] | None = None, *, again: bool = False) -> Row:
        """Let the worker take the photo; end: what ends the job that it makes, None for none."""
        jobs = self.count_jobs()
        with Journal.opened(self.output) as journal, ThreadPoolExecutor() as pool:
            wanted = PhotoRequest({"background": "keep"})
            worker = PhotoWorker(
                self.patience,
                journal,
                wanted,
                recipe="r",
                stop=StopFlag(),
                tell=lambda _name, _where: None,
            )
            taken = pool.submit(worker.take, self.photo, again=again)
            if end is not None:
                wait_until(lambda: self.count_jobs() == jobs + 1)
                end(self.api)
            return taken.result()

    def count_jobs(self) -> object:
        return self.api.bench.scalar("SELECT count(*) FROM jobs")


@pytest.fixture
def batch(api: Api, tmp_path: Path) -> Iterator[Batch]:
    path = tmp_path / "a.jpg"
    path.write_bytes(a_photo())
    status = path.stat()
    photo = FoundPhoto("a.jpg", path, (status.st_size, status.st_mtime_ns))
    output = tmp_path / "output"
    output.mkdir()
    server = Server(api.url, api.key(*Scope))
    client = RetryingClient(lambda: server, stop=StopFlag(), tell=lambda _why: None)
    with closing(client) as patience:
        yield Batch(api, patience, photo, output)


def succeed(api: Api) -> None:
    run_stages(api, StageName.PREPARE, StageName.COMPOSITE)


def fail(api: Api) -> None:
    api.fail(PREPARE, Failure("no_person", "No person", "there is no person"))


def test_photo_that_was_sent_before_a_kill_and_not_noted_has_one_job(batch: Batch) -> None:
    first = batch.take(succeed)
    batch.output = batch.output.with_name("without-a-journal")
    batch.output.mkdir()

    again = batch.take()

    assert (first.state, again.job_id, batch.count_jobs()) == ("succeeded", first.job_id, 1)
    assert (batch.output / "a.png").read_bytes() == b"made"


def test_failed_job_is_replaced_on_request_only(batch: Batch) -> None:
    failed = batch.take(fail)

    seen = batch.take()
    replaced = batch.take(succeed, again=True)

    assert failed.error == {"code": "no_person", "detail": "there is no person"}
    assert seen == failed
    assert (replaced.state, batch.count_jobs()) == ("succeeded", 2)
    assert batch.take(again=True) == replaced


def test_photo_whose_picture_and_job_are_gone_is_sent_again(batch: Batch) -> None:
    first = batch.take(succeed)
    assert first.output is not None
    Path(first.output).unlink()
    batch.api.client.delete(f"/v1/jobs/{first.job_id}").raise_for_status()

    second = batch.take(succeed)

    assert second.job_id != first.job_id
    assert second.output == first.output


def test_touched_photo_is_not_sent_again(batch: Batch) -> None:
    first = batch.take(succeed)
    os.utime(batch.photo.path, ns=(1, 1))
    batch.photo = FoundPhoto("a.jpg", batch.photo.path, (batch.photo.version[0], 1))

    assert batch.take() == first
    assert batch.count_jobs() == 1
