"""Drop daily partitions of jobs that are older than the configured record retention.

A day's partitions are dropped once no job of the day is unfinished and nothing of its jobs is
kept: a single job with any kept data, or with data in doubt, keeps the whole day. Other tables
then have no row that names a job of the day, except its batches, which are deleted with it. Usage
and the tombstones of deleted jobs stay.

One transaction does all of it: readers see the whole day or nothing of it. DROP TABLE needs
ACCESS EXCLUSIVE locks on both tables, which block every query. It therefore comes last, takes some
milliseconds, and is abandoned when the locks are not free soon. The next try is an hour later.
"""

import datetime as dt
import uuid
from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.db import partitions
from smart_filter_shared.db.partitions import Partition

# Kept short: queries queue behind a pending ACCESS EXCLUSIVE lock.
_LOCK_TIMEOUT: Final = "200ms"
_MIN_ID: Final = uuid.UUID(int=0)

# Reasons that keep a partition, by the name that operators see. Each is one probe of an index;
# rows of other tables are matched by the range of job ids (UUIDv7).
_IN_DAY: Final = "job_id >= :first AND job_id < :after"
_BLOCKERS: Final[Mapping[str, str]] = {
    "unfinished jobs": "{jobs} WHERE outcome IS NULL",
    "unsettled jobs": "{jobs} WHERE outcome IS NOT NULL AND NOT settled",
    "results": "{jobs} WHERE expires_at IS NOT NULL AND expired_at IS NULL",
    "objects": f"artifacts WHERE {_IN_DAY}",
    "borrowed objects": f"borrowers WHERE {_IN_DAY}",
    "corrections": f"corrections WHERE {_IN_DAY}",
    "training examples": f"data_items WHERE {_IN_DAY}",
    "deliveries": f"deliveries WHERE {_IN_DAY}",
    "stored requests": f"requests WHERE {_IN_DAY}",
    # An upload named by a job of the day was made before the day's end, maybe on the day before.
    "uploads": "uploads WHERE id < :after",
}
# Slower checks, made once, before the tables are locked. Expired results stay expired, and a job
# that makes no move gets no event.
_SLOW_BLOCKERS: Final[Mapping[str, str]] = {
    "jobs without an expiry": "{jobs} WHERE expired_at IS NULL",
    # Events of batches do not count: they are deleted with the batches.
    "events": f"""
        events WHERE {_IN_DAY} AND NOT EXISTS (SELECT FROM batches WHERE id = events.job_id)
    """,
}
# The same for the batches that have a job of the day. A batch and its jobs get their ids within
# minutes, so its other jobs are of the day before or after.
_BATCH_BLOCKERS: Final[Mapping[str, str]] = {
    "unfinished batches": "batches WHERE id = ANY(:ids) AND finished_at IS NULL",
    "batches being deleted": "batches WHERE id = ANY(:ids) AND deleted_at IS NOT NULL",
    "results of batches": "jobs WHERE batch_id = ANY(:ids) AND expired_at IS NULL AND {around}",
    "deliveries of batches": "deliveries WHERE batch_id = ANY(:ids)",
    "stored requests of batches": "requests WHERE job_id = ANY(:ids)",
}

# The batches with a job of the day, and the batches of the day that have no jobs.
_BATCHES: Final = """
    SELECT id FROM batches
    WHERE id IN (SELECT batch_id FROM {jobs} WHERE batch_id IS NOT NULL)
        OR id >= :first AND id < :after
            AND NOT EXISTS (SELECT FROM jobs WHERE jobs.batch_id = batches.id AND {around})
    ORDER BY id FOR UPDATE
"""
# A batch submitted at midnight has jobs of two days. It is deleted with the second of these days.
_BATCHES_OF_OTHER_DAYS: Final = """
    SELECT DISTINCT batch_id FROM jobs
    WHERE batch_id = ANY(:ids) AND NOT (id >= :first AND id < :after) AND {around}
"""
_INSERT_GAPS: Final = """
    INSERT INTO batch_gaps (batch_id, index, job_id, outcome)
    SELECT batch_id, batch_index, id, outcome FROM {jobs}
    WHERE batch_id = ANY(:ids) AND batch_index IS NOT NULL
"""
_DELETE_BATCHES: Final = (
    text("DELETE FROM batch_gaps WHERE batch_id = ANY(:ids)"),
    text("DELETE FROM events WHERE job_id = ANY(:ids)"),
    text("DELETE FROM batches WHERE id = ANY(:ids)"),
)

_PRUNE_BEFORE: Final = text("""
    SELECT CAST(over_at AT TIME ZONE 'UTC' AS date)
    FROM (SELECT statement_timestamp() - make_interval(secs => :seconds) AS over_at) AS lately
""")


def list_droppable(connection: Connection, *, retention_seconds: float) -> list[Partition]:
    """Return the partitions of days that ended over kept_seconds ago, the oldest first."""
    until = connection.scalar(_PRUNE_BEFORE, {"seconds": retention_seconds})
    assert isinstance(until, dt.date)
    return [span for span in partitions.list_partitions(connection) if span.until <= until]


def drop(connection: Connection, span: Partition) -> list[str]:
    """Drop a day's partitions; return the reasons that keep them, such as "results", else [].

    With a reason nothing is changed.
    Raises DatabaseUnavailable, from the transaction, when the locks are not free in time.
    """
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    # Only one pruning at a time; reads and writes continue under this lock.
    connection.execute(text("LOCK TABLE ONLY jobs IN SHARE UPDATE EXCLUSIVE MODE"))
    if span not in partitions.list_partitions(connection):
        return []
    held = _find_blockers(connection, span, _BLOCKERS) or _find_blockers(
        connection, span, _SLOW_BLOCKERS
    )
    if held:
        return held
    savepoint = connection.begin_nested()
    held = _delete_batches(connection, span)
    if not held:
        # No job can move from here on. The second check sees rows written since the first one.
        connection.execute(text("LOCK TABLE ONLY jobs, ONLY stages IN ACCESS EXCLUSIVE MODE"))
        held = _find_blockers(connection, span, _BLOCKERS)
    if held:
        savepoint.rollback()
    else:
        partitions.drop_day(connection, span.name)
        savepoint.commit()
    return held


def _delete_batches(connection: Connection, span: Partition) -> list[str]:
    """Delete the batches of a day; return the reasons that keep them, else []."""
    jobs = f"jobs_{span.name}"
    around = _around(span)
    rows = connection.execute(text(_BATCHES.format(jobs=jobs, around=around)), _bounds(span))
    ids = list(rows.scalars())
    if not ids:
        return []
    if held := _find_blockers(connection, span, _BATCH_BLOCKERS, ids):
        return held
    of_other_days = text(_BATCHES_OF_OTHER_DAYS.format(around=around))
    staying = set(connection.execute(of_other_days, {"ids": ids, **_bounds(span)}).scalars())
    connection.execute(text(_INSERT_GAPS.format(jobs=jobs)), {"ids": list(staying)})
    going = [batch_id for batch_id in ids if batch_id not in staying]
    for statement in _DELETE_BATCHES:
        connection.execute(statement, {"ids": going})
    return []


def _find_blockers(
    connection: Connection,
    span: Partition,
    queries: Mapping[str, str],
    ids: Collection[uuid.UUID] = (),
) -> list[str]:
    """Return the names of the queries that find a row."""
    each = ", ".join(f"EXISTS (SELECT FROM {query})" for query in queries.values())
    answers = connection.execute(
        text(f"SELECT {each.format(jobs=f'jobs_{span.name}', around=_around(span))}"),
        {"ids": list(ids), **_bounds(span)},
    ).one()
    return [name for name, is_there in zip(queries, answers, strict=True) if is_there]


def _around(span: Partition) -> str:
    """Return the SQL condition that a job is of a partition, or of the day before or after it."""
    day = dt.timedelta(days=1)
    first = _MIN_ID if span.since is None else partitions.first_id(span.since - day)
    return f"(jobs.id >= '{first}' AND jobs.id < '{partitions.first_id(span.until + day)}')"


def _bounds(span: Partition) -> dict[str, uuid.UUID]:
    """Return the smallest id of a day, and the smallest id after it."""
    return {
        "first": _MIN_ID if span.since is None else partitions.first_id(span.since),
        "after": partitions.first_id(span.until),
    }
