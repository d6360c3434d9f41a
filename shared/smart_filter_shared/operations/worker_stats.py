"""Worker processes as operators see them, and the leases that each holds."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from smart_filter_shared.ids import Capability, JobId, WorkerId
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.worker_registry import WorkerState

_LIST = text("""
    SELECT workers.*, running.stages AS running,
        seen_at < statement_timestamp() - make_interval(secs => :silent_seconds) AS silent
    FROM workers, LATERAL (
        SELECT count(*) AS stages FROM open_stages AS stages
        WHERE stages.state = 'running' AND stages.worker = workers.id
    ) AS running
    ORDER BY host, started_at, id
""")
_LIST_HELD = text("""
    SELECT job_id, stage, attempt, leased_until FROM open_stages
    WHERE state = 'running' AND worker = :worker ORDER BY job_id, stage
""")


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


def list_workers(connection: Connection, *, silent_seconds: float) -> list[WorkerInfo]:
    """Return all registered workers, ordered by host."""
    rows = connection.execute(_LIST, {"silent_seconds": silent_seconds})
    return [
        WorkerInfo(
            id=WorkerId(row.id),
            host=row.host,
            pid=row.pid,
            state=_state(row),
            running=row.running,
            threads=row.threads,
            capabilities=row.capabilities,
            wanted=row.wanted,
            failed=row.failed,
            drained_from=row.drained_from,
            started_at=row.started_at,
            seen_at=row.seen_at,
        )
        for row in rows
    ]


def list_held_leases(connection: Connection, worker: WorkerId) -> list[HeldLease]:
    """Return the leases that a worker holds."""
    rows = connection.execute(_LIST_HELD, {"worker": worker})
    return [
        HeldLease(JobId(row.job_id), StageName(row.stage), row.attempt, row.leased_until)
        for row in rows
    ]


def _state(row: Row[Any]) -> WorkerState:
    if row.silent:
        return WorkerState.UNHEALTHY
    if row.drained_from is not None:
        # The worker reads this at its next heartbeat; its own state may be older.
        return WorkerState.DRAINING
    return WorkerState(row.state)
