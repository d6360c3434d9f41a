"""Leases of workers that were killed: a worker that starts on their machine expires them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from smart_filter_shared.ids import WorkerId, new_worker_id
from smart_filter_tests.bench import Bench
from smart_filter_tests.maintenance import sweeper
from smart_filter_tests.stages import PREPARE
from smart_filter_workers.system import resources

_PROCESS = """
import sys
from smart_filter_workers.system import resources
print(resources.identify_process(), flush=True)
sys.stdin.read()
"""


@contextmanager
def running_process() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a process until the end of the block; yield its identity and the process."""
    with subprocess.Popen(
        [sys.executable, "-c", _PROCESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
        process.kill()


@pytest.fixture
def killed() -> str:
    """Return the identity of a process that was killed."""
    with running_process() as (identity, _):
        pass
    return identity


def register(bench: Bench, process: str | None) -> WorkerId:
    """Register a worker with a process, and let it make the next claims."""
    bench.worker = new_worker_id()
    bench.announce(id=bench.worker, process=process)
    return bench.worker


def start_worker(bench: Bench) -> None:
    """Do what a worker does with the leases of others when it starts."""
    sweeper(bench).expire_ended()


def test_starting_worker_expires_the_leases_of_a_killed_one(bench: Bench, killed: str) -> None:
    job_id = bench.submit()
    worker = register(bench, killed)
    lease = bench.claim_one(PREPARE)

    start_worker(bench)
    bench.sweep()

    assert bench.states(job_id)["prepare"] == "ready"
    assert bench.complete(lease).lost == [lease]
    assert bench.claim_one(PREPARE).attempt == 2  # a photo that kills workers runs out of attempts
    assert bench.scalar("SELECT count(*) FROM workers WHERE id = :id", id=worker) == 0


def test_starting_worker_leaves_the_leases_of_living_ones(bench: Bench) -> None:
    bench.submit()
    with running_process() as (living, _):
        register(bench, living)
        lease = bench.claim_one(PREPARE)

        start_worker(bench)

    assert bench.complete(lease).lost == []


@pytest.mark.parametrize("part", [0, 1, None], ids=["boot", "container", "unknown"])
def test_worker_of_another_machine_or_an_unknown_one_is_not_judged(
    bench: Bench, killed: str, part: int | None
) -> None:
    bench.submit()
    parts = killed.split()
    if part is not None:
        parts[part] = "another"
    register(bench, None if part is None else " ".join(parts))
    lease = bench.claim_one(PREPARE)

    start_worker(bench)

    assert bench.complete(lease).lost == []


def test_lease_on_the_last_attempt_stays_until_it_is_late(bench: Bench, killed: str) -> None:
    bench.submit()
    for _ in range(bench.settings.engine.max_attempts - 1):
        bench.age(bench.claim_one(PREPARE), seconds=31)
        bench.sweep()
    register(bench, killed)
    lease = bench.claim_one(PREPARE)

    start_worker(bench)

    assert bench.complete(lease).lost == []


def test_process_whose_id_belongs_to_another_now_has_ended() -> None:
    *rest, _ = resources.identify_process().split()

    assert resources.has_ended(" ".join([*rest, "1"]))


def test_process_of_another_user_that_is_hidden_has_not_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)

    assert not resources.has_ended(resources.identify_process())
