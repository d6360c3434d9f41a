"""Queues as operators see them: what waits for each capability, who serves it, who is next."""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Connection, text

from smart_filter_shared.ids import Capability, JobId, Tenant
from smart_filter_shared.jobs import measures

_EMPTY = measures.Queue(waiting=0, ready=0, running=0, oldest_wait_seconds=0.0)

_SERVED = text("""
    SELECT known.capability, pauses.paused_at,
        count(workers.id) AS workers, coalesce(sum(workers.threads), 0) AS threads
    FROM (
        -- Light models go with their stage and have no queue: no family behind a dot.
        SELECT capability FROM models WHERE capability LIKE '%.%'
        UNION SELECT capability FROM pauses
        UNION SELECT unnest(capabilities) FROM workers
    ) AS known
    LEFT JOIN pauses ON pauses.capability = known.capability
    LEFT JOIN workers ON known.capability = ANY(workers.capabilities)
        AND workers.seen_at >= statement_timestamp() - make_interval(secs => :silent_seconds)
    GROUP BY known.capability, pauses.paused_at
""")
_HEAD = text("""
    SELECT head.job_id, jobs.tenant, head.attempt, head.ready_at
    FROM (
        SELECT job_id, rank, attempt, ready_at FROM open_stages
        WHERE capability = :capability AND state = 'ready' ORDER BY rank LIMIT :most
    ) AS head JOIN open_jobs AS jobs ON jobs.id = head.job_id
    ORDER BY head.rank
""")


@dataclass(frozen=True, slots=True)
class Queue:
    """A capability's queue.

    threads: of the live workers that serve it.  paused_at: null unless nobody may claim from it.
    """

    capability: Capability
    length: measures.Queue
    workers: int
    threads: int
    paused_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stage that could be claimed now.  attempt: how many were spent on it."""

    job_id: JobId
    tenant: Tenant
    attempt: int
    ready_at: dt.datetime


def listed(connection: Connection, *, silent_seconds: float) -> list[Queue]:
    """Return the queue of every capability that is known, by its name."""
    lengths = measures.queues(connection)
    served = {
        row.capability: row
        for row in connection.execute(_SERVED, {"silent_seconds": silent_seconds})
    }
    return [
        Queue(
            Capability(name),
            lengths.get(name, _EMPTY),
            served[name].workers if name in served else 0,
            int(served[name].threads) if name in served else 0,
            served[name].paused_at if name in served else None,
        )
        for name in sorted({*lengths, *served})
    ]


def head(connection: Connection, capability: Capability, *, most: int) -> list[Waiting]:
    """Return what is claimed next from a capability, the next one first."""
    rows = connection.execute(_HEAD, {"capability": capability, "most": most})
    return [Waiting(row.job_id, Tenant(row.tenant), row.attempt, row.ready_at) for row in rows]
