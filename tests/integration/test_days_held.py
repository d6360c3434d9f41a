"""Days that are not dropped: each thing that is kept of one job or batch holds its day."""

from collections.abc import Iterator

import pytest

from smart_filter_tests import bygone, many_days
from smart_filter_tests.bench import Bench
from smart_filter_tests.bygone import BACK, batch, drop, ended, is_there


@pytest.fixture(scope="module")
def _month(_bench: Bench) -> Iterator[Bench]:
    with many_days.before(_bench) as engine:
        yield many_days.after_a_month(_bench, engine)


@pytest.fixture
def month(_month: Bench) -> Bench:
    """A bench after a month of days, of which none holds anything."""
    return bygone.emptied(_month)


# By what holds the day, what to do to an ended job `:id` of it.
HOLDS = {
    "jobs that have not ended": """
        UPDATE jobs SET outcome = NULL, finished_at = NULL WHERE id = :id
    """,
    "jobs that are to be counted": "UPDATE jobs SET settled = false WHERE id = :id",
    "results": "UPDATE jobs SET expired_at = NULL WHERE id = :id",
    "jobs in doubt": "UPDATE jobs SET expired_at = NULL, expires_at = NULL WHERE id = :id",
    "objects": """
        INSERT INTO artifacts (tenant, key, job_id, kind, expires_at, marked_at)
        VALUES ('tests', 'k', :id, 'result', now(), now())
    """,
    "objects that it borrows": """
        INSERT INTO borrowers (tenant, key, job_id) VALUES ('tests', 'k', :id)
    """,
    "corrections": """
        INSERT INTO corrections
            (id, tenant, job_id, kind, stage, form, label, consent, provenance, created_at)
        VALUES (gen_random_uuid(), 'tests', :id, 'label', 'smile', 'label', '{}', true, '{}', now())
    """,
    "items of data sets": """
        INSERT INTO data_items (task, correction_id, job_id, tenant, part, photo, files, keys,
            counts, provenance, corrected_at)
        VALUES ('smile', gen_random_uuid(), :id, 'tests', 'train', 'p', '{}', '{}', '{}', '{}',
            now())
    """,
    "deliveries": """
        INSERT INTO deliveries (id, tenant, webhook, lane, job_id, type, happened_at, due_at)
        VALUES (gen_random_uuid(), 'tests', 'default', 'l', :id, 'job.canceled', now(), now())
    """,
    "remembered requests": """
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


@pytest.mark.parametrize("reason", HOLDS)
def test_anything_kept_of_one_job_holds_its_day(month: Bench, reason: str) -> None:
    job_id = ended(month)
    ended(month, 1)
    month.execute(HOLDS[reason], id=job_id)

    assert drop(month) == [reason]
    assert is_there(month)


def test_things_kept_of_other_days_hold_none(month: Bench) -> None:
    ended(month)
    for number, held in enumerate(reason for reason in HOLDS if reason != "uploads"):
        other = ended(month, number, back=BACK + 1)
        month.execute(HOLDS[held].replace("'k'", f"'{number}'"), id=other)

    assert drop(month) == []
    assert is_there(month, back=BACK + 1)


# By what holds the day, what to do to a batch `:id` of which one job is of it.
BATCH_HOLDS = {
    "batches that have not finished": "UPDATE batches SET finished_at = NULL WHERE id = :id",
    "batches that are being deleted": "UPDATE batches SET deleted_at = now() WHERE id = :id",
    "results of batches": """
        UPDATE jobs SET expired_at = NULL WHERE batch_id = :id AND batch_index = 0
    """,
    "deliveries of batches": """
        INSERT INTO deliveries (id, tenant, webhook, lane, batch_id, type, happened_at, due_at)
        VALUES (gen_random_uuid(), 'tests', 'default', 'l', :id, 'batch.finished', now(), now())
    """,
    "remembered requests of batches": """
        INSERT INTO requests (tenant, key, fingerprint, claimed_at, status, job_id)
        VALUES ('tests', 'k', 'f', now(), 202, :id)
    """,
}


@pytest.mark.parametrize("reason", BATCH_HOLDS)
def test_anything_kept_of_a_batch_holds_the_days_of_its_jobs(month: Bench, reason: str) -> None:
    batch_id = batch(month, (BACK + 1, 0), (BACK, 0))
    month.execute(BATCH_HOLDS[reason], id=batch_id)

    assert drop(month) == [reason]
    assert is_there(month)
    assert month.scalar("SELECT count(*) FROM batches") == 1
