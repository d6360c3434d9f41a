"""What a claim takes, on a real PostgreSQL."""

import threading

from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import Bench

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName


def test_stage_rung_twice_is_claimed_once(bench: Bench) -> None:
    bench.submit()

    first, second = bench.claim(PREPARE), bench.claim(PREPARE)

    assert len(first) == 1
    assert second == []


def test_claims_at_the_same_time_take_different_rows(bench: Bench) -> None:
    for _ in range(8):
        bench.submit()
    start = threading.Barrier(8)
    claimed: list[object] = []

    def claim() -> None:
        start.wait()
        claimed.extend(lease.job_id for lease in bench.claim(PREPARE))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(claimed) == len(set(claimed)) == 8


def test_who_came_first_is_claimed_first(bench: Bench) -> None:
    submitted = [bench.submit() for _ in range(3)]

    claimed = [bench.claim_one(PREPARE).job_id for _ in range(3)]

    assert claimed == submitted


def test_batch_takes_only_rows_that_share_the_heads_key(bench: Bench) -> None:
    for _ in range(3):
        bench.submit()
    with bench.transaction() as connection:
        connection.exec_driver_sql(
            "UPDATE stages SET batch_key = 'other' WHERE job_id = (SELECT max(id::text)::uuid "
            "FROM jobs)"
        )

    batch = bench.claim(PREPARE, batch_size=8)

    assert len(batch) == 2


def test_row_on_its_last_attempt_is_claimed_alone(bench: Bench) -> None:
    tried = bench.submit()
    for _ in range(bench.settings.engine.max_attempts - 1):
        bench.age(bench.claim_one(PREPARE), seconds=31)
        bench.sweep()
    bench.submit()
    bench.submit()

    batches = [bench.claim(PREPARE, batch_size=8) for _ in range(2)]

    assert [[lease.job_id == tried for lease in batch] for batch in batches] == [
        [True],
        [False, False],
    ]
