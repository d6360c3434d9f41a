"""Who may run a stage: claims, and what ends them or makes them possible by time alone."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from sqlalchemy import Connection, Row

from smart_filter_shared.cards import TaskName
from smart_filter_shared.ids import BatchId, Capability, JobId, LeaseToken, WorkerId
from smart_filter_shared.jobs import events
from smart_filter_shared.jobs.events import Happened
from smart_filter_shared.jobs.leases import (
    UNAVAILABLE,
    Lease,
    named,
)
from smart_filter_shared.jobs.skew import ANY_CARDS, OwnCards
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.jobs.transitions import batches, beginning, failing, locks, statements
from smart_filter_shared.jobs.transitions.batches import Jobs
from smart_filter_shared.pipeline import StageName

# How far past the head a claim looks for rows that fit into its batch.
_NEAR_A_BATCH = 8
# One sweep moves at most so many rows of a kind; the next one comes in a second.
_SWEPT_AT_ONCE = 500


def claim(
    connection: Connection,
    capability: Capability,
    *,
    worker: WorkerId,
    batch_size: int,
    lease_seconds: float,
    max_attempts: int,
    by: OwnCards = ANY_CARDS,
) -> list[Lease]:
    """Take the head of a capability's queue, and up to batch_size − 1 rows that fit to it.

    by: the cards that they would be run by; nothing is claimed when others are published.
    """
    rows = connection.execute(
        statements.CLAIM,
        {
            "capability": capability,
            "mates": batch_size - 1,
            "near": _NEAR_A_BATCH * batch_size,
            "lease_seconds": lease_seconds,
            "worker": worker,
            "max_attempts": max_attempts,
            **asdict(by),
        },
    ).all()
    perhaps = {JobId(row.job_id): StageName(row.stage) for row in rows if row.begins_job}
    begun = beginning.of_one_alone(connection, perhaps)
    events.record(connection, [Happened.to_job(job_id, JobState.RUNNING) for job_id in begun])
    return [_lease(row) for row in rows]


def _lease(row: Row[tuple[object, ...]]) -> Lease:
    """Return the lease of a claimed row.

    A row that cannot be read is claimed all the same: raising would roll the claim back, and the
    row would stay at the head of its queue.
    """
    lease = Lease(
        job_id=JobId(row.job_id),
        stage=StageName(row.stage),
        token=LeaseToken(row.lease_token),
        attempt=row.attempt,
        releases=row.releases,
        mark=row.mark,
        capability=Capability(row.capability),
        models={},
        parameters={},
        album=None if row.album is None else BatchId(row.album),
    )
    try:
        return replace(
            lease,
            models={TaskName(task): name for task, name in row.models.items()},
            parameters={TaskName(task): given for task, given in row.parameters.items()},
            digests={TaskName(task): digest for task, digest in row.digests.items()},
            shadows={TaskName(task): digest for task, digest in row.shadows.items()},
        )
    except (ValueError, AttributeError) as error:
        return replace(lease, unreadable=str(error))


def renew(
    connection: Connection, leases: Sequence[Lease], *, lease_seconds: float
) -> set[LeaseToken]:
    """Extend leases; return the tokens of those that still hold."""
    rows = connection.execute(statements.RENEW, {**named(leases), "lease_seconds": lease_seconds})
    return {LeaseToken(row.lease_token) for row in rows}


def charge(connection: Connection, lease: Lease, seconds: float) -> None:
    """Add seconds to what a stage cost, however it ends; nothing when the lease is lost."""
    connection.execute(statements.CHARGE, {**locks.named_lease(lease), "seconds": seconds})


def expire(
    connection: Connection, *, max_attempts: int, give_up_seconds: float
) -> list[Capability]:
    """Take lost leases away; return what they were for, one entry for each.

    Their rows wait until now, so that `wake` makes them ready. An attempt that was the last
    is refunded; a job whose machines have died for give_up_seconds fails as `unavailable`.
    """
    found = connection.execute(statements.FIND_EXPIRED, {"most": _SWEPT_AT_ONCE}).all()
    job_ids = sorted({JobId(row.job_id) for row in found})

    def move(jobs: Jobs) -> list[Capability]:
        return _expire(connection, jobs, max_attempts=max_attempts, give_up_seconds=give_up_seconds)

    albums = [None if row.album is None else BatchId(row.album) for row in found]
    expired, _ = batches.moving(connection, job_ids, move, albums=albums, lock=locks.lock_idle)
    return expired


def _expire(
    connection: Connection, jobs: Jobs, *, max_attempts: int, give_up_seconds: float
) -> list[Capability]:
    expired = connection.execute(statements.EXPIRED_STAGES, {"ids": list(jobs)}).all()
    for row in expired:
        where = {
            "job_id": row.job_id,
            "stage": row.stage,
            "token": row.lease_token,
            "max_attempts": max_attempts,
            "give_up_seconds": give_up_seconds,
        }
        waits = connection.execute(statements.EXPIRE, where).one_or_none()
        # Another stage of its job may have ended the job a moment ago, in this very loop.
        if waits is None and connection.execute(statements.HELD, where).one_or_none() is not None:
            failing.end_job(connection, JobId(row.job_id), StageName(row.stage), UNAVAILABLE)
    return [Capability(row.capability) for row in expired]
