"""Expiry: what is read of a job's photo goes with its results, at the cost of those jobs alone."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from smart_filter_shared.jobs import expiry, transitions
from smart_filter_tests import many_days
from smart_filter_tests.bench import TENANT, Bench

# Rows of jobs that this transaction has read, by indexes and in scans of whole tables.
ROWS_READ = text("""
    SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables
    WHERE relid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'jobs'::regclass)
""")


@pytest.fixture
def month(bench: Bench) -> Iterator[Bench]:
    """A bench with a month of days, each with 40 jobs that are kept for another hour."""
    with many_days.before(bench) as engine:
        month = many_days.after_a_month(bench, engine)
        month.empty()
        job_id = month.submit()
        with month.transaction() as connection:
            transitions.cancel(connection, job_id, TENANT)
            connection.execute(
                text("UPDATE jobs SET expires_at = statement_timestamp() + interval '1 hour'")
            )
            connection.execute(
                text("""
                    INSERT INTO jobs SELECT (jsonb_populate_record(
                        jobs, jsonb_build_object('id', uuidv7(make_interval(
                            days => -(number % 30), secs => -number * 0.001
                        )))
                    )).* FROM jobs, generate_series(1, 1200) AS number
                """)
            )
            connection.execute(text("ANALYZE jobs"))
        yield month


def test_expiring_jobs_reads_no_others(month: Bench) -> None:
    month.execute("""
        UPDATE jobs SET expires_at = statement_timestamp()
        WHERE id IN (SELECT id FROM jobs ORDER BY id LIMIT 20)
    """)

    with month.transaction() as connection:
        expired = expiry.expire(connection, most=200)
        rows_read = connection.scalar(ROWS_READ)

    assert expired == 20
    # Each is found, locked and changed, and looked at for its webhook and its upload.
    assert rows_read <= 10 * expired
