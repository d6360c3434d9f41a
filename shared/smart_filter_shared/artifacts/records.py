"""Delete the records of jobs, and of batches, that are older than the configured record retention.

A record is deleted once its job has expired, and no other row names it: an object, a correction,
a training example, a delivery, a stored request or the settlement that is to come keeps it. A batch
is deleted with all of its jobs. Usage and the tombstones of deleted jobs stay.
"""

import uuid
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, TextClause, text

# Tables whose rows keep the record of the job that they name.
BLOCKING_TABLES: Final = (
    *("artifacts", "borrowers", "corrections", "data_items", "deliveries", "requests"),
    "unsettled_jobs",
)
_IS_OVER: Final = " AND ".join(
    (
        "jobs.expired_at IS NOT NULL",
        "jobs.finished_at < statement_timestamp() - make_interval(secs => :seconds)",
        *(
            f"NOT EXISTS (SELECT FROM {table} WHERE {table}.job_id = jobs.id)"
            for table in BLOCKING_TABLES
        ),
    )
)
# `:before`: no job with a later id can have ended so long ago.
_LIST_JOBS: Final = text("""
    SELECT id FROM jobs WHERE id > :after AND id < :before AND batch_id IS NULL
    ORDER BY id LIMIT :most
""")
_LOCK_JOBS: Final = text(f"""
    SELECT id FROM jobs WHERE id = ANY(:ids) AND {_IS_OVER} ORDER BY id FOR UPDATE SKIP LOCKED
""")  # noqa: S608 - SQL of our own
_LIST_BATCHES: Final = text("""
    SELECT id FROM batches WHERE id > :after AND id < :before ORDER BY id LIMIT :most
""")
# Jobs before batches, as everywhere (queue/transitions/sql.py).
_LOCK_JOBS_OF_BATCHES: Final = text(
    "SELECT id FROM jobs WHERE batch_id = ANY(:ids) ORDER BY id FOR UPDATE"
)
_LOCK_BATCHES: Final = text(f"""
    SELECT id FROM batches
    WHERE id = ANY(:ids) AND deleted_at IS NULL
        AND finished_at < statement_timestamp() - make_interval(secs => :seconds)
        AND NOT EXISTS (SELECT FROM jobs WHERE jobs.batch_id = batches.id AND NOT ({_IS_OVER}))
        AND NOT EXISTS (SELECT FROM deliveries WHERE deliveries.batch_id = batches.id)
        AND NOT EXISTS (SELECT FROM requests WHERE requests.job_id = batches.id)
    ORDER BY id FOR UPDATE
""")  # noqa: S608 - SQL of our own
_DELETE_JOBS: Final = (
    "DELETE FROM events WHERE job_id = ANY(:ids)",
    "DELETE FROM ended_stages WHERE job_id = ANY(:ids)",
    "DELETE FROM jobs WHERE id = ANY(:ids)",
)
_DELETE_BATCHES: Final = (
    "DELETE FROM events WHERE job_id IN (SELECT id FROM jobs WHERE batch_id = ANY(:ids))",
    "DELETE FROM ended_stages WHERE job_id IN (SELECT id FROM jobs WHERE batch_id = ANY(:ids))",
    "DELETE FROM jobs WHERE batch_id = ANY(:ids)",
    "DELETE FROM batch_gaps WHERE batch_id = ANY(:ids)",
    "DELETE FROM events WHERE job_id = ANY(:ids)",
    "DELETE FROM batches WHERE id = ANY(:ids)",
)
FIRST: Final = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class Records:
    """How records are listed, locked and deleted; the last lock returns those to delete."""

    listing: TextClause
    locks: tuple[TextClause, ...]
    deletions: tuple[str, ...]


# Jobs without a batch, and batches with their jobs.
JOBS: Final = Records(_LIST_JOBS, (_LOCK_JOBS,), _DELETE_JOBS)
BATCHES: Final = Records(_LIST_BATCHES, (_LOCK_JOBS_OF_BATCHES, _LOCK_BATCHES), _DELETE_BATCHES)


@dataclass(frozen=True, slots=True)
class Page:
    """Old records that were looked at, and how many of them were deleted.

    last: where the next page begins; None: there is none.
    """

    looked_at: int
    deleted: int
    last: uuid.UUID | None


def delete_old(
    connection: Connection,
    records: Records,
    *,
    retention_seconds: float,
    before: uuid.UUID,
    after: uuid.UUID,
    most: int,
) -> Page:
    """Delete records that are over; look at `most` after the id `after`.

    before: the lowest id that a job can have whose retention is not over.
    """
    where = {"after": after, "before": before, "most": most}
    ids = list(connection.execute(records.listing, where).scalars())
    deleted: list[uuid.UUID] = []
    for lock in records.locks if ids else ():
        over = {"ids": ids, "seconds": retention_seconds}
        deleted = list(connection.execute(lock, over).scalars())
    for statement in records.deletions if deleted else ():
        connection.execute(text(statement), {"ids": deleted})
    return Page(len(ids), len(deleted), ids[-1] if len(ids) == most else None)
