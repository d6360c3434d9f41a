"""Bulk changes of a tenant's jobs by operators: each job in a separate transaction.

One transaction for a tenant's whole queue would block all claims from it, and would lock rows out
of order.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, Engine, text

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import InputsExpired, JobFinal, JobNotFinished, NotFound
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.photo_queue import CLIENT

_PAGE_JOBS = 200
_FIRST = "00000000-0000-0000-0000-000000000000"


# Errors that skip a job: it has ended meanwhile, or its photo is gone.
SKIP_ERRORS: Final = (InputsExpired, JobFinal, JobNotFinished, NotFound)


class BulkAction(StrEnum):
    """A bulk change of a tenant's jobs.

    cancel: the unfinished jobs are canceled.
    redrive: the failed jobs are redriven; the next polls find them.
    """

    CANCEL = "cancel"
    REDRIVE = "redrive"


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


def find(
    connection: Connection, move: BulkAction, tenant: Tenant, *, after: JobId | None, most: int
) -> list[JobId]:
    """Return a tenant's next jobs to move, at most `most`, after the job `after`."""
    statement = _FIND_UNFINISHED if move == BulkAction.CANCEL else _FIND_FAILED
    where = {"tenant": tenant, "after": after or _FIRST, "most": most}
    return [JobId(row.id) for row in connection.execute(statement, where)]


def apply(connection: Connection, move: BulkAction, tenant: Tenant, job_id: JobId) -> None:
    """Move one job.  Raises one of SKIP_ERRORS; the job is then unchanged."""
    if move == BulkAction.CANCEL:
        CLIENT.cancel(connection, job_id, tenant)
    else:
        CLIENT.redrive(connection, job_id, tenant)


def count(connection: Connection, move: BulkAction, tenant: Tenant, *, most: int) -> int:
    """Return the number of a tenant's jobs to move now, counted up to `most`."""
    return len(find(connection, move, tenant, after=None, most=most))


def apply_all(engine: Engine, move: BulkAction, tenant: Tenant) -> BulkResult:
    """Apply a bulk change to all matching jobs of a tenant.  Raises DatabaseUnavailable."""
    moved = left = 0
    after: JobId | None = None
    while True:
        with sessions.transaction(engine) as connection:
            page = find(connection, move, tenant, after=after, most=_PAGE_JOBS)
        for job_id in page:
            try:
                with sessions.transaction(engine) as connection:
                    apply(connection, move, tenant, job_id)
            except SKIP_ERRORS:
                left += 1
            else:
                moved += 1
        if len(page) < _PAGE_JOBS:
            return BulkResult(moved, left)
        after = page[-1]
