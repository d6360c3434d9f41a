"""What workers did, added up in the database, and how long the queues are now."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, text

from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import pauses, presence, retention
from smart_filter_shared.jobs.presence import WorkerState
from smart_filter_shared.telemetry.metrics import Step


class Count(StrEnum):
    """What is counted without a time.

    Of a capability: attempts, retries, releases, expiries, dead (stages that failed for good
    and not for their photos); batches, and how many stages were batched in them.
    Of an outcome: ended jobs.
    """

    ATTEMPTS = "attempts"
    RETRIES = "retries"
    RELEASES = "releases"
    EXPIRIES = "expiries"
    DEAD = "dead"
    BATCHES = "batches"
    BATCHED = "batched"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is added up.

    subject: the capability that it is of; of ended jobs, the outcome.
    """

    what: Step | Count
    subject: str


@dataclass(frozen=True, slots=True)
class Amount:
    """How often something happened, and what it took altogether."""

    count: int
    seconds: float = 0.0

    def __add__(self, more: "Amount") -> "Amount":
        """Return both together."""
        return Amount(self.count + more.count, self.seconds + more.seconds)


@dataclass(frozen=True, slots=True)
class Queue:
    """How much a capability has before it now.

    oldest_wait_seconds: of that ready stage which has been ready longest; 0 without any.
    """

    waiting: int
    ready: int
    running: int
    oldest_wait_seconds: float


@dataclass(frozen=True, slots=True)
class Reading:
    """All there is to know; queues by capability.

    paused: capabilities that nobody may claim from.
    workers: how many of a capability are in a state.
    webhook_lag_seconds: how long that delivery has been due which nobody has begun to send.
    retention_lag_seconds: how long the oldest artifact or upload is overdue that should be gone.
    """

    queues: Mapping[str, Queue]
    paused: frozenset[Capability]
    totals: Mapping[Measure, Amount]
    workers: Mapping[tuple[Capability, WorkerState], int]
    webhook_lag_seconds: float
    retention_lag_seconds: float


def add(connection: Connection, amounts: Mapping[Measure, Amount]) -> None:
    """Add to what is known; rows are locked in the order of their keys."""
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
            "seconds": [amounts[measure].seconds for measure in measures],
        },
    )


def read(connection: Connection, *, silent_seconds: float) -> Reading:
    """Return how things are now, and all that was added up since there is a database.

    silent_seconds: a worker that was not heard from for so long is unhealthy.
    """
    return Reading(
        queues=queues(connection),
        paused=pauses.paused(connection),
        totals=totals(connection),
        workers=presence.census(connection, silent_seconds=silent_seconds),
        webhook_lag_seconds=webhook_lag_seconds(connection),
        retention_lag_seconds=retention.lag_seconds(connection),
    )


def totals(connection: Connection) -> dict[Measure, Amount]:
    """Return all that was added up since there is a database."""
    rows = connection.execute(text("SELECT what, subject, count AS times, seconds FROM measures"))
    kinds: dict[str, Step | Count] = {str(what): what for what in (*Step, *Count)}
    return {
        Measure(kinds[row.what], row.subject): Amount(row.times, row.seconds)
        for row in rows
        if row.what in kinds  # a newer version may count more
    }


def queues(connection: Connection) -> dict[str, Queue]:
    """Return the queue of every capability that has one, or that ever ran anything.

    One scan of each partial index; what has ended is not looked at.
    """
    rows = connection.execute(
        text("""
            SELECT capability, sum(waiting) AS waiting, sum(ready) AS ready,
                sum(running) AS running, coalesce(max(wait), 0) AS wait
            FROM (
                SELECT name AS capability, 0 AS waiting, 0 AS ready, 0 AS running,
                    CAST(NULL AS float8) AS wait
                FROM capabilities
                UNION ALL
                SELECT capability, count(*), 0, 0, NULL
                FROM open_stages WHERE state = 'waiting' GROUP BY capability
                UNION ALL
                SELECT capability, 0, count(*), 0,
                    extract(epoch FROM statement_timestamp() - min(ready_at))
                FROM open_stages WHERE state = 'ready' GROUP BY capability
                UNION ALL
                SELECT capability, 0, 0, count(*), NULL
                FROM open_stages WHERE state = 'running' GROUP BY capability
            ) AS counted
            GROUP BY capability
        """)
    )
    return {
        row.capability: Queue(
            waiting=int(row.waiting),
            ready=int(row.ready),
            running=int(row.running),
            oldest_wait_seconds=float(row.wait),
        )
        for row in rows
    }


def webhook_lag_seconds(connection: Connection) -> float:
    """Return how long that delivery has been due which nobody has begun to send; 0 without."""
    # From one lane to the next by the index, as deliveries are claimed: however many wait in one.
    found = connection.execute(
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
        """)
    ).scalar_one()
    return max(0.0, float(found))
