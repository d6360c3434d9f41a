"""Work commits without waiting for the disk, and no client sees what a crash could undo."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, text

from smart_filter_shared.db import sessions
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.queries import JobFilter
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import batches, events
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.scenarios import KEEP_BACKGROUND

Read = Callable[[Connection, JobId], object]

READS: dict[str, Read] = {
    "job": lambda connection, job_id: queries.find(connection, job_id, TENANT),
    "list": lambda connection, _: queries.list_jobs(connection, JobFilter(TENANT)),
    "events": events.list_for_job,
    "ends": lambda connection, _: events.read_ends(connection, TENANT, after=0, most=9),
}


@pytest.fixture
def lazy_disk(bench: Bench) -> Iterator[Bench]:
    """A server that writes its log only when a commit waits for it."""

    def set_delay(value: str) -> None:
        with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"ALTER SYSTEM SET wal_writer_delay = {value}"))
            connection.execute(text("SELECT pg_reload_conf()"))

    set_delay("'10s'")
    yield bench
    set_delay("DEFAULT")


def is_flushed(connection: Connection, position: str) -> bool:
    query = text("SELECT pg_current_wal_flush_lsn() >= CAST(:position AS pg_lsn)")
    return bool(connection.execute(query, {"position": position}).scalar_one())


def read_with_waiting_commits(bench: Bench, read: Callable[[Connection], object]) -> bool:
    """Read as the API does; return whether all earlier commits are on the disk afterwards."""
    with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET synchronous_commit = on"))
        query = text("SELECT CAST(pg_current_wal_insert_lsn() AS text)")
        written = connection.execute(query).scalar_one()
        read(connection)
        try:
            return is_flushed(connection, written)
        finally:
            connection.execute(text("RESET synchronous_commit"))


def test_transactions_of_workers_do_not_wait_for_the_disk(bench: Bench) -> None:
    with sessions.transaction(sessions.for_key_lookups(bench.worker_engine)) as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "off"


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_end_that_was_read_is_on_the_disk(lazy_disk: Bench, read: Read) -> None:
    job_id = lazy_disk.submit(KEEP_BACKGROUND)
    lazy_disk.advance(StageName.PREPARE, StageName.COMPOSITE)

    assert read_with_waiting_commits(lazy_disk, lambda connection: read(connection, job_id))


def test_end_of_a_batch_that_was_read_is_on_the_disk(lazy_disk: Bench) -> None:
    batch_id, _ = lazy_disk.submit_batch(1, KEEP_BACKGROUND)
    lazy_disk.advance(StageName.PREPARE, StageName.COMPOSITE)

    assert read_with_waiting_commits(
        lazy_disk, lambda connection: batches.find(connection, batch_id, TENANT)
    )


@pytest.mark.parametrize("is_old", [False, True])
def test_other_reads_do_not_wait_for_the_disk(lazy_disk: Bench, *, is_old: bool) -> None:
    job_id = lazy_disk.submit(KEEP_BACKGROUND)
    lazy_disk.advance(StageName.PREPARE)
    if is_old:
        lazy_disk.advance(StageName.COMPOSITE)
        lazy_disk.execute("UPDATE jobs SET finished_at = finished_at - interval '1 minute'")

    assert not read_with_waiting_commits(
        lazy_disk, lambda connection: queries.find(connection, job_id, TENANT)
    )
