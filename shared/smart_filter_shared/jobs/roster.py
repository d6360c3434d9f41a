"""The roster: which worker processes there are as operators see them, and what each has at hand."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from smart_filter_shared.ids import Capability, JobId, WorkerId
from smart_filter_shared.jobs.presence import WorkerState
from smart_filter_shared.pipeline import StageName

_LISTED = text("""
    SELECT workers.*, running.stages AS running,
        seen_at < statement_timestamp() - make_interval(secs => :silent_seconds) AS silent
    FROM workers, LATERAL (
        SELECT count(*) AS stages FROM open_stages AS stages
        WHERE stages.state = 'running' AND stages.worker = workers.id
    ) AS running
    ORDER BY host, started_at, id
""")
_AT_HAND = text("""
    SELECT job_id, stage, attempt, leased_until FROM open_stages
    WHERE state = 'running' AND worker = :worker ORDER BY job_id, stage
""")


@dataclass(frozen=True, slots=True)
class Member:
    """A worker process, or a sender.

    running: stages that it holds.  wanted: what it was started for.  failed: what it cannot serve,
    and why.  drained_from: since when it is to claim no more because an operator says so.
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
    def there_for(self) -> Sequence[Capability]:
        """What it serves, or would if its state let it: a drained one that is resumed."""
        return sorted({*self.wanted, *self.capabilities} - set(self.failed))


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


def at_hand(connection: Connection, worker: WorkerId) -> list[AtHand]:
    """Return what a worker holds the leases of."""
    rows = connection.execute(_AT_HAND, {"worker": worker})
    return [
        AtHand(JobId(row.job_id), StageName(row.stage), row.attempt, row.leased_until)
        for row in rows
    ]


def _state(row: Row[Any]) -> WorkerState:
    if row.silent:
        return WorkerState.UNHEALTHY
    if row.drained_from is not None:
        # It learns of it at its next heartbeat.
        return WorkerState.DRAINING
    return WorkerState(row.state)
