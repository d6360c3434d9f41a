"""A tenant whose stages take long leaves a thread of each process to others."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, text

from smart_filter_shared.ids import Capability, JobId, Tenant
from smart_filter_shared.queue import heads
from smart_filter_shared.queue.heads import QuickOnly
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe, required_stages
from smart_filter_tests import claiming, face_worker
from smart_filter_tests.bench import Bench, capability
from smart_filter_tests.face_worker import FaceWorker
from smart_filter_tests.scenarios import KEEP_BACKGROUND
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION
from smart_filter_tests.statement_costs import record_costs
from smart_filter_workers.runtime import runner

ANN, BOB = Tenant("ann"), Tenant("bob")
BOB_ONLY = QuickOnly(quick=(BOB,))


@pytest.fixture
def worker(bench: Bench) -> Iterator[FaceWorker]:
    with face_worker.start(bench, threads=2) as started:
        yield started


def submit(worker: FaceWorker, tenant: Tenant, *, megapixels: float) -> JobId:
    job_id = worker.submit(tenant=tenant)
    worker.bench.execute(
        "UPDATE jobs SET megapixels = :size WHERE id = :id", size=megapixels, id=job_id
    )
    return job_id


def test_second_thread_is_left_to_small_photos(bench: Bench, worker: FaceWorker) -> None:
    submit(worker, BOB, megapixels=0.3)
    runner.run_turn(worker.context)
    large = [submit(worker, ANN, megapixels=49) for _ in range(2)]
    seen = []

    def look() -> None:
        """Take a turn in another thread, while the first thread runs a stage of ann."""
        small = submit(worker, BOB, megapixels=0.3)
        with ThreadPoolExecutor(1) as other:
            other.submit(runner.run_turn, worker.context).result()
        seen.extend(bench.row(job_id, FACE)["state"] for job_id in (*large, small))

    worker.meanwhile.append(look)
    runner.run_turn(worker.context)

    assert seen == ["running", "ready", "succeeded"]
    assert {bench.row(job_id, FACE)["state"] for job_id in large} == {"succeeded"}


def test_batch_has_rows_of_the_allowed_tenants_only(bench: Bench) -> None:
    jobs = [bench.submit(KEEP_BACKGROUND, tenant=tenant) for tenant in (ANN, BOB, ANN, BOB)]

    with bench.transaction() as connection:
        leases = claiming.claim(
            connection,
            [capability(PREPARE)],
            worker=bench.worker,
            batch_size=4,
            only=BOB_ONLY,
        )

    assert {lease.job_id for lease in leases} == {jobs[1], jobs[3]}


def test_queue_of_a_tenant_that_is_not_allowed_has_no_head(bench: Bench) -> None:
    bench.submit(KEEP_BACKGROUND, tenant=ANN)
    bench.advance(PREPARE)
    bench.submit(KEEP_BACKGROUND, tenant=BOB)
    served = [capability(PREPARE), capability(COMPOSITE)]

    def claim(only: QuickOnly | None) -> list[Capability]:
        leases = bench.do(claiming.claim, served, worker=bench.worker, only=only)
        return [lease.capability for lease in leases]

    assert claim(None) == [capability(COMPOSITE)]
    assert claim(QuickOnly()) == []
    assert claim(BOB_ONLY) == [capability(PREPARE)]


@pytest.mark.parametrize(
    ("megapixels", "is_quick"), [(0.3, True), (13, True), (13.1, False), (0, False)]
)
def test_photo_is_quick_by_its_size(
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
        return bench.do(heads.list_ready, served, only=only) != []

    assert [has_head(), has_head(ANN), has_head(ANN, BOB)] == [is_quick, is_quick, False]


def test_stage_that_fetches_its_background_is_not_quick(bench: Bench) -> None:
    address = Background(BackgroundKind.URL, "https://example.com/a.jpg")
    job_id = bench.submit(Recipe(background=address))
    bench.execute("UPDATE jobs SET megapixels = 1 WHERE id = :id", id=job_id)
    only = QuickOnly(most_megapixels=13)
    heads_seen = []

    for stage in required_stages(Recipe(background=address)):
        heads_seen += bench.do(heads.list_ready, [capability(stage)], only=only)
        bench.advance(stage)

    assert heads_seen == [capability(PREPARE), capability(SEGMENTATION)]


def test_claim_for_tenants_reads_no_backlog_of_others(bench: Bench) -> None:
    first = bench.submit(KEEP_BACKGROUND, tenant=ANN)
    bench.copy(first, 2000, every_seconds=1.0)
    # Rows of other tests are dead, and their pages would count.
    with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM jobs, stages"))

    def claim(connection: Connection) -> list[Lease]:
        return claiming.claim(
            connection,
            [capability(PREPARE)],
            worker=bench.worker,
            only=BOB_ONLY,
        )

    with record_costs(bench.engine, bench.engine) as log:
        assert bench.do(heads.list_ready, [capability(PREPARE)], only=BOB_ONLY) == []
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

    assert bench.do(heads.list_ready, [capability(PREPARE)], only=BOB_ONLY) != []
