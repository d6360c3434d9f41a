"""PostgreSQL crashes before it has written its log: ends that were read stay."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_shared.db import migrate, sessions
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.jobs import queries
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import invariants
from smart_filter_tests.bench import TENANT, Bench, open_bench, settings_of
from smart_filter_tests.outages import wait_until
from smart_filter_tests.s3_server import S3Stack
from smart_filter_tests.scenarios import KEEP_BACKGROUND

STAGES = (StageName.PREPARE, StageName.COMPOSITE)


@pytest.fixture
def lazy_disk(data_folder: Path) -> Iterator[Bench]:
    """Servers of their own; PostgreSQL writes its log only when a commit waits for that."""
    with (
        S3Stack(DataFolder.at(data_folder / "crash")) as stack,
        open_bench(settings_of(stack.addresses), connections=4) as bench,
    ):
        migrate.upgrade(bench.engine)
        with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ALTER SYSTEM SET wal_writer_delay = '10s'"))
            connection.execute(text("SELECT pg_reload_conf()"))
        yield bench


def run(bench: Bench) -> None:
    """Run the next job as workers do."""
    worker = replace(
        bench,
        engine=sessions.for_key_lookups(bench.engine),
        worker_engine=sessions.for_key_lookups(bench.worker_engine),
    )
    worker.advance(*STAGES)


def crash(bench: Bench) -> None:
    """Kill a process of PostgreSQL, which then forgets its buffers; wait until it works again."""
    with suppress(DBAPIError), bench.engine.connect() as witness:
        os.kill(bench.scalar("SELECT pg_backend_pid()"), signal.SIGKILL)
        wait_until(lambda: witness.execute(text("SELECT false")).scalar_one())

    def works() -> bool:
        bench.engine.dispose()
        bench.worker_engine.dispose()
        with suppress(TryAgain):
            return bool(bench.scalar("SELECT true"))
        return False

    wait_until(works)


def test_crash_undoes_no_end_that_was_read(lazy_disk: Bench) -> None:
    read_id, unread_id = (lazy_disk.submit(KEEP_BACKGROUND) for _ in range(2))
    run(lazy_disk)
    lazy_disk.do(queries.find, read_id, TENANT)
    run(lazy_disk)

    crash(lazy_disk)

    assert set(lazy_disk.states(read_id).values()) == {"succeeded"}
    assert set(lazy_disk.states(unread_id).values()) == {"ready", "waiting"}
    lazy_disk.advance(*STAGES)
    assert set(lazy_disk.states(unread_id).values()) == {"succeeded"}
    assert invariants.broken(lazy_disk) == []
