"""Claim the next batch of a thread, and read the jobs of its leases.

A thread that has work claims in the transaction that completes its previous batch: one wait for
the disk instead of two, and fewer round trips to the database.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import RowUnreadable
from smart_filter_shared.ids import Capability, JobId
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.jobs.queries import JobRow, StoredJobs
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.queue import heads
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.telemetry.metrics import WorkerStep
from smart_filter_workers.runtime.context import WorkerContext
from smart_filter_workers.runtime.tracing import BatchTrace

_TASKS: Final = frozenset[str](TaskName)


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """Leases of one batch, and the rows of their jobs, read in the same transaction.

    begun_at: when this thread began to claim them, by `time.perf_counter`.
    """

    leases: list[Lease]
    rows: StoredJobs
    begun_at: float
    trail: BatchTrace


# No answer yet on whether anything is ready.
NOT_ASKED: Final = ClaimedBatch([], [], 0.0, BatchTrace())


def claim_and_commit(services: WorkerContext, capability: Capability | None) -> ClaimedBatch | None:
    """Claim in a transaction of its own; return what `claim` returns."""
    with sessions.transaction(services.engine) as connection:
        batch = claim(services, connection, capability)
    return record_claim(services, batch)


def claim(
    services: WorkerContext, connection: Connection, capability: Capability | None = None
) -> ClaimedBatch | None:
    """Claim from a capability, or from the one whose first stage has the lowest rank.

    Returns None when nothing is ready. Returns NOT_ASKED when another worker was faster; then
    try again.
    """
    begun_at = time.perf_counter()
    trail = BatchTrace()
    served = services.serving.capabilities
    # Usually each capability has a pool of its own: then there is no choice.
    only = served[0] if len(served) == 1 else None
    chosen = capability or only or heads.next_capability(connection, served)
    if chosen is None:
        return None
    with services.tally.timed(WorkerStep.CLAIM, chosen), trail.claiming():
        leases = WORKER.claim(
            connection,
            chosen,
            worker=services.worker,
            batch_size=services.catalogue.batch_size(chosen),
            lease_seconds=services.settings.engine.lease_seconds,
            max_attempts=services.settings.engine.max_attempts,
            guard=services.serving.cards_of(chosen),
        )
    if not leases:
        # Another worker was faster, or another version of the models has been published.
        services.serving.compare(connection)
        return None if chosen == only else NOT_ASKED
    return ClaimedBatch(leases, queries.read_for_leases(connection, leases), begun_at, trail)


def record_claim(services: WorkerContext, batch: ClaimedBatch | None) -> ClaimedBatch | None:
    """Count a claimed batch once its claim is committed; return the batch."""
    if batch is not None:
        services.tally.record_claims(batch.leases)
    return batch


def get_job(lease: Lease, jobs: Mapping[JobId, JobRow | None]) -> JobRow:
    """Return the job of a lease.  Raises RowUnreadable when this version cannot read its rows."""
    job = jobs[lease.job_id]
    if job is None or not _is_readable(lease):
        raise RowUnreadable(f"{lease.stage} of job {lease.job_id} is of a later version")
    return job


def _is_readable(lease: Lease) -> bool:
    """Return whether this version knows every task that a lease names."""
    named = (lease.models, lease.parameters, lease.digests, lease.shadows)
    return all(isinstance(one, Mapping) and set(one) <= _TASKS for one in named)
