"""The event poller reads what was committed since its last poll, and nothing else."""

import pytest
from sqlalchemy import Connection, text

from smart_filter_shared.db import migrate, sessions
from smart_filter_shared.ids import JobId, new_job_id
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_shared.queue import events
from smart_filter_shared.queue.events import JobChanges
from smart_filter_tests.bench import TENANT, Bench

# More than a page of the reset.
RESTORED = 12_000
# Rows that a poll may read for one event.
FEW = 5


def look(bench: Bench, horizon: str | None) -> tuple[JobChanges, int]:
    """Poll, and return the number of event and tombstone rows that the poll has read."""
    # The counters reset between transactions, never within one, and omit parallel workers.
    with bench.transaction() as connection:
        connection.execute(text("SET LOCAL max_parallel_workers_per_gather = 0"))
        # By the statistics of a table of 20 rows, reading them all is as good as an index.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        before = rows_read(connection)
        found = events.read_changes(connection, horizon)
        return found, rows_read(connection) - before


def rows_read(connection: Connection) -> int:
    return int(
        connection.execute(
            text("""
                SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))
                FROM pg_stat_xact_user_tables WHERE relname IN ('events', 'tombstones')
            """)
        ).scalar_one()
    )


@pytest.fixture
def restored(bench: Bench) -> Bench:
    """A bench with the events and tombstones of a cluster whose ids were far ahead."""
    bench.execute(
        """
            WITH ids AS (
                SELECT gen_random_uuid() AS job_id, 1000000000 + number AS id
                FROM generate_series(1, :rows) AS numbers (number)
            ), deleted AS (
                INSERT INTO tombstones (job_id, tenant, deleted_at, written_in)
                SELECT job_id, 'restored', now(), id FROM ids
            )
            INSERT INTO events (job_id, type, state, at, written_in)
            SELECT job_id, 'job.succeeded', 'succeeded', now(), id FROM ids
        """,
        rows=RESTORED,
    )
    return bench


def test_restored_events_are_not_reported(restored: Bench) -> None:
    horizon = look(restored, None)[0].horizon
    job_id = restored.submit()

    found, read = look(restored, horizon)

    assert set(found.jobs) == {job_id}
    assert read <= FEW


def test_prepare_resets_ids_of_another_cluster(restored: Bench) -> None:
    own = restored.submit()
    restored.do(CLIENT.delete, restored.submit(), TENANT)

    migrate.upgrade(restored.engine)

    with restored.transaction() as connection:
        ids = connection.execute(
            text("""
                SELECT count(*) FILTER (WHERE written_in = 0),
                    count(*) FILTER (WHERE written_in >= 1000000000),
                    bool_and(written_in > 0) FILTER (WHERE job_id = :own)
                FROM (
                    SELECT job_id, written_in FROM events
                    UNION ALL SELECT job_id, written_in FROM tombstones
                ) AS written
            """),
            {"own": own},
        ).one()
    assert tuple(ids) == (2 * RESTORED, 0, True)


def test_event_is_returned_once_during_a_long_transaction(bench: Bench) -> None:
    reported: list[JobId] = []
    reads, submitted = [], []
    with sessions.transaction(sessions.for_idle_transactions(bench.engine)) as long:
        long.execute(text("SELECT pg_current_xact_id()"))
        horizon = look(bench, None)[0].horizon
        for _ in range(20):
            submitted.append(bench.submit())
            found, read = look(bench, horizon)
            horizon = found.horizon
            reported += found.jobs
            reads.append(read)

    assert reported == submitted
    assert max(reads) <= FEW


def test_events_of_a_long_transaction_are_returned_when_it_ends(bench: Bench) -> None:
    waiting = bench.submit()
    horizon = look(bench, None)[0].horizon
    with sessions.transaction(sessions.for_idle_transactions(bench.engine)) as long:
        # In a savepoint the row's own transaction id differs from the top-level one.
        with long.begin_nested():
            CLIENT.cancel(long, waiting, TENANT)
        during, _ = look(bench, horizon)
        bench.submit()
        between, _ = look(bench, during.horizon)
    after, read = look(bench, between.horizon)
    later, _ = look(bench, after.horizon)

    assert (during.jobs, waiting in between.jobs) == ({}, False)
    assert (after.jobs, later.jobs) == ({waiting: True}, {})
    assert read <= FEW


def test_events_of_a_transaction_that_began_after_a_poll_are_not_lost(bench: Bench) -> None:
    """Its id is above the last ended one, and not in the list of running ones."""
    first, second = bench.submit(), bench.submit()
    with sessions.transaction(sessions.for_idle_transactions(bench.engine)) as slow:
        CLIENT.cancel(slow, first, TENANT)
        horizon = look(bench, None)[0].horizon
        bench.do(CLIENT.cancel, second, TENANT)
        seen, _ = look(bench, horizon)
    later, _ = look(bench, seen.horizon)

    assert (set(seen.jobs), set(later.jobs)) == ({second}, {first})


def test_restored_id_equal_to_a_running_transactions_is_not_read_again(bench: Bench) -> None:
    with sessions.transaction(sessions.for_idle_transactions(bench.engine)) as long:
        running = long.execute(text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)"))
        bench.submit()
        bench.execute(
            """
                INSERT INTO events (job_id, type, state, at, written_in)
                VALUES (:job_id, 'job.succeeded', 'succeeded', now(), :running)
            """,
            job_id=new_job_id(),
            running=running.scalar_one(),
        )
        horizon = look(bench, None)[0].horizon

        looks = [look(bench, horizon)[0].jobs for _ in range(3)]

    assert looks == [{}] * 3
