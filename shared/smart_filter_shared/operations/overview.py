"""The state of the service as operators see it: queues, workers, lags and recent failures."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from smart_filter_shared import installation
from smart_filter_shared.artifacts import retention
from smart_filter_shared.db.rows import read_row
from smart_filter_shared.db.sessions import is_read_only
from smart_filter_shared.ids import Capability, JobId, Tenant, WorkerId
from smart_filter_shared.operations import counters, dead_letters
from smart_filter_shared.operations.counters import QueueLength
from smart_filter_shared.operations.dead_letters import FailureCount
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.worker_registry import WorkerState
from smart_filter_shared.tenants import quotas

# How far back failures are listed, and how many groups of them.
_FAILURE_WINDOW: Final = dt.timedelta(hours=1)
_MAX_FAILURES: Final = 50
_SWEEPER = text("SELECT statement_timestamp() AS now, swept_at FROM sweeper")
_EMPTY = QueueLength(waiting=0, ready=0, running=0, oldest_wait_seconds=0.0)

_QUEUES = text("""
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
        SELECT job_id, rank, attempt, ready_at FROM stages
        WHERE capability = :capability AND state = 'ready' ORDER BY rank LIMIT :most
    ) AS head JOIN jobs ON jobs.id = head.job_id
    ORDER BY head.rank
""")
_WORKERS = text("""
    SELECT workers.*, running.stages AS running,
        seen_at < statement_timestamp() - make_interval(secs => :silent_seconds) AS silent
    FROM workers, LATERAL (
        SELECT count(*) AS stages FROM stages
        WHERE stages.state = 'running' AND stages.worker = workers.id
    ) AS running
    ORDER BY host, started_at, id
""")
_HELD_LEASES = text("""
    SELECT job_id, stage, attempt, leased_until FROM stages
    WHERE state = 'running' AND worker = :worker ORDER BY job_id, stage
""")


@dataclass(frozen=True, slots=True)
class QueueStats:
    """The queue of a capability.

    threads: of the live workers that serve it.  paused_at: None unless it is paused.
    """

    capability: Capability
    length: QueueLength
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


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker process, or a sender.

    running: number of stages that it holds.
    wanted: the capabilities that it was started for.
    failed: the capabilities that it cannot serve, with the reason.
    drained_from: when an operator drained it; None when it is not drained.
    """

    id: WorkerId
    host: str
    pid: int
    state: WorkerState
    running: int
    threads: int
    capabilities: Sequence[Capability]
    wanted: Sequence[Capability]
    failed: Mapping[Capability, str]
    drained_from: dt.datetime | None
    started_at: dt.datetime
    seen_at: dt.datetime

    @property
    def intended_capabilities(self) -> Sequence[Capability]:
        """The capabilities that it serves, or would serve in another state, such as resumed."""
        return sorted({*self.wanted, *self.capabilities} - set(self.failed))


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A stage whose lease a worker holds."""

    job_id: JobId
    stage: StageName
    attempt: int
    leased_until: dt.datetime


@dataclass(frozen=True, slots=True)
class Overview:
    """The state of the service at one moment.

    now: by the database's clock.
    swept_at: time of the last sweep.
    unfinished: number of jobs, counted up to `counters.MAX_COUNTED`.
    problems: failure counts of the last hour.
    retention_lag_seconds: how long the deletion of the oldest object is overdue.
    bucket_fault: why orphaned objects are not deleted; None when they are.
    read_only: whether the database accepts no writes.
    """

    now: dt.datetime
    swept_at: dt.datetime
    queues: Sequence[QueueStats]
    workers: Sequence[WorkerInfo]
    unfinished: int
    webhook_lag_seconds: float
    problems: Sequence[FailureCount]
    retention_lag_seconds: float = 0.0
    bucket_fault: str | None = None
    read_only: bool = False


def read_overview(connection: Connection, *, silent_seconds: float) -> Overview:
    """Read and return the overview; ended jobs are not read."""
    clock = connection.execute(_SWEEPER).one()
    return Overview(
        now=clock.now,
        swept_at=clock.swept_at,
        queues=list_queues(connection, silent_seconds=silent_seconds),
        workers=list_workers(connection, silent_seconds=silent_seconds),
        unfinished=quotas.count_all_unfinished(connection, most=counters.MAX_COUNTED),
        webhook_lag_seconds=counters.webhook_lag_seconds(connection),
        retention_lag_seconds=retention.lag_seconds(connection),
        bucket_fault=installation.read_fault(connection),
        read_only=is_read_only(connection),
        problems=dead_letters.list_since(
            connection, clock.now - _FAILURE_WINDOW, most=_MAX_FAILURES
        ),
    )


def list_queues(connection: Connection, *, silent_seconds: float) -> list[QueueStats]:
    """Return the queues of all known capabilities, ordered by name."""
    lengths = counters.read_queue_lengths(connection)
    served = {
        row.capability: row
        for row in connection.execute(_QUEUES, {"silent_seconds": silent_seconds})
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
    return [read_row(ReadyStage, row) for row in rows]


def list_workers(connection: Connection, *, silent_seconds: float) -> list[WorkerInfo]:
    """Return all registered workers, ordered by host."""
    rows = connection.execute(_WORKERS, {"silent_seconds": silent_seconds})
    return [read_row(WorkerInfo, row, state=_state(row)) for row in rows]


def list_held_leases(connection: Connection, worker: WorkerId) -> list[HeldLease]:
    """Return the leases that a worker holds."""
    rows = connection.execute(_HELD_LEASES, {"worker": worker})
    return [read_row(HeldLease, row) for row in rows]


def _state(row: Row[Any]) -> WorkerState:
    if row.silent:
        return WorkerState.UNHEALTHY
    if row.drained_from is not None:
        # The worker reads this at its next heartbeat; its own state may be older.
        return WorkerState.DRAINING
    return WorkerState(row.state)
