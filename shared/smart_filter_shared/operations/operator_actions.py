"""What operators do to queues, workers and a tenant's jobs, by the command line or over HTTP.

Each change writes its line of the security log. Jobs are moved each in a transaction of its own:
one for a tenant's whole queue would block all claims from it, and would lock rows out of order.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, Engine, text

from smart_filter_shared import suggestions
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import (
    InputsExpired,
    JobFinal,
    JobNotFinished,
    NotFound,
    OutcomeUnknown,
)
from smart_filter_shared.ids import OPERATOR, JobId, Tenant, WorkerId
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_shared.operations import overview
from smart_filter_shared.operations.overview import QueueStats
from smart_filter_shared.queue import heads, worker_registry
from smart_filter_shared.tenants import audit_log, settings
from smart_filter_shared.tenants.audit_log import Actor, AuditEvent

# Cap on the count of jobs before a change; "at least 10,000" is precise enough.
MAX_COUNTED: Final = 10_000
# Jobs that one request moves, to bound its time.
PAGE_JOBS: Final = 100
# Errors that skip a job: it has ended meanwhile, or its photo is gone.
SKIP_ERRORS: Final = (InputsExpired, JobFinal, JobNotFinished, NotFound)
_FIRST = "00000000-0000-0000-0000-000000000000"


class BulkAction(StrEnum):
    """A change of a tenant's jobs.

    cancel: the unfinished jobs are canceled.
    redrive: the failed jobs are redriven; the next polls find them.
    """

    CANCEL = "cancel"
    REDRIVE = "redrive"


_EVENTS: Final = {
    BulkAction.CANCEL: AuditEvent.JOBS_CANCELED,
    BulkAction.REDRIVE: AuditEvent.JOBS_REDRIVEN,
}
_FIND_UNFINISHED = text("""
    SELECT id FROM jobs WHERE tenant = :tenant AND outcome IS NULL AND id > :after
    ORDER BY id LIMIT :most
""")
_FIND_FAILED = text("""
    SELECT id FROM jobs WHERE tenant = :tenant AND outcome = 'failed' AND id > :after
    ORDER BY id LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class BulkResult:
    """Number of jobs moved, and of jobs left because they ended or their photo is gone."""

    moved: int
    left: int


def set_paused(
    connection: Connection, actor: Actor, name: str, *, paused: bool, silent_seconds: float
) -> bool:
    """Pause or resume the queue of this name; return whether that changed anything.

    Raises NotFound.
    """
    capability = find_queue(connection, name, silent_seconds=silent_seconds).capability
    changed = (heads.pause if paused else heads.resume)(connection, capability)
    if changed:
        event = AuditEvent.QUEUE_PAUSED if paused else AuditEvent.QUEUE_RESUMED
        audit_log.record(connection, actor, event, capability, tenant=OPERATOR)
    return changed


def set_draining(connection: Connection, actor: Actor, worker: WorkerId, *, draining: bool) -> None:
    """Drain a worker, or let it claim again.  Raises NotFound."""
    change = worker_registry.drain if draining else worker_registry.resume
    if not change(connection, worker):
        raise NotFound(f"there is no worker {worker}")
    event = AuditEvent.WORKER_DRAINED if draining else AuditEvent.WORKER_RESUMED
    audit_log.record(connection, actor, event, worker, tenant=OPERATOR)


def find_queue(connection: Connection, name: str, *, silent_seconds: float) -> QueueStats:
    """Return the queue of this name.  Raises NotFound with a similar name."""
    if name == worker_registry.SENDER_ROLE:
        raise NotFound("webhooks have no queue: `smart-filter workers drain ID` drains a sender")
    queues = overview.list_queues(connection, silent_seconds=silent_seconds)
    for queue in queues:
        if queue.capability == name:
            return queue
    names = [queue.capability for queue in queues]
    near = suggestions.find_nearest(name, names)
    remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none yet'}"
    raise NotFound(f"there is no queue {name[:100]!r}: {remedy}")


def require_tenant(connection: Connection, name: str) -> Tenant:
    """Return a known tenant's name.  Raises NotFound with a similar one."""
    if settings.is_known(connection, Tenant(name)):
        return Tenant(name)
    near = settings.suggest_tenant(connection, name)
    remedy = f"did you mean {near}?" if near else "see `smart-filter keys list`"
    raise NotFound(f"there is no tenant {name[:100]!r}: {remedy}")


def find_jobs(
    connection: Connection, action: BulkAction, tenant: Tenant, *, after: JobId | None, most: int
) -> list[JobId]:
    """Return a tenant's next jobs to move, at most `most`, after the job `after`."""
    statement = _FIND_UNFINISHED if action == BulkAction.CANCEL else _FIND_FAILED
    where = {"tenant": tenant, "after": after or _FIRST, "most": most}
    return [JobId(row.id) for row in connection.execute(statement, where)]


def count_jobs(connection: Connection, action: BulkAction, tenant: Tenant) -> int:
    """Return the number of a tenant's jobs to move now, counted up to MAX_COUNTED."""
    return len(find_jobs(connection, action, tenant, after=None, most=MAX_COUNTED))


def move_job(connection: Connection, action: BulkAction, tenant: Tenant, job_id: JobId) -> None:
    """Move one job.  Raises one of SKIP_ERRORS; the job is unchanged after the rollback."""
    move = CLIENT.cancel if action == BulkAction.CANCEL else CLIENT.redrive
    move(connection, job_id, tenant)


def record_moved(
    connection: Connection, actor: Actor, action: BulkAction, tenant: Tenant, moved: int
) -> None:
    """Log that jobs of a tenant were moved, if any were."""
    if moved:
        audit_log.record(connection, actor, _EVENTS[action], tenant, tenant=tenant, count=moved)


def move_all_jobs(engine: Engine, actor: Actor, action: BulkAction, tenant: Tenant) -> BulkResult:
    """Move all matching jobs of a tenant, and log those that were even when the rest fails.

    Raises DatabaseUnavailable.
    """
    moved = left = 0
    after: JobId | None = None
    try:
        while True:
            with sessions.transaction(engine) as connection:
                page = find_jobs(connection, action, tenant, after=after, most=PAGE_JOBS)
            for job_id in page:
                try:
                    with sessions.transaction(engine) as connection:
                        move_job(connection, action, tenant, job_id)
                except SKIP_ERRORS:
                    left += 1
                    continue
                except OutcomeUnknown:  # it may have been moved, and the log must not miss it
                    moved += 1
                    raise
                moved += 1
            if len(page) < PAGE_JOBS:
                return BulkResult(moved, left)
            after = page[-1]
    finally:
        with sessions.transaction(engine) as connection:
            record_moved(connection, actor, action, tenant, moved)
