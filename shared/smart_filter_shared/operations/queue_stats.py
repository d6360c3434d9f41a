"""Queue statistics for operators: lengths, workers, pauses, and the next stages of a queue."""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Connection, text

from smart_filter_shared.ids import Capability, JobId, Tenant
from smart_filter_shared.operations import counters

_EMPTY = counters.QueueLength(waiting=0, ready=0, running=0, oldest_wait_seconds=0.0)

_SERVED = text("""
    SELECT known.capability, pauses.paused_at,
        count(workers.id) AS workers, coalesce(sum(workers.threads), 0) AS threads
    FROM (
        -- Light models run with their stage and have no queue: their capability has no dot.
        SELECT capability FROM models WHERE capability LIKE '%.%'
        UNION SELECT capability FROM pauses
        UNION SELECT unnest(capabilities) FROM workers
    ) AS known
    LEFT JOIN pauses ON pauses.capability = known.capability
    LEFT JOIN workers ON known.capability = ANY(workers.capabilities)
        AND workers.seen_at >= statement_timestamp() - make_interval(secs => :silent_seconds)
    GROUP BY known.capability, pauses.paused_at
""")
_PEEK = text("""
    SELECT head.job_id, jobs.tenant, head.attempt, head.ready_at
    FROM (
        SELECT job_id, rank, attempt, ready_at FROM open_stages
        WHERE capability = :capability AND state = 'ready' ORDER BY rank LIMIT :most
    ) AS head JOIN open_jobs AS jobs ON jobs.id = head.job_id
    ORDER BY head.rank
""")


@dataclass(frozen=True, slots=True)
class QueueStats:
    """The queue of a capability.

    threads: of the live workers that serve it.  paused_at: None unless it is paused.
    """

    capability: Capability
    length: counters.QueueLength
    workers: int
    threads: int
    paused_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class ReadyStage:
    """A stage that can be claimed now; attempt: number of attempts already spent."""

    job_id: JobId
    tenant: Tenant
    attempt: int
    ready_at: dt.datetime


def list_queues(connection: Connection, *, silent_seconds: float) -> list[QueueStats]:
    """Return the queues of all known capabilities, ordered by name."""
    lengths = counters.read_queue_lengths(connection)
    served = {
        row.capability: row
        for row in connection.execute(_SERVED, {"silent_seconds": silent_seconds})
    }
    return [
        QueueStats(
            Capability(name),
            lengths.get(name, _EMPTY),
            served[name].workers if name in served else 0,
            int(served[name].threads) if name in served else 0,
            served[name].paused_at if name in served else None,
        )
        for name in sorted({*lengths, *served})
    ]


def peek(connection: Connection, capability: Capability, *, most: int) -> list[ReadyStage]:
    """Return the next ready stages of a capability, at most `most`, in claim order."""
    rows = connection.execute(_PEEK, {"capability": capability, "most": most})
    return [ReadyStage(row.job_id, Tenant(row.tenant), row.attempt, row.ready_at) for row in rows]
