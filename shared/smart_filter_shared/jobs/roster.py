"""The roster: which worker processes there are as operators see them, and what each has at hand."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, text

from smart_filter_shared.ids import Capability, JobId, WorkerId
from smart_filter_shared.pipeline import StageName

_LISTED = text("""
    SELECT workers.*, running.stages AS running,
        seen_at < statement_timestamp() - make_interval(secs => :silent_seconds) AS silent
    FROM workers, LATERAL (
        SELECT count(*) AS stages FROM stages
        WHERE stages.state = 'running' AND stages.worker = workers.id
    ) AS running
    ORDER BY host, started_at, id
""")
_AT_HAND = text("""
    SELECT job_id, stage, attempt, leased_until FROM stages
    WHERE state = 'running' AND worker = :worker ORDER BY job_id, stage
""")


class State(StrEnum):
    """How a worker is.

    draining: told to claim no more; it is done once nothing runs.  unhealthy: not heard from for a
    lease's time.  setup_failed: it can serve nothing.
    """

    READY = "ready"
    BUSY = "busy"
    DRAINING = "draining"
    UNHEALTHY = "unhealthy"
    SETUP_FAILED = "setup_failed"


@dataclass(frozen=True, slots=True)
class Member:
    """A worker process.  running: stages that it holds.  failed: what it cannot serve, and why."""

    id: WorkerId
    host: str
    pid: int
    state: State
    running: int
    threads: int
    capabilities: Sequence[Capability]
    failed: Mapping[Capability, str]
    started_at: dt.datetime
    seen_at: dt.datetime


@dataclass(frozen=True, slots=True)
class AtHand:
    """A stage that a worker holds the lease of."""

    job_id: JobId
    stage: StageName
    attempt: int
    leased_until: dt.datetime


def listed(connection: Connection, *, silent_seconds: float) -> list[Member]:
    """Return all workers that are known, host by host."""
    rows = connection.execute(_LISTED, {"silent_seconds": silent_seconds})
    return [
        Member(
            id=WorkerId(row.id),
            host=row.host,
            pid=row.pid,
            state=_state(
                is_silent=row.silent,
                is_draining=row.drained_from is not None,
                serves=bool(row.capabilities),
                running=row.running,
            ),
            running=row.running,
            threads=row.threads,
            capabilities=row.capabilities,
            failed=row.failed,
            started_at=row.started_at,
            seen_at=row.seen_at,
        )
        for row in rows
    ]


def at_hand(connection: Connection, worker: WorkerId) -> list[AtHand]:
    """Return what a worker holds the leases of."""
    rows = connection.execute(_AT_HAND, {"worker": worker})
    return [
        AtHand(JobId(row.job_id), StageName(row.stage), row.attempt, row.leased_until)
        for row in rows
    ]


def _state(*, is_silent: bool, is_draining: bool, serves: bool, running: int) -> State:
    if is_silent:
        return State.UNHEALTHY
    if is_draining:
        return State.DRAINING
    if not serves:
        return State.SETUP_FAILED
    return State.BUSY if running else State.READY
