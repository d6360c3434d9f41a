"""A tenant whose stages take long leaves a thread of each process to others."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from sqlalchemy import Connection

from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.queue import heads
from smart_filter_shared.queue.heads import QuickOnly
from smart_filter_shared.queue.leases import Lease
from smart_filter_tests import face_worker
from smart_filter_tests.bench import Bench, capability
from smart_filter_tests.face_worker import FaceWorker
from smart_filter_tests.scenarios import KEEP_BACKGROUND
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE
from smart_filter_tests.statement_costs import record_costs
from smart_filter_workers.runtime import runner
from smart_filter_workers.runtime.claiming import thread_share

ANN, BOB = Tenant("ann"), Tenant("bob")
BOB_ONLY = QuickOnly(quick=(BOB,))


@dataclass
class Clock:
    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def advance(self) -> None:
        self.now += 30


@pytest.fixture
def worker(bench: Bench) -> Iterator[FaceWorker]:
    with face_worker.start(bench, threads=2) as started:
        yield started


def test_second_thread_is_left_to_others(
    bench: Bench, worker: FaceWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(thread_share, "time", clock)
    worker.submit(tenant=BOB)
    runner.run(worker.services)
    worker.submit(tenant=ANN)
    worker.meanwhile.append(clock.advance)
    runner.run(worker.services)
    long = [worker.submit(tenant=ANN) for _ in range(2)]
    seen = []

    def look() -> None:
        """Take a turn in another thread, while the first thread runs a stage of ann."""
        short = worker.submit(tenant=BOB)
        with ThreadPoolExecutor(1) as other:
            other.submit(runner.run, worker.services).result()
        seen.extend(bench.row(job_id, FACE)["state"] for job_id in (*long, short))

    worker.meanwhile.append(look)
    runner.run(worker.services)

    assert seen == ["running", "ready", "succeeded"]
    assert {bench.row(job_id, FACE)["state"] for job_id in long} == {"succeeded"}


def test_batch_has_rows_of_the_allowed_tenants_only(bench: Bench) -> None:
    jobs = [bench.submit(KEEP_BACKGROUND, tenant=tenant) for tenant in (ANN, BOB, ANN, BOB)]

    with bench.transaction() as connection:
        leases = WORKER.claim(
            connection,
            capability(PREPARE),
            worker=bench.worker,
            batch_size=4,
            lease_seconds=30,
            max_attempts=3,
            only=BOB_ONLY,
        )

    assert {lease.job_id for lease in leases} == {jobs[1], jobs[3]}


def test_queue_of_a_tenant_that_is_not_allowed_has_no_head(bench: Bench) -> None:
    bench.submit(KEEP_BACKGROUND, tenant=ANN)
    bench.advance(PREPARE)
    bench.submit(KEEP_BACKGROUND, tenant=BOB)
    served = [capability(PREPARE), capability(COMPOSITE)]

    assert bench.do(heads.next_capability, served) == capability(COMPOSITE)
    assert bench.do(heads.next_capability, served, only=BOB_ONLY) == capability(PREPARE)
    assert bench.do(heads.next_capability, served, only=QuickOnly()) is None


@pytest.mark.parametrize(
    ("megapixels", "is_quick"), [(0.3, True), (13, True), (13.1, False), (0, False)]
)
def test_photo_of_an_unknown_tenant_is_quick_by_its_size(
    bench: Bench,
    megapixels: float,
    is_quick: bool,  # noqa: FBT001 - a table
) -> None:
    for tenant in (ANN, BOB):
        job_id = bench.submit(KEEP_BACKGROUND, tenant=tenant)
        bench.execute("UPDATE jobs SET megapixels = :n WHERE id = :id", n=megapixels, id=job_id)
    served = [capability(PREPARE)]

    def has_head(*slow: Tenant) -> bool:
        only = QuickOnly(slow=slow, most_megapixels=13)
        return bench.do(heads.next_capability, served, only=only) is not None

    assert [has_head(), has_head(ANN), has_head(ANN, BOB)] == [is_quick, is_quick, False]


def test_claim_for_tenants_reads_no_backlog_of_others(bench: Bench) -> None:
    first = bench.submit(KEEP_BACKGROUND, tenant=ANN)
    bench.copy(first, 2000, every_seconds=1.0)

    def claim(connection: Connection) -> list[Lease]:
        return WORKER.claim(
            connection,
            capability(PREPARE),
            worker=bench.worker,
            lease_seconds=30,
            max_attempts=3,
            only=BOB_ONLY,
        )

    with record_costs(bench.engine, bench.engine) as log:
        assert bench.do(heads.next_capability, [capability(PREPARE)], only=BOB_ONLY) is None
        assert bench.do(claim) == []

    # Each looks at 500 rows, and the job of each: six pages in all at most.
    assert log.pages < 2 * 500 * 6
    job_id = bench.submit(KEEP_BACKGROUND, tenant=BOB)
    assert [lease.job_id for lease in bench.do(claim)] == [job_id]


def test_head_starts_of_others_do_not_hide_a_quick_row(bench: Bench) -> None:
    bench.execute("UPDATE sweeper SET virtual_time = 1000")
    first = bench.submit(KEEP_BACKGROUND, tenant=ANN)
    bench.copy(first, 600, every_seconds=0.0)
    bench.execute("UPDATE stages SET rank = 940, head_start = 60")
    job_id = bench.submit(KEEP_BACKGROUND, tenant=BOB)
    bench.execute("UPDATE stages SET rank = 1000 WHERE job_id = :id", id=job_id)
    bench.execute("UPDATE stages SET rank = 940 - random() WHERE job_id <> :id", id=job_id)

    assert bench.do(heads.next_capability, [capability(PREPARE)], only=BOB_ONLY) is not None
