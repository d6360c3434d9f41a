"""How batches are deleted: begun at once, then a few jobs at a time, by whoever goes on with it.

Should whoever began it not come back, retention goes on.
"""

from sqlalchemy import Connection

from smart_filter_shared.errors import NotFound
from smart_filter_shared.ids import BatchId, JobId, Tenant
from smart_filter_shared.jobs.retention import Marked
from smart_filter_shared.jobs.transitions import batch_statements, locks
from smart_filter_shared.jobs.transitions.ending import delete


def begin_to_delete(connection: Connection, batch_id: BatchId, tenant: Tenant) -> None:
    """Let a batch be gone for whoever asks, and nothing follow from its jobs any more.

    Raises NotFound.
    """
    where = {"id": batch_id, "tenant": tenant}
    if connection.execute(batch_statements.MARK_DELETED, where).one_or_none() is None:
        raise NotFound(f"batch {batch_id}")


def go_on_deleting(
    connection: Connection, batch_id: BatchId, tenant: Tenant, *, most: int
) -> dict[JobId, list[Marked]]:
    """Delete so many jobs of a batch; return the artifacts of each, as `delete` does.

    When none is left, what is known of the batch goes too, and nothing is returned.
    """
    rows = connection.execute(batch_statements.SOME_MEMBERS, {"id": batch_id, "most": most})
    # Jobs are locked in this order by everybody.
    job_ids = sorted(JobId(row.id) for row in rows)
    # All of them before the first upload: whoever deletes one of them has it before its upload.
    locks.lock_of_any_day(connection, job_ids)
    deleted = {}
    for job_id in job_ids:
        try:
            deleted[job_id] = delete(connection, job_id, tenant)
        except NotFound:  # by somebody else, a moment ago
            deleted[job_id] = []
    if not job_ids:
        for statement in batch_statements.FORGET_BATCH:
            connection.execute(statement, {"id": batch_id})
    return deleted


def left_over(connection: Connection, *, seconds: float, most: int) -> list[tuple[BatchId, Tenant]]:
    """Return batches that somebody began to delete so long ago, and has not."""
    rows = connection.execute(batch_statements.LEFT_OVER, {"seconds": seconds, "most": most})
    return [(BatchId(row.id), Tenant(row.tenant)) for row in rows]
