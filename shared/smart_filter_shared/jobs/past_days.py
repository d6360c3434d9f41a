"""Past days: what is known of jobs goes by whole days, where the operator wants it to go at all.

A day's partitions are dropped once nothing of the day is unfinished or kept any more: one job of
which anything is kept holds all of its day, and so does whatever is in doubt. Other tables have
then no row that names a job of the day, but for its batches, which go with it; usage stays, and
so do the tombstones of deleted jobs.

All of it is one transaction: whoever looks sees the day whole or not at all. Dropping needs both
tables alone, for which everybody waits: so that comes last, takes some milliseconds, and is
given up when somebody does not let go of them soon. The next try is an hour later.
"""

import datetime as dt
import uuid
from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.db import days
from smart_filter_shared.db.days import Span

# Everybody waits behind whoever waits for the tables.
_LOCK_TIMEOUT: Final = "200ms"
_LEAST: Final = uuid.UUID(int=0)

# What holds a day, by what an operator is told: each a probe of an index. Of other tables, ids
# of jobs tell which day they are of.
_OF_DAY: Final = "job_id >= :first AND job_id < :after"
_HOLDING: Final[Mapping[str, str]] = {
    "jobs that have not ended": "{jobs} WHERE outcome IS NULL",
    "jobs that are to be counted": "{jobs} WHERE outcome IS NOT NULL AND NOT settled",
    "results": "{jobs} WHERE expires_at IS NOT NULL AND expired_at IS NULL",
    "objects": f"artifacts WHERE {_OF_DAY}",
    "objects that it borrows": f"borrowers WHERE {_OF_DAY}",
    "corrections": f"corrections WHERE {_OF_DAY}",
    "items of data sets": f"data_items WHERE {_OF_DAY}",
    "deliveries": f"deliveries WHERE {_OF_DAY}",
    "remembered requests": f"requests WHERE {_OF_DAY}",
    # A job names an upload within the hour in which it may: no later than this day's end.
    "uploads": "uploads WHERE id < :after",
}
# What takes longer: read once, before the tables are locked. Whatever has expired stays so, and no
# event comes of a job that does not move.
_READ_ONCE: Final[Mapping[str, str]] = {
    "jobs in doubt": "{jobs} WHERE expired_at IS NULL",
    # Those of its batches go with them.
    "events": f"""
        events WHERE {_OF_DAY} AND NOT EXISTS (SELECT FROM batches WHERE id = events.job_id)
    """,
}
# Of batches, likewise, of which one job is of the day.
_HOLDING_BATCHES: Final[Mapping[str, str]] = {
    "batches that have not finished": "batches WHERE id = ANY(:ids) AND finished_at IS NULL",
    "batches that are being deleted": "batches WHERE id = ANY(:ids) AND deleted_at IS NOT NULL",
    "results of batches": "jobs WHERE batch_id = ANY(:ids) AND expired_at IS NULL",
    "deliveries of batches": "deliveries WHERE batch_id = ANY(:ids)",
    "remembered requests of batches": "requests WHERE job_id = ANY(:ids)",
}

# Those of its jobs; and those of the day behind which no job stands any more, or ever did.
_BATCHES: Final = """
    SELECT id FROM batches
    WHERE id IN (SELECT batch_id FROM {jobs} WHERE batch_id IS NOT NULL)
        OR id >= :first AND id < :after
            AND NOT EXISTS (SELECT FROM jobs WHERE jobs.batch_id = batches.id)
    ORDER BY id FOR UPDATE
"""
# A batch that came at midnight has jobs of two days: it goes with the second that goes.
_STAYING: Final = text("""
    SELECT DISTINCT batch_id FROM jobs
    WHERE batch_id = ANY(:ids) AND NOT (id >= :first AND id < :after)
""")
_LEAVE_GAPS: Final = """
    INSERT INTO batch_gaps (batch_id, index, job_id, outcome)
    SELECT batch_id, batch_index, id, outcome FROM {jobs} WHERE batch_id = ANY(:ids)
"""
_FORGET_BATCHES: Final = (
    text("DELETE FROM batch_gaps WHERE batch_id = ANY(:ids)"),
    text("DELETE FROM events WHERE job_id = ANY(:ids)"),
    text("DELETE FROM batches WHERE id = ANY(:ids)"),
)

_OVER: Final = text("""
    SELECT CAST(over_at AT TIME ZONE 'UTC' AS date)
    FROM (SELECT statement_timestamp() - make_interval(secs => :seconds) AS over_at) AS lately
""")


def over(connection: Connection, *, kept_seconds: float) -> list[Span]:
    """Return the days that were over so long ago, the oldest first."""
    until = connection.scalar(_OVER, {"seconds": kept_seconds})
    assert isinstance(until, dt.date)
    return [span for span in days.partitions(connection) if span.until <= until]


def drop(connection: Connection, span: Span) -> list[str]:
    """Drop a day, or return what holds it, such as "results"; then nothing has changed.

    Raises DatabaseUnavailable, by way of the transaction, when somebody else does not let go.
    """
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    # One at a time, beside whom everybody else goes on.
    connection.execute(text("LOCK TABLE ONLY jobs IN SHARE UPDATE EXCLUSIVE MODE"))
    if span not in days.partitions(connection):
        return []
    held = _found(connection, span, _HOLDING) or _found(connection, span, _READ_ONCE)
    if held:
        return held
    trying = connection.begin_nested()
    held = _forget_batches(connection, span)
    if not held:
        # Nobody moves a job from here on; what was written since it was looked for is seen now.
        connection.execute(text("LOCK TABLE ONLY jobs, ONLY stages IN ACCESS EXCLUSIVE MODE"))
        held = _found(connection, span, _HOLDING)
    if held:
        trying.rollback()
    else:
        connection.execute(
            text(f"DROP TABLE {', '.join(f'{table}_{span.name}' for table in days.TABLES)}")
        )
        trying.commit()
    return held


def _forget_batches(connection: Connection, span: Span) -> list[str]:
    """Forget the batches of a day, or return what holds them."""
    jobs = f"jobs_{span.name}"
    found = connection.execute(text(_BATCHES.format(jobs=jobs)), _bounds(span))
    ids = list(found.scalars())
    if not ids:
        return []
    if held := _found(connection, span, _HOLDING_BATCHES, ids):
        return held
    staying = set(connection.execute(_STAYING, {"ids": ids, **_bounds(span)}).scalars())
    connection.execute(text(_LEAVE_GAPS.format(jobs=jobs)), {"ids": list(staying)})
    going = [one for one in ids if one not in staying]
    for statement in _FORGET_BATCHES:
        connection.execute(statement, {"ids": going})
    return []


def _found(
    connection: Connection,
    span: Span,
    queries: Mapping[str, str],
    ids: Collection[uuid.UUID] = (),
) -> list[str]:
    """Return the names of those of the queries that find anything."""
    each = ", ".join(f"EXISTS (SELECT FROM {query})" for query in queries.values())
    found = connection.execute(
        text(f"SELECT {each.format(jobs=f'jobs_{span.name}')}"),
        {"ids": list(ids), **_bounds(span)},
    ).one()
    return [name for name, is_there in zip(queries, found, strict=True) if is_there]


def _bounds(span: Span) -> dict[str, uuid.UUID]:
    """Return the least id of a day, and the least after it."""
    return {
        "first": _LEAST if span.since is None else days.first_id(span.since),
        "after": days.first_id(span.until),
    }
