"""Claim stages as a worker does."""

from collections.abc import Collection

from sqlalchemy import Connection

from smart_filter_shared.ids import Capability, WorkerId
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.queue.heads import QuickOnly
from smart_filter_shared.queue.leases import NO_GUARD, Lease, VersionGuard
from smart_filter_shared.queue.transitions.claim import NO_JOB, ClaimRequest, queue_of
from smart_filter_tests.protocol.model import MAX_ATTEMPTS


def claim(
    connection: Connection,
    served: Collection[Capability],
    *,
    worker: WorkerId,
    batch_size: int = 1,
    lease_seconds: float = 30,
    guard: VersionGuard = NO_GUARD,
    only: QuickOnly | None = None,
    job_sql: str = NO_JOB,
) -> list[Lease]:
    """Claim from the first of these queues; return the leases."""
    queues = [queue_of(name, batch_size=batch_size, guard=guard) for name in served]
    request = ClaimRequest(queues, worker, lease_seconds, MAX_ATTEMPTS, only, job_sql)
    return WORKER.claim(connection, request)
