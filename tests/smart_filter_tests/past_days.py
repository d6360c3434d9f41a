"""Fill past days with expired jobs and batches, and drop those days."""

import datetime as dt
import uuid
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.artifacts import expiry, partition_pruning
from smart_filter_shared.db import partitions
from smart_filter_shared.db.partitions import Partition
from smart_filter_shared.ids import BatchId, JobId
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_shared.operations import settlement
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.partitioned_database import today_of

# Days between today and the past day.
BACK: Final = 20
# By the reason that holds a day: a change of an ended job `:id` of that day.
HOLDS = {
    "unfinished jobs": """
        UPDATE jobs SET outcome = NULL, finished_at = NULL WHERE id = :id
    """,
    "unsettled jobs": "UPDATE jobs SET settled = false WHERE id = :id",
    "results": "UPDATE jobs SET expired_at = NULL WHERE id = :id",
    "jobs without an expiry": "UPDATE jobs SET expired_at = NULL, expires_at = NULL WHERE id = :id",
    "objects": """
        INSERT INTO artifacts (tenant, key, job_id, kind, expires_at, marked_at)
        VALUES ('tests', 'k', :id, 'result', now(), now())
    """,
    "borrowed objects": """
        INSERT INTO borrowers (tenant, key, job_id) VALUES ('tests', 'k', :id)
    """,
    "corrections": """
        INSERT INTO corrections
            (id, tenant, job_id, kind, stage, form, label, consent, provenance, created_at)
        VALUES (gen_random_uuid(), 'tests', :id, 'label', 'smile', 'label', '{}', true, '{}', now())
    """,
    "training examples": """
        INSERT INTO data_items (task, correction_id, job_id, tenant, part, photo, files, keys,
            counts, provenance, corrected_at)
        VALUES ('smile', gen_random_uuid(), :id, 'tests', 'train', 'p', '{}', '{}', '{}', '{}',
            now())
    """,
    "deliveries": """
        INSERT INTO deliveries (id, tenant, webhook, lane, job_id, type, happened_at, due_at)
        VALUES (gen_random_uuid(), 'tests', 'default', 'l', :id, 'job.canceled', now(), now())
    """,
    "stored requests": """
        INSERT INTO requests (tenant, key, fingerprint, claimed_at, status, job_id)
        VALUES ('tests', 'k', 'f', now(), 202, :id)
    """,
    "events": """
        INSERT INTO events (job_id, type, state, at, written_in)
        VALUES (:id, 'job.canceled', 'canceled', now(), 1)
    """,
    "uploads": """
        INSERT INTO uploads (id, tenant, key, media_type, length, expires_at)
        VALUES (:id, 'tests', 'k', 'image/png', 1, now())
    """,
}
# By the reason that holds a day: a change of a batch `:id` with one job of that day.
BATCH_HOLDS = {
    "unfinished batches": "UPDATE batches SET finished_at = NULL WHERE id = :id",
    "batches being deleted": "UPDATE batches SET deleted_at = now() WHERE id = :id",
    "results of batches": """
        UPDATE jobs SET expired_at = NULL WHERE batch_id = :id AND batch_index = 0
    """,
    "deliveries of batches": """
        INSERT INTO deliveries (id, tenant, webhook, lane, batch_id, type, happened_at, due_at)
        VALUES (gen_random_uuid(), 'tests', 'default', 'l', :id, 'batch.finished', now(), now())
    """,
    "stored requests of batches": """
        INSERT INTO requests (tenant, key, fingerprint, claimed_at, status, job_id)
        VALUES ('tests', 'k', 'f', now(), 202, :id)
    """,
}


def empty_past_days(bench: Bench) -> Bench:
    """Empty a bench and recreate the past days that tests drop; return it."""
    bench.empty()
    with bench.transaction() as connection:
        for back in (BACK, BACK + 1):
            day = today_of(bench.engine) - dt.timedelta(days=back)
            if not any(
                partition.since == day for partition in partitions.list_partitions(connection)
            ):
                partitions.create_day(connection, day)
        partitions.refresh_views(connection)
    return bench


def partition_of(bench: Bench, *, back: int = BACK) -> Partition:
    day = today_of(bench.engine) - dt.timedelta(days=back)
    return Partition(day + dt.timedelta(days=1), day, f"{day:%Y_%m_%d}")


def past_id(bench: Bench, number: int = 0, *, back: int = BACK) -> uuid.UUID:
    """Return the id that job `number` of a past day has."""
    since = partition_of(bench, back=back).since
    assert since is not None
    return uuid.UUID(int=partitions.first_id(since).int + number)


def write_expired_job(bench: Bench, number: int = 0, *, back: int = BACK) -> JobId:
    """Write a job of a past day that was canceled, counted and has expired."""
    job_id = bench.submit(job_id=JobId(past_id(bench, number, back=back)))
    bench.do(CLIENT.cancel, job_id, TENANT)
    bench.do(partitions.refresh_views)
    bench.work(settlement.settle)
    expire_all(bench)
    return job_id


def expire_all(bench: Bench) -> None:
    """Expire everything that has ended, objects included."""
    with bench.transaction() as connection:
        connection.execute(text("UPDATE jobs SET expires_at = statement_timestamp()"))
        connection.execute(text("DELETE FROM artifacts"))  # as retention does
        expire_due(connection)


def expire_due(connection: Connection) -> None:
    """Expire the results that are due, of every day, as the garbage collector does."""
    for expire in (expiry.expire_results, expiry.visit_closed_day):
        while expire(connection, most=100):
            pass


def partitions_exist(bench: Bench, *, back: int = BACK) -> bool:
    """Return whether both partitions of a past day exist; else neither does."""
    name = partition_of(bench, back=back).name
    with bench.transaction() as connection:
        there = connection.execute(
            text("SELECT to_regclass(:jobs) IS NOT NULL, to_regclass(:stages) IS NOT NULL"),
            {"jobs": f"jobs_{name}", "stages": f"stages_{name}"},
        ).one()
    assert there[0] == there[1]
    return bool(there[0])


def drop(bench: Bench, *, back: int = BACK) -> list[str]:
    """Drop a past day; return the reasons that hold it, if any."""
    return bench.work(partition_pruning.drop, partition_of(bench, back=back))


def write_expired_batch(bench: Bench, *where: tuple[int, int]) -> BatchId:
    """Write an ended and expired batch whose jobs have these days and numbers."""
    batch_id, job_ids = bench.submit_batch(len(where))
    bench.do(CLIENT.cancel_batch, batch_id, TENANT)
    bench.work(settlement.settle)
    expire_all(bench)
    moved = BatchId(uuid.UUID(int=past_id(bench, back=where[0][0]).int | 1 << 60))
    with bench.transaction() as connection:
        for table, column in (
            ("batches", "id"),
            ("jobs", "batch_id"),
            ("events", "job_id"),
            ("deliveries", "batch_id"),
        ):
            connection.execute(
                text(f"UPDATE {table} SET {column} = :new WHERE {column} = :old"),
                {"old": batch_id, "new": moved},
            )
        for job_id, (back, number) in zip(job_ids, where, strict=True):
            to = {"old": job_id, "new": past_id(bench, number, back=back)}
            connection.execute(text("UPDATE jobs SET id = :new WHERE id = :old"), to)
            connection.execute(text("UPDATE stages SET job_id = :new WHERE job_id = :old"), to)
    return moved
