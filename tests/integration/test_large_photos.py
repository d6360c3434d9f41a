"""A large photo waits for room: its lease is kept, and a stop or its loss ends the wait."""

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from smart_filter_shared.ids import JobId
from smart_filter_tests import face_worker
from smart_filter_tests.bench import Bench
from smart_filter_tests.face_worker import FaceWorker
from smart_filter_tests.stages import FACE
from smart_filter_workers.runtime import runner, steps
from smart_filter_workers.runtime.claiming.large_photos import LargePhotos
from smart_filter_workers.runtime.task import Task
from smart_filter_workers.system.resources import MemoryLimit


@pytest.fixture
def worker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaceWorker]:
    monkeypatch.setattr(steps, "_ROOM_SECONDS", 0.01)
    with face_worker.start(bench, threads=2) as started:
        small = LargePhotos(MemoryLimit(0))
        started.context = dataclasses.replace(started.context, large_photos=small)
        yield started


def run_two(worker: FaceWorker, meanwhile: Callable[[Task], None]) -> tuple[JobId, JobId]:
    """Run a large photo, and another in a second thread; meanwhile: called while that one waits."""
    jobs = worker.submit(), worker.submit()
    worker.bench.execute("UPDATE jobs SET megapixels = 49")
    second: list[Future[None]] = []

    def wait_for_second() -> None:
        (first,) = worker.context.heartbeat.in_time()
        second.append(threads.submit(runner.run_turn, worker.context))
        while len(held := worker.context.heartbeat.in_time()) == 1:
            pass
        (waiting,) = (task for task in held if task is not first)
        meanwhile(waiting)

    worker.meanwhile.append(wait_for_second)
    with ThreadPoolExecutor(1) as threads:
        runner.run_turn(worker.context)
        second[0].result()
    return jobs


def test_waiting_photo_keeps_its_lease_and_runs_next(bench: Bench, worker: FaceWorker) -> None:
    def see_it_extended(waiting: Task) -> None:
        overdue_at = waiting.overdue_at
        while waiting.overdue_at == overdue_at:
            pass
        assert waiting in worker.context.heartbeat.in_time()

    jobs = run_two(worker, see_it_extended)

    assert [bench.row(job_id, FACE)["state"] for job_id in jobs] == ["succeeded", "succeeded"]


def test_waiting_photo_is_returned_when_the_worker_stops(bench: Bench, worker: FaceWorker) -> None:
    def stop(waiting: Task) -> None:
        worker.context.draining.set()
        while waiting in worker.context.heartbeat.in_time():
            pass

    first, second = run_two(worker, stop)

    assert bench.row(first, FACE)["state"] == "succeeded"
    row = bench.row(second, FACE)
    assert (row["state"], row["attempt"], row["releases"]) == ("waiting", 0, 1)


def test_photo_whose_lease_is_lost_waits_no_longer(bench: Bench, worker: FaceWorker) -> None:
    def lose(waiting: Task) -> None:
        waiting.lost.set()
        while waiting in worker.context.heartbeat.in_time():
            pass

    first, second = run_two(worker, lose)

    assert bench.row(first, FACE)["state"] == "succeeded"
    assert bench.row(second, FACE)["state"] == "running"  # until its lease ends
