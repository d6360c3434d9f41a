"""Claims: what a thread takes next, and the jobs that it is about.

A thread that has work claims in the transaction that completes what it had before: one wait for
the disk, not two, and fewer words with the database.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import RowUnreadable
from smart_filter_shared.ids import Capability, JobId
from smart_filter_shared.jobs import queries, transitions
from smart_filter_shared.jobs.leases import Lease
from smart_filter_shared.jobs.queries import JobRow, Rows
from smart_filter_shared.telemetry.metrics import Step
from smart_filter_workers.services import Services
from smart_filter_workers.trails import Trail


@dataclass(frozen=True, slots=True)
class Taken:
    """Leases of one batch, and the rows of their jobs, read in the same transaction.

    begun_at: when this thread went to claim them, by `time.perf_counter`.
    """

    leases: list[Lease]
    rows: Rows
    begun_at: float
    trail: Trail


# Whether anything is ready is still to be asked.
NOT_ASKED: Final = Taken([], [], 0.0, Trail())


def take(services: Services, capability: Capability | None) -> Taken | None:
    """Claim in a transaction of its own, as `claim` does."""
    with sessions.transaction(services.engine) as connection:
        taken = claim(services, connection, capability)
    return counted(services, taken)


def claim(
    services: Services, connection: Connection, capability: Capability | None = None
) -> Taken | None:
    """Claim from a capability, or from the one whose head's rank is lowest.

    Returns None when nothing is ready, NOT_ASKED when nothing was there to be had this time.
    """
    begun_at = time.perf_counter()
    trail = Trail()
    served = services.serving.capabilities
    # A pool of its own for each capability is the rule in a fleet: then there is no choice.
    only = served[0] if len(served) == 1 else None
    chosen = capability or only or queries.next_capability(connection, served)
    if chosen is None:
        return None
    with services.tally.timed(Step.CLAIM, chosen), trail.claiming():
        leases = transitions.claim(
            connection,
            chosen,
            worker=services.worker,
            batch_size=services.catalogue.batch_size(chosen),
            lease_seconds=services.settings.engine.lease_seconds,
            max_attempts=services.settings.engine.max_attempts,
            by=services.serving.cards_of(chosen),
        )
    if not leases:
        # Somebody was quicker, or another version of its models has been published.
        services.serving.compare(connection)
        return None if chosen == only else NOT_ASKED
    return Taken(leases, queries.for_leases(connection, leases), begun_at, trail)


def counted(services: Services, taken: Taken | None) -> Taken | None:
    """Note what was claimed, once that is committed; return it."""
    if taken is not None:
        services.tally.claimed(taken.leases)
    return taken


def job_of(lease: Lease, jobs: Mapping[JobId, JobRow | None]) -> JobRow:
    """Return the job of a lease.  Raises RowUnreadable when this version cannot read its rows."""
    job = jobs[lease.job_id]
    if job is None or lease.unreadable:
        raise RowUnreadable(f"{lease.stage} of job {lease.job_id}: {lease.unreadable}")
    return job
