"""What happened to jobs and batches: written by the transitions, read by whoever waits.

Types are those of the contract: `job.queued`, `job.running`, `job.stage`, and the three ends; of
a batch `batch.progress`, whenever one of its jobs has ended, and `batch.finished`.
"""

import datetime as dt
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.ids import BatchId, JobId
from smart_filter_shared.jobs.states import JobState, StageState
from smart_filter_shared.pipeline import StageName


class EventType(StrEnum):
    """What kind of thing happened."""

    QUEUED = "job.queued"
    RUNNING = "job.running"
    STAGE = "job.stage"
    SUCCEEDED = "job.succeeded"
    FAILED = "job.failed"
    CANCELED = "job.canceled"
    BATCH_PROGRESS = "batch.progress"
    BATCH_FINISHED = "batch.finished"


FINAL = frozenset({EventType.SUCCEEDED, EventType.FAILED, EventType.CANCELED})
# After which whoever waits for a job or a batch waits for nothing any more.
_ENDS = FINAL | {EventType.BATCH_FINISHED}


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that a transition is about to write; stage: of a stage's event, which one."""

    job_id: JobId
    type: EventType
    stage: StageName | None
    state: JobState | StageState

    @staticmethod
    def to_job(job_id: JobId, state: JobState) -> "Happened":
        """Return that a job has come to a state."""
        return Happened(job_id, EventType(f"job.{state}"), None, state)

    @staticmethod
    def to_stage(job_id: JobId, stage: StageName) -> "Happened":
        """Return that a stage has succeeded."""
        return Happened(job_id, EventType.STAGE, stage, StageState.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened to a job; ids rise in the order of its events."""

    id: int
    type: EventType
    stage: StageName | None
    state: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class News:
    """What has happened since the last look.

    horizon: where the next look begins.  jobs: whose events there are, and whether one of
    them is an end.  is_first: whether nothing is known of what happened before the horizon.
    """

    horizon: str
    jobs: dict[JobId, bool]
    is_first: bool = False


# Events that a statement is given.
_GIVEN = """
    SELECT * FROM unnest(
        CAST(:job_ids AS uuid[]), CAST(:types AS text[]), CAST(:stages AS text[]),
        CAST(:states AS text[])
    )
"""


def _insert(happened: str) -> str:
    # A transaction's number, as one that is read can be compared with it.
    return f"""
        INSERT INTO events (job_id, type, stage, state, at, written_in)
        SELECT happened.*, statement_timestamp(),
            CAST(CAST(pg_current_xact_id() AS text) AS bigint)
        FROM ({happened}) AS happened
    """  # noqa: S608 - all parts stand in this package


def recording_ends(happened: str, *, among: str) -> str:
    """Return the SQL of a WITH that writes events, and deliveries of those that are ends.

    happened: a query of (job_id, type, stage, state), in order.  Takes `finals`, see FINALS.
    among: the jobs that these are of, as SQL.
    """
    # In the same statement whoever wants to be told is noted: one delivery for each webhook, and
    # for the address that the job names. Those of one lane may hold up each other, of two never.
    return f"""
        recorded AS ({_insert(happened)} RETURNING job_id, type, at),
        told AS (
            INSERT INTO deliveries (
                id, tenant, webhook, url, lane, job_id, type, happened_at, due_at
            )
            SELECT gen_random_uuid(), jobs.tenant, told.*, jobs.id, recorded.type, at, at
            FROM recorded JOIN ({among}) AS jobs ON jobs.id = recorded.job_id, LATERAL (
                SELECT CAST(id AS text), NULL, CAST(id AS text) FROM webhooks
                WHERE webhooks.tenant = jobs.tenant AND recorded.type = ANY(webhooks.events)
                    AND webhooks.disabled IS NULL
                UNION ALL
                SELECT 'default', webhook_url, jobs.tenant || ' ' || split_part(webhook_url, '/', 3)
                WHERE webhook_url IS NOT NULL
            ) AS told (webhook, url, lane)
            WHERE recorded.type = ANY(:finals)
        )
    """  # noqa: S608 - all parts stand in this package


FINALS: Final = [str(one) for one in FINAL]
_RECORD = text(_insert(_GIVEN))
_OPEN = "SELECT * FROM open_jobs WHERE id = ANY(:job_ids)"
_RECORD_ENDS = text(f"WITH {recording_ends(_GIVEN, among=_OPEN)} SELECT")
_OF_ANY_DAY = "SELECT * FROM jobs WHERE id = ANY(:job_ids)"
_RECORD_ENDS_OF_ANY_DAY = text(f"WITH {recording_ends(_GIVEN, among=_OF_ANY_DAY)} SELECT")
# Likewise, of batches; the column `job_id` of events holds a batch's id then.
_RECORD_BATCHES = text(f"""
    WITH recorded AS ({_insert(_GIVEN)} RETURNING job_id, type, at)
    INSERT INTO deliveries (id, tenant, webhook, url, lane, batch_id, type, happened_at, due_at)
    SELECT gen_random_uuid(), batches.tenant, told.*, batches.id, recorded.type, at, at
    FROM recorded JOIN batches ON batches.id = recorded.job_id, LATERAL (
        SELECT CAST(id AS text), NULL, CAST(id AS text) FROM webhooks
        WHERE webhooks.tenant = batches.tenant AND recorded.type = ANY(webhooks.events)
            AND webhooks.disabled IS NULL
        UNION ALL
        SELECT 'default', webhook_url, batches.tenant || ' ' || split_part(webhook_url, '/', 3)
        WHERE webhook_url IS NOT NULL
    ) AS told (webhook, url, lane)
    WHERE recorded.type = 'batch.finished'
""")  # noqa: S608 - both parts stand here

_OF_JOB = text("""
    SELECT id, type, stage, state, at FROM events
    WHERE job_id = :job_id AND id > :after ORDER BY id
""")

# See `news`.
_XMAX = "CAST(CAST(pg_snapshot_xmax({}) AS text) AS bigint)"
_NOW = "pg_current_snapshot()"
_SINCE = "CAST(:horizon AS pg_snapshot)"
# Those that ran at the last look and do not now; one that runs on is not looked for.
_ENDED = f"""
    SELECT CAST(CAST(id AS text) AS bigint) FROM pg_snapshot_xip({_SINCE}) AS ran (id)
    WHERE pg_visible_in_snapshot(id, {_NOW})
"""  # noqa: S608 - both parts stand here


def _written_since(columns: str, table: str) -> str:
    # Two index scans; joined by OR the planner may read the whole table.
    return f"""
        SELECT {columns} FROM {table}
        WHERE written_in >= {_XMAX.format(_SINCE)} AND written_in < {_XMAX.format(_NOW)}
        UNION ALL
        SELECT {columns} FROM {table} WHERE written_in = ANY(ARRAY({_ENDED}))
    """  # noqa: S608 - all parts stand in this package


_FIRST = text(f"SELECT CAST({_NOW} AS text)")
# A deleted job has no events any more, but a tombstone.
_NEWS = text(f"""
    SELECT CAST({_NOW} AS text) AS horizon,
        {_XMAX.format(_NOW)} < {_XMAX.format(_SINCE)} AS is_behind, new.job_id, new.ends
    FROM (VALUES (1)) AS one (row) LEFT JOIN (
        SELECT job_id, bool_or(is_end) AS ends FROM (
            {_written_since("job_id, type = ANY(:finals) AS is_end", "events")}
            UNION ALL
            {_written_since("job_id, true", "tombstones")}
        ) AS happened GROUP BY job_id
    ) AS new ON true
""")  # noqa: S608 - all parts stand here


def record(
    connection: Connection, happened: Sequence[Happened], *, of_any_day: bool = False
) -> None:
    """Write events, in this order, and for ends the deliveries to webhooks.

    of_any_day: whether jobs that have ended may be of closed days (db/days.py).
    """
    if not happened:
        return
    ends = _RECORD_ENDS_OF_ANY_DAY if of_any_day else _RECORD_ENDS
    connection.execute(
        ends if any(one.type in FINAL for one in happened) else _RECORD,
        {
            "finals": FINALS,
            "job_ids": [one.job_id for one in happened],
            "types": [str(one.type) for one in happened],
            "stages": [None if one.stage is None else str(one.stage) for one in happened],
            "states": [str(one.state) for one in happened],
        },
    )


def record_batches(
    connection: Connection, *, moved: Collection[BatchId], finished: Collection[BatchId]
) -> None:
    """Write that batches have come further, or have finished, and the deliveries that tell so."""
    batches = [*moved, *finished]
    if not batches:
        return
    progress, end = EventType.BATCH_PROGRESS, EventType.BATCH_FINISHED
    connection.execute(
        _RECORD_BATCHES,
        {
            "job_ids": batches,
            "types": [str(progress)] * len(moved) + [str(end)] * len(finished),
            "stages": [None] * len(batches),
            "states": ["running"] * len(moved) + ["finished"] * len(finished),
        },
    )


def of_batch(connection: Connection, batch_id: BatchId, *, after: int = 0) -> list[Event]:
    """Return the events of a batch behind one of them, in order."""
    return of_job(connection, JobId(batch_id), after=after)


def of_job(connection: Connection, job_id: JobId, *, after: int = 0) -> list[Event]:
    """Return the events of a job behind one of them, in order."""
    rows = connection.execute(_OF_JOB, {"job_id": job_id, "after": after})
    return [
        Event(
            id=row.id,
            type=EventType(row.type),
            stage=None if row.stage is None else StageName(row.stage),
            state=row.state,
            at=row.at,
        )
        for row in rows
    ]


def news(connection: Connection, horizon: str | None) -> News:
    """Return what was committed since a look whose horizon this is; None: a first look.

    A horizon is the look's snapshot. A row was not visible to it when the transaction that wrote
    the row had an id at or above the snapshot's `xmax`, or was in its list of running ones; it is
    visible now when that transaction has an id below `xmax` of now. So each event is returned by
    one look, and a transaction that runs for long costs nothing until it ends:

    * `xmax` is one above the latest id that has ended; a transaction that runs with a higher id
      is not in the list, and is found by its id later.
    * An event carries the id of its top-level transaction, and the list holds top-level ids
      only: a savepoint changes neither.
    * A prepared transaction is in the list until it is committed.
    * A row of another cluster, restored by `pg_restore`, may carry an id that this cluster has
      not reached; it lies above `xmax` of now and is not read. `migrate.upgrade` resets these
      ids. Where it did not run, such a row is returned once, when the ids catch up.
    * A replica lists nothing as running: looks are for the primary.

    Ids that go back, as after a failover that lost commits, make this a first look again.
    """
    if horizon is None:
        return News(connection.execute(_FIRST).scalar_one(), {}, is_first=True)
    where = {"horizon": horizon, "finals": [str(one) for one in _ENDS]}
    rows = connection.execute(_NEWS, where).all()
    jobs = {
        JobId(uuid.UUID(str(row.job_id))): bool(row.ends) for row in rows if row.job_id is not None
    }
    return News(rows[0].horizon, jobs, is_first=rows[0].is_behind)
