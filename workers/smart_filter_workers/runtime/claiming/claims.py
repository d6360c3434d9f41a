"""Claim the next batch of a thread.

A thread that has work claims in the transaction that completes its previous batch: fewer round
trips to the database.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from smart_filter_shared.db import sessions
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.queue import heads
from smart_filter_shared.queue.heads import QuickOnly
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.telemetry.metrics import WorkerStep
from smart_filter_workers.runtime.context import WorkerContext
from smart_filter_workers.runtime.tracing import BatchTrace

_TASKS: Final = frozenset[str](TaskName)


class ClaimKind(StrEnum):
    """The result of a claim.

    work: it holds leases.  empty: nothing is ready.
    contended: another worker was faster, or newer models are published; claim again.
    """

    WORK = "work"
    EMPTY = "empty"
    CONTENDED = "contended"


@dataclass(frozen=True, slots=True)
class Claim:
    """Leases of one batch.

    leases: empty unless the claim found work.
    begun_at: when this thread began to claim them, by `time.perf_counter`.
    only: the rows that it could claim; None: all.
    """

    kind: ClaimKind
    leases: list[Lease]
    begun_at: float
    trail: BatchTrace
    only: QuickOnly | None = None


def claim_and_commit(services: WorkerContext) -> Claim:
    """Claim in a transaction of its own; return what `claim` returns."""
    with sessions.transaction(services.engine) as connection:
        made = claim(services, connection)
    services.counters.record_claims(made.leases)
    services.stage_events.record_claims(made.leases)
    return made


def claim(services: WorkerContext, connection: Connection) -> Claim:
    """Claim from the served capability whose first stage has the lowest rank.

    Stages that may take long are left for later when such stages hold all other threads.
    """
    begun_at = time.perf_counter()
    trail = BatchTrace()
    served = services.serving.capabilities
    # Usually each capability has a pool of its own: then there is no choice.
    only = served[0] if len(served) == 1 else None
    quick_only = services.thread_share.begin_claim()
    chosen = only or heads.next_capability(connection, served, only=quick_only)
    if chosen is None:
        services.thread_share.end_claim()
        return Claim(ClaimKind.EMPTY, [], begun_at, trail)
    with services.counters.timed(WorkerStep.CLAIM, chosen), trail.claiming():
        leases = WORKER.claim(
            connection,
            chosen,
            worker=services.worker,
            batch_size=services.catalog.batch_sizes[chosen],
            lease_seconds=services.settings.engine.lease_seconds,
            max_attempts=services.settings.engine.max_attempts,
            guard=services.serving.cards_of(chosen),
            only=quick_only,
            job_sql=queries.CLAIMED_JOB,
        )
    if not leases:
        services.thread_share.end_claim()
        # Another worker was faster, or another version of the models has been published.
        services.serving.compare(connection)
        kind = ClaimKind.EMPTY if chosen == only else ClaimKind.CONTENDED
        return Claim(kind, [], begun_at, trail)
    return Claim(ClaimKind.WORK, leases, begun_at, trail, quick_only)


def is_readable(lease: Lease) -> bool:
    """Return whether this version knows every task that a lease names."""
    documents = (lease.models, lease.parameters, lease.digests)
    return all(isinstance(document, Mapping) and set(document) <= _TASKS for document in documents)
