"""Service metrics: counters that workers add up in the database, and current queue lengths."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.artifacts import retention
from smart_filter_shared.db.rows import read_row
from smart_filter_shared.ids import Capability
from smart_filter_shared.queue import heads, worker_registry
from smart_filter_shared.queue.worker_registry import SENDER_ROLE, WorkerState
from smart_filter_shared.telemetry.metrics import WorkerStep

# A sender without a heartbeat for this long is dead; as long as the leases of its deliveries.
_SILENT_SENDER_SECONDS = 60.0


class CounterName(StrEnum):
    """The counters without a time.

    By capability: attempts, retries, releases, expiries, dead (dead letters: stages that failed
    for good, and not because of their photos), and the batches of the attempts.
    By outcome: ended jobs.
    """

    ATTEMPTS = "attempts"
    RETRIES = "retries"
    RELEASES = "releases"
    EXPIRIES = "expiries"
    DEAD = "dead"
    BATCHES = "batches"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class CounterKey:
    """The key of a counter.

    subject: the capability; for ended jobs, the outcome.
    """

    what: WorkerStep | CounterName
    subject: str


@dataclass(frozen=True, slots=True)
class CounterValue:
    """The value of a counter: number of events, and their total seconds."""

    count: int
    seconds: float = 0.0

    def __add__(self, more: "CounterValue") -> "CounterValue":
        """Return the sum of both."""
        return CounterValue(self.count + more.count, self.seconds + more.seconds)


# Waiting and ready stages of a queue, and jobs, are counted up to this number, so that the time of
# a count does not grow with the queues.
MAX_COUNTED: Final = 10_000
_QUEUE_LENGTHS = text(f"""
    WITH RECURSIVE {heads.QUEUES.format(state="waiting")}, {heads.QUEUES.format(state="ready")}
    SELECT capability, sum(waiting) AS waiting, sum(ready) AS ready,
        sum(running) AS running, coalesce(max(wait), 0) AS oldest_wait_seconds
    FROM (
        SELECT name AS capability, 0 AS waiting, 0 AS ready, 0 AS running,
            CAST(NULL AS float8) AS wait
        FROM capabilities
        UNION ALL
        SELECT capability, stages, 0, 0, NULL FROM waiting_queues, LATERAL (
            SELECT count(*) AS stages FROM (
                SELECT FROM stages
                WHERE stages.capability = waiting_queues.capability AND state = 'waiting'
                LIMIT :most
            ) AS counted
        ) AS counted
        UNION ALL
        SELECT capability, 0, stages, 0, extract(epoch FROM statement_timestamp() - oldest)
        FROM ready_queues, LATERAL (
            SELECT count(*) AS stages, min(ready_at) AS oldest FROM (
                SELECT ready_at FROM stages
                WHERE stages.capability = ready_queues.capability AND state = 'ready'
                ORDER BY rank LIMIT :most
            ) AS counted
        ) AS counted
        UNION ALL
        SELECT capability, 0, 0, count(*), NULL
        FROM stages WHERE state = 'running' GROUP BY capability
    ) AS counted
    GROUP BY capability
""")  # noqa: S608 - constants of our own


@dataclass(frozen=True, slots=True)
class QueueLength:
    """The current number of stages of a capability by state.

    waiting, ready: counted up to MAX_COUNTED.
    oldest_wait_seconds: age of the oldest counted ready stage; 0 without any.
    """

    waiting: int
    ready: int
    running: int
    oldest_wait_seconds: float


@dataclass(frozen=True, slots=True)
class ServiceMetrics:
    """All metrics of the service.

    queues: by capability.
    paused: the paused capabilities.
    totals: the counters since the database was created.
    workers: number of workers by capability and state.
    webhook_lag_seconds: how long the oldest delivery has been due that senders neglect.
    retention_lag_seconds: how long the deletion of the oldest artifact or upload is overdue.
    """

    queues: Mapping[str, QueueLength]
    paused: frozenset[Capability]
    totals: Mapping[CounterKey, CounterValue]
    workers: Mapping[tuple[Capability, WorkerState], int]
    webhook_lag_seconds: float
    retention_lag_seconds: float


def add(connection: Connection, amounts: Mapping[CounterKey, CounterValue]) -> None:
    """Add amounts to the counters; rows are locked in the order of their keys."""
    if not amounts:
        return
    measures = sorted(amounts, key=lambda measure: (measure.what, measure.subject))
    connection.execute(
        text("""
            INSERT INTO measures (what, subject, count, seconds)
            SELECT * FROM unnest(
                CAST(:what AS text[]), CAST(:subjects AS text[]),
                CAST(:counts AS bigint[]), CAST(:seconds AS float8[])
            )
            ON CONFLICT (what, subject) DO UPDATE SET
                count = measures.count + excluded.count,
                seconds = measures.seconds + excluded.seconds
        """),
        {
            "what": [str(measure.what) for measure in measures],
            "subjects": [measure.subject for measure in measures],
            "counts": [amounts[measure].count for measure in measures],
            "seconds": [float(amounts[measure].seconds) for measure in measures],
        },
    )


def read_counters(connection: Connection, *, silent_seconds: float) -> ServiceMetrics:
    """Return the current metrics of the service.

    silent_seconds: a worker without a heartbeat for this long is unhealthy.
    """
    return ServiceMetrics(
        queues=read_queue_lengths(connection),
        paused=heads.list_paused(connection),
        totals=read_totals(connection),
        workers=worker_registry.count_by_state(connection, silent_seconds=silent_seconds),
        webhook_lag_seconds=webhook_lag_seconds(connection),
        retention_lag_seconds=retention.lag_seconds(connection),
    )


def read_totals(connection: Connection) -> dict[CounterKey, CounterValue]:
    """Return all counters since the database was created."""
    rows = connection.execute(text("SELECT what, subject, count AS times, seconds FROM measures"))
    kinds: dict[str, WorkerStep | CounterName] = {
        str(what): what for what in (*WorkerStep, *CounterName)
    }
    return {
        CounterKey(kinds[row.what], row.subject): CounterValue(row.times, row.seconds)
        for row in rows
        if row.what in kinds  # a newer version may count more
    }


def read_queue_lengths(connection: Connection) -> dict[str, QueueLength]:
    """Return the queue length of every capability that has stages or has ever run one.

    Stages of each queue are counted up to MAX_COUNTED; ended stages are not read.
    """
    rows = connection.execute(_QUEUE_LENGTHS, {"most": MAX_COUNTED})
    return {row.capability: read_row(QueueLength, row) for row in rows}


def webhook_lag_seconds(connection: Connection) -> float:
    """Return how long the oldest delivery has been due that senders neglect, in seconds; 0 if none.

    Deliveries behind others of their lane do not count: behind one that is being sent and, while a
    sender is there, behind one that failed and whose retry is not due yet. The receiver is slow
    there, not the sender.
    """
    # Jumps from lane to lane in the index, as claims do, so the size of a lane does not matter.
    # Only a delivery that failed is due in the future.
    seconds = connection.execute(
        text("""
            WITH RECURSIVE heads AS (
                (SELECT lane, due_at FROM deliveries WHERE state = 'waiting'
                    ORDER BY lane, due_at LIMIT 1)
                UNION ALL
                SELECT next.lane, next.due_at FROM heads, LATERAL (
                    SELECT lane, due_at FROM deliveries
                    WHERE state = 'waiting' AND deliveries.lane > heads.lane
                    ORDER BY lane, due_at LIMIT 1
                ) AS next
            )
            SELECT coalesce(extract(epoch FROM statement_timestamp() - min(due_at)), 0) FROM heads
            WHERE NOT EXISTS (
                SELECT 1 FROM deliveries
                WHERE deliveries.lane = heads.lane AND state = 'sending'
                    AND leased_until > statement_timestamp()
            ) AND NOT (
                EXISTS (
                    SELECT 1 FROM workers
                    WHERE wanted = ARRAY[CAST(:sender AS text)] AND drained_from IS NULL
                        AND seen_at > statement_timestamp() - make_interval(secs => :silent_seconds)
                ) AND EXISTS (
                    SELECT 1 FROM deliveries
                    WHERE deliveries.lane = heads.lane AND state = 'waiting'
                        AND deliveries.due_at > statement_timestamp()
                )
            )
        """),
        {"sender": SENDER_ROLE, "silent_seconds": _SILENT_SENDER_SECONDS},
    ).scalar_one()
    return max(0.0, float(seconds))
