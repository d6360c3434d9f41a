"""The events of jobs and batches: transitions write them, waiting clients read them.

The types are part of the HTTP contract: `job.queued`, `job.running`, `job.stage` and the three
ends of a job; `batch.progress` each time a job of the batch ends, and `batch.finished`.
"""

import datetime as dt
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, Row, text

from smart_filter_shared.db.rows import read_row
from smart_filter_shared.ids import BatchId, JobId, Tenant
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.states import JobState


class EventType(StrEnum):
    """The type of an event."""

    QUEUED = "job.queued"
    RUNNING = "job.running"
    STAGE = "job.stage"
    SUCCEEDED = "job.succeeded"
    FAILED = "job.failed"
    CANCELED = "job.canceled"
    BATCH_PROGRESS = "batch.progress"
    BATCH_FINISHED = "batch.finished"


FINAL_TYPES = frozenset({EventType.SUCCEEDED, EventType.FAILED, EventType.CANCELED})
_FINAL_NAMES: Final = ", ".join(f"'{type_}'" for type_ in sorted(FINAL_TYPES))
# The last event of a job or a batch: a client that waits for it can stop.
_ENDING_TYPES = FINAL_TYPES | {EventType.BATCH_FINISHED}


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a job; ids rise in the order of the job's events."""

    id: int
    type: EventType
    stage: StageName | None
    state: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class JobChanges:
    """The jobs and batches with events that were committed since the last read.

    horizon: where the next read begins.
    jobs: the ids with new events; True when one of these events is an end.
    is_first: whether events before the horizon may have been missed.
    """

    horizon: str
    jobs: dict[JobId, bool]
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """The end of a job or a batch; batch_id: None for a job, as job_id for a batch."""

    id: int
    type: EventType
    at: dt.datetime
    job_id: JobId | None
    batch_id: BatchId | None


@dataclass(frozen=True, slots=True)
class Ends:
    """Ends of a tenant's jobs and batches, in order; cursor: where the next read begins."""

    ends: list[End]
    cursor: int


# A commit of a worker does not wait for the disk (`sessions.for_key_lookups`). No client sees what
# a crash could undo: a statement that reads something new writes to the log, and its commit waits
# for the disk, and so for all commits before it. The server has written older ones by itself:
# within three times `wal_writer_delay`, 0.6 s.
_FLUSHED_SECONDS: Final = 2


def flush_if_new(moment: str) -> str:
    """Return the SQL of a column that makes what a statement reads survive a crash.

    moment: when the row was written; null: never. The statement must commit.
    """
    return f"""
        CASE WHEN {moment} > statement_timestamp() - interval '{_FLUSHED_SECONDS} s'
            THEN pg_logical_emit_message(true, 'smart_filter', '') END AS flushed
    """


# One event of each of some jobs or batches.
_PARAMETER_ROWS = """
    SELECT job_id, CAST(:type AS text), NULL, CAST(:state AS text)
    FROM unnest(CAST(:job_ids AS uuid[])) AS job_id
"""


def insert(happened: str) -> str:
    """Return the SQL that writes events; happened: a query of (job_id, type, stages, state)."""
    # The transaction id is stored as bigint, so that reads can compare it with a snapshot.
    return f"""
        INSERT INTO events (job_id, type, stages, state, at, written_in)
        SELECT happened.*, statement_timestamp(),
            CAST(CAST(pg_current_xact_id() AS text) AS bigint)
        FROM ({happened}) AS happened
    """  # noqa: S608 - all parts stand in this package


def outbox_lane(table: str, url: str = "url") -> str:
    """Return the SQL of a delivery's lane: its tenant and its receiver, as `host[:port]`.

    Deliveries of one lane may delay each other.  table: the one of the row that has the tenant.
    """
    return f"{table}.tenant || ' ' || lower(split_part({url}, '/', 3))"


def insert_with_deliveries(happened: str, *, among: str) -> str:
    """Return the SQL of a WITH that writes events, and for ends the webhook deliveries.

    It also leaves ended jobs to the settlement (operations/settlement.py).

    happened: a query of (job_id, type, stages, state), in order.
    among: a query of the jobs that the events belong to.
    """
    # Events and deliveries commit together (transactional outbox): one delivery for each webhook,
    # and one for the address that the job names.
    return f"""
        recorded AS ({insert(happened)} RETURNING job_id, type, at),
        unsettled AS (
            INSERT INTO unsettled_jobs (job_id)
            SELECT job_id FROM recorded WHERE type IN ({_FINAL_NAMES})
        ), told AS (
            INSERT INTO deliveries (
                id, tenant, webhook, url, lane, job_id, type, happened_at, due_at
            )
            SELECT gen_random_uuid(), jobs.tenant, told.*, jobs.id, recorded.type, at, at
            FROM recorded JOIN ({among}) AS jobs ON jobs.id = recorded.job_id, LATERAL (
                SELECT CAST(id AS text), NULL, {outbox_lane("webhooks")} FROM webhooks
                WHERE webhooks.tenant = jobs.tenant AND recorded.type = ANY(webhooks.events)
                    AND webhooks.disabled IS NULL
                UNION ALL
                SELECT 'default', webhook_url, {outbox_lane("jobs", "webhook_url")}
                WHERE webhook_url IS NOT NULL
            ) AS told (webhook, url, lane)
            WHERE recorded.type IN ({_FINAL_NAMES})
        )
    """  # noqa: S608 - all parts stand in this package


_RECORD = text(insert(_PARAMETER_ROWS))
_JOBS = "SELECT * FROM jobs WHERE id = ANY(:job_ids)"
_RECORD_ENDS = text(f"WITH {insert_with_deliveries(_PARAMETER_ROWS, among=_JOBS)} SELECT")
# The same for batches: the column `job_id` of `events` then holds the batch's id.
_RECORD_BATCHES = text(f"""
    WITH recorded AS ({insert(_PARAMETER_ROWS)} RETURNING job_id, type, at)
    INSERT INTO deliveries (id, tenant, webhook, url, lane, batch_id, type, happened_at, due_at)
    SELECT gen_random_uuid(), batches.tenant, told.*, batches.id, recorded.type, at, at
    FROM recorded JOIN batches ON batches.id = recorded.job_id, LATERAL (
        SELECT CAST(id AS text), NULL, {outbox_lane("webhooks")} FROM webhooks
        WHERE webhooks.tenant = batches.tenant AND recorded.type = ANY(webhooks.events)
            AND webhooks.disabled IS NULL
        UNION ALL
        SELECT 'default', webhook_url, {outbox_lane("batches", "webhook_url")}
        WHERE webhook_url IS NOT NULL
    ) AS told (webhook, url, lane)
    WHERE recorded.type = 'batch.finished'
""")  # noqa: S608 - both parts stand here

# The events of stages have the numbers before the last event of their row.
_LIST_FOR_JOB = text(f"""
    SELECT told.*, at, {flush_if_new("at")} FROM events, LATERAL (
        SELECT id - 16 + turn AS id, '{EventType.STAGE}' AS type, stage, 'succeeded' AS state
        FROM unnest(string_to_array(stages, ' ')) WITH ORDINALITY AS done (stage, turn)
        UNION ALL SELECT id, type, NULL, state WHERE type <> '{EventType.STAGE}'
    ) AS told
    WHERE job_id = :job_id AND events.id > :after AND told.id > :after ORDER BY told.id
""")  # noqa: S608 - SQL of our own
_FIND_LAST = text(f"""
    SELECT id, type, NULL AS stage, state, at, {flush_if_new("at")} FROM events
    WHERE job_id = :id AND type = :type ORDER BY id DESC LIMIT 1
""")  # noqa: S608 - SQL of our own

# How many transactions back `read_ends` looks at most, which bounds its cost. A busy service has a
# few hundred a second.
_MAX_TRANSACTIONS: Final = 100_000
# The transactions below `xmin` have ended, so a later read need not return to them.
_XMIN = "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"
_READ_ENDS = text(f"""
    SELECT {_XMIN} AS cursor, ended.*, {flush_if_new("ended.at")}
    FROM (VALUES (1)) AS one (row) LEFT JOIN (
        SELECT id, type, at, job_id, written_in FROM events
        WHERE written_in >= greatest(CAST(:after AS bigint), {_XMIN} - {_MAX_TRANSACTIONS})
            AND type = ANY(:ends)
            AND CASE type WHEN '{EventType.BATCH_FINISHED}'
                THEN EXISTS (
                    SELECT FROM batches WHERE batches.id = job_id AND tenant = :tenant
                )
                ELSE EXISTS (SELECT FROM jobs WHERE jobs.id = job_id AND tenant = :tenant)
            END
        ORDER BY written_in, id LIMIT :most
    ) AS ended ON CAST(:after AS bigint) IS NOT NULL
    ORDER BY ended.written_in, ended.id
""")  # noqa: S608 - all parts stand here

# See `read_changes`.
_XMAX = "CAST(CAST(pg_snapshot_xmax({}) AS text) AS bigint)"
_CURRENT_SNAPSHOT = "pg_current_snapshot()"
_HORIZON_SNAPSHOT = "CAST(:horizon AS pg_snapshot)"
# Transactions that ran at the last read and have ended since; those still running are skipped.
_ENDED = f"""
    SELECT CAST(CAST(id AS text) AS bigint) FROM pg_snapshot_xip({_HORIZON_SNAPSHOT}) AS ran (id)
    WHERE pg_visible_in_snapshot(id, {_CURRENT_SNAPSHOT})
"""  # noqa: S608 - both parts stand here


def _written_since(columns: str, table: str) -> str:
    # UNION ALL gives two index scans; with OR the planner may read the whole table.
    return f"""
        SELECT {columns} FROM {table}
        WHERE written_in >= {_XMAX.format(_HORIZON_SNAPSHOT)}
            AND written_in < {_XMAX.format(_CURRENT_SNAPSHOT)}
        UNION ALL
        SELECT {columns} FROM {table} WHERE written_in = ANY(ARRAY({_ENDED}))
    """  # noqa: S608 - all parts stand in this package


_FIRST = text(f"SELECT CAST({_CURRENT_SNAPSHOT} AS text)")
# A deleted job has no events left; its tombstone stands for its end.
_READ_CHANGES = text(f"""
    SELECT CAST({_CURRENT_SNAPSHOT} AS text) AS horizon,
        {_XMAX.format(_CURRENT_SNAPSHOT)} < {_XMAX.format(_HORIZON_SNAPSHOT)} AS is_behind,
            new.job_id, new.ends
    FROM (VALUES (1)) AS one (row) LEFT JOIN (
        SELECT job_id, bool_or(is_end) AS ends FROM (
            {_written_since("job_id, type = ANY(:finals) AS is_end", "events")}
            UNION ALL
            {_written_since("job_id, true", "tombstones")}
        ) AS happened GROUP BY job_id
    ) AS new ON true
""")  # noqa: S608 - all parts stand here


def record(connection: Connection, job_ids: Sequence[JobId], state: JobState) -> None:
    """Write the events of jobs that have entered a state, and the webhook deliveries of ends."""
    if not job_ids:
        return
    type_ = EventType(f"job.{state}")
    statement = _RECORD_ENDS if type_ in FINAL_TYPES else _RECORD
    connection.execute(statement, {"job_ids": job_ids, "type": type_, "state": state})


def record_batches(
    connection: Connection, *, moved: Collection[BatchId], finished: Collection[BatchId]
) -> None:
    """Write the progress and finish events of batches, and the webhook deliveries of finishes."""
    for type_, state, batches in (
        (EventType.BATCH_PROGRESS, "running", moved),
        (EventType.BATCH_FINISHED, "finished", finished),
    ):
        if batches:
            where = {"job_ids": list(batches), "type": type_, "state": state}
            connection.execute(_RECORD_BATCHES, where)


def find_last(connection: Connection, batch_id: BatchId, type_: EventType) -> Event | None:
    """Return the last event of a batch that has this type."""
    row = connection.execute(_FIND_LAST, {"id": batch_id, "type": str(type_)}).one_or_none()
    return None if row is None else read_row(Event, row)


def list_for_job(connection: Connection, job_id: JobId, *, after: int = 0) -> list[Event]:
    """Return the events of a job after the event `after`, in order."""
    rows = connection.execute(_LIST_FOR_JOB, {"job_id": job_id, "after": after})
    return [read_row(Event, row) for row in rows]


def read_ends(connection: Connection, tenant: Tenant, *, after: int | None, most: int) -> Ends:
    """Return the ends of a tenant's jobs and batches since the read that returned this cursor.

    An end can be returned again, under the same id, while a transaction that began before it still
    runs; none is left out, as long as fewer than _MAX_TRANSACTIONS lie between the reads.
    after: None: none, but a cursor to begin with.  most: the limit; the oldest are returned.
    """
    rows = connection.execute(
        _READ_ENDS,
        {
            "tenant": tenant,
            "after": after,
            "most": most,
            "ends": [str(type_) for type_ in _ENDING_TYPES],
        },
    ).all()
    ended = [row for row in rows if row.id is not None]
    cursor: int = rows[0].cursor
    if len(ended) == most:
        # The rest of the last transaction is read again; a full page of one is passed over.
        is_whole = ended[0].written_in == ended[-1].written_in
        cursor = min(cursor, ended[-1].written_in + is_whole)
    return Ends([_end(row) for row in ended], cursor)


def _end(row: Row[tuple[object, ...]]) -> End:
    type_ = EventType(row.type)
    is_batch = type_ == EventType.BATCH_FINISHED
    return End(
        id=row.id,
        type=type_,
        at=row.at,
        job_id=None if is_batch else JobId(row.job_id),
        batch_id=BatchId(row.job_id) if is_batch else None,
    )


def read_changes(connection: Connection, horizon: str | None) -> JobChanges:
    """Return the events committed since the read that returned this horizon; None: a first read.

    A horizon is the snapshot of the earlier read. A row was invisible to that snapshot when the
    transaction that wrote it had an id at or above the snapshot's `xmax`, or was in its list of
    running transactions. The row is visible now when that id is below the current `xmax`. So each
    event is returned by exactly one read, and a long transaction costs nothing until it ends:

    * `xmax` is one above the highest id that has ended. A running transaction with a higher id is
      not in the list, and is found by its id later.
    * An event carries the id of its top-level transaction, and the list holds top-level ids
      only: a savepoint changes neither.
    * A prepared transaction is in the list until it is committed.
    * A row of another cluster, restored by `pg_restore`, may carry an id that this cluster has
      not reached. It is at or above the current `xmax` and is not read. `migrate.upgrade` resets
      these ids. Without that, the row is returned once, when the ids catch up.
    * A replica lists no running transactions, so reads must go to the primary.

    When ids have gone back, as after a failover that lost commits, this is a first read again.
    """
    if horizon is None:
        return JobChanges(connection.execute(_FIRST).scalar_one(), {}, is_first=True)
    where = {"horizon": horizon, "finals": [str(type_) for type_ in _ENDING_TYPES]}
    rows = connection.execute(_READ_CHANGES, where).all()
    jobs = {
        JobId(uuid.UUID(str(row.job_id))): bool(row.ends) for row in rows if row.job_id is not None
    }
    return JobChanges(rows[0].horizon, jobs, is_first=rows[0].is_behind)
