"""Records past their retention are deleted; any row that still names a job keeps its record."""

from typing import Final

import pytest
from sqlalchemy import Connection, text

from smart_filter_shared.artifacts import expiry
from smart_filter_shared.ids import BatchId, JobId
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_shared.operations import settlement
from smart_filter_tests import aging, invariants
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.maintenance import collector

RETENTION_DAYS: Final = 20
_DAY_SECONDS: Final = 24 * 3600.0
# By the reason that keeps a record: a change of an ended job `:id`.
HOLDS: Final = {
    "unfinished": "UPDATE jobs SET outcome = NULL, finished_at = NULL WHERE id = :id",
    "unsettled": "INSERT INTO unsettled_jobs VALUES (:id)",
    "results": "UPDATE jobs SET expired_at = NULL WHERE id = :id",
    "ended lately": "UPDATE jobs SET finished_at = now() WHERE id = :id",
    "object": """
        INSERT INTO artifacts (tenant, key, job_id, kind, expires_at, marked_at)
        VALUES ('tests', 'k', :id, 'result', now(), now())
    """,
    "borrowed object": """
        INSERT INTO borrowers (tenant, key, job_id) VALUES ('tests', 'k', :id)
    """,
    "correction": """
        INSERT INTO corrections
            (id, tenant, job_id, kind, stage, form, label, consent, provenance, created_at)
        VALUES (gen_random_uuid(), 'tests', :id, 'label', 'smile', 'label', '{}', true, '{}', now())
    """,
    "training example": """
        INSERT INTO data_items (task, correction_id, job_id, tenant, part, photo, files, keys,
            counts, provenance, corrected_at)
        VALUES ('smile', gen_random_uuid(), :id, 'tests', 'train', 'p', '{}', '{}', '{}', '{}',
            now())
    """,
    "delivery": """
        INSERT INTO deliveries (id, tenant, webhook, lane, job_id, type, happened_at, due_at)
        VALUES (gen_random_uuid(), 'tests', 'default', 'l', :id, 'job.canceled', now(), now())
    """,
    "stored request": """
        INSERT INTO requests (tenant, key, fingerprint, claimed_at, status, job_id)
        VALUES ('tests', 'k', 'f', now(), 202, :id)
    """,
}
# By the reason that keeps a batch: a change of an ended batch `:id`.
BATCH_HOLDS: Final = {
    "unfinished": "UPDATE batches SET finished_at = NULL WHERE id = :id",
    "being deleted": "UPDATE batches SET deleted_at = now() WHERE id = :id",
    "results of a job": """
        UPDATE jobs SET expired_at = NULL WHERE batch_id = :id AND batch_index = 0
    """,
    "delivery": """
        INSERT INTO deliveries (id, tenant, webhook, lane, batch_id, type, happened_at, due_at)
        VALUES (gen_random_uuid(), 'tests', 'default', 'l', :id, 'batch.finished', now(), now())
    """,
    "stored request": """
        INSERT INTO requests (tenant, key, fingerprint, claimed_at, status, job_id)
        VALUES ('tests', 'k', 'f', now(), 202, :id)
    """,
}


def delete_old(bench: Bench, *, days: float = RETENTION_DAYS) -> None:
    collector(bench, record_seconds=days * _DAY_SECONDS).delete_old_records()


def expire_all(connection: Connection) -> None:
    """Expire everything that has ended, objects included."""
    connection.execute(text("UPDATE jobs SET expires_at = statement_timestamp()"))
    connection.execute(text("DELETE FROM artifacts"))  # as retention does
    while expiry.expire_results(connection, most=100):
        pass


def grow_old(bench: Bench) -> None:
    """Settle and expire all jobs, and let a day more than their retention pass."""
    bench.work(settlement.settle)
    bench.do(expire_all)
    bench.do(aging.pass_days, RETENTION_DAYS + 1)


def write_old_job(bench: Bench, *, to_delete: bool = False) -> JobId:
    """Write a job that was canceled long ago; return its id."""
    job_id = bench.submit()
    bench.do(CLIENT.cancel, job_id, TENANT)
    if to_delete:
        bench.do(CLIENT.delete, job_id, TENANT)
    grow_old(bench)
    return aging.older_id(job_id, number=RETENTION_DAYS + 1)


def write_old_batch(bench: Bench) -> BatchId:
    batch_id, _ = bench.submit_batch(2)
    bench.do(CLIENT.cancel_batch, batch_id, TENANT)
    grow_old(bench)
    return BatchId(aging.older_id(batch_id, number=RETENTION_DAYS + 1))


def count(bench: Bench, table: str = "jobs") -> int:
    return int(bench.scalar(f"SELECT count(*) FROM {table}"))


def test_old_record_is_deleted_but_its_usage_stays(bench: Bench) -> None:
    write_old_job(bench, to_delete=True)
    write_old_job(bench)
    stays = bench.submit()
    used = bench.scalar("SELECT sum(jobs) FROM usage")

    delete_old(bench)

    assert bench.scalar("SELECT array_agg(id) FROM jobs") == [stays]
    assert bench.scalar("SELECT sum(jobs) FROM usage") == used
    assert bench.scalar("SELECT array_agg(DISTINCT job_id) FROM events") == [stays]
    assert count(bench, "tombstones") == 1
    assert invariants.broken(bench) == []


@pytest.mark.parametrize("reason", HOLDS)
def test_any_row_about_a_job_keeps_its_record_alone(bench: Bench, reason: str) -> None:
    job_id = write_old_job(bench)
    copies = bench.copy(job_id, 3, every_seconds=0.0)
    ids = {"ids": copies, "days": RETENTION_DAYS + 2}
    bench.execute(
        "UPDATE jobs SET id = CAST(overlay(CAST(id AS text) PLACING '0' FROM 3 FOR 1) AS uuid)"
        " WHERE id = ANY(:ids) AND :days > 0",
        **ids,
    )
    bench.execute(HOLDS[reason], id=job_id)

    delete_old(bench)

    assert bench.scalar("SELECT array_agg(id) FROM jobs") == [job_id]


def test_nothing_is_deleted_by_default(bench: Bench) -> None:
    write_old_job(bench)

    delete_old(bench, days=0)

    assert count(bench) == 1


def test_old_batch_is_deleted_with_its_jobs(bench: Bench) -> None:
    write_old_batch(bench)

    delete_old(bench)

    assert [count(bench, table) for table in ("batches", "jobs", "events")] == [0, 0, 0]


@pytest.mark.parametrize("reason", BATCH_HOLDS)
def test_any_row_about_a_batch_keeps_it_with_all_its_jobs(bench: Bench, reason: str) -> None:
    batch_id = write_old_batch(bench)
    bench.execute(BATCH_HOLDS[reason], id=batch_id)

    delete_old(bench)

    assert (count(bench, "batches"), count(bench)) == (1, 2)
