"""Claim the next batch of a thread.

A thread that has work claims in the transaction that completes its previous batch: fewer round
trips to the database.
"""

import time
from collections.abc import Mapping, Sequence
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
from smart_filter_shared.queue.transitions.claim import ClaimRequest, queue_of
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


def claim_and_commit(context: WorkerContext) -> Claim:
    """Claim in a transaction of its own; return what `conclude` returns."""
    began_ns, request = time.time_ns(), build_request(context)
    with sessions.transaction(context.engine) as connection:
        leases = [] if request is None else WORKER.claim(connection, request, commits=True)
        made = conclude(context, connection, request, leases, began_ns)
    record_claims(context, made.leases)
    return made


def record_claims(context: WorkerContext, leases: Sequence[Lease]) -> None:
    """Count claimed stages, and tell Celery's tools of them."""
    context.counters.record_claims(leases)
    context.stage_events.record_claims(leases)


def build_request(context: WorkerContext) -> ClaimRequest | None:
    """Return the claim from the served capability whose first stage has the lowest rank.

    Stages that may take long are left for later when such stages hold all other threads.
    None: no capability is served.
    """
    served = context.serving.capabilities
    if not served:
        return None
    sizes, engine = context.catalog.batch_sizes, context.settings.engine
    return ClaimRequest(
        [
            queue_of(name, batch_size=sizes.get(name, 1), guard=context.serving.cards_of(name))
            for name in served
        ],
        worker=context.worker,
        lease_seconds=engine.lease_seconds,
        max_attempts=engine.max_attempts,
        only=context.thread_share.begin_claim(),
        job_sql=queries.CLAIMED_JOB,
    )


def conclude(
    context: WorkerContext,
    connection: Connection,
    request: ClaimRequest | None,
    leases: list[Lease],
    began_ns: int,
) -> Claim:
    """Return the claim that a request has made; began_ns: since when, by `time.time_ns`."""
    seconds = (time.time_ns() - began_ns) / 1_000_000_000
    begun_at = time.perf_counter() - seconds
    trail = BatchTrace(began_ns)
    kind, only = ClaimKind.WORK, None if request is None else request.only
    if leases:
        trail.record_claim()
        context.counters.record_claim_time(leases[0].capability, seconds)
    else:
        kind = ClaimKind.EMPTY
        context.thread_share.end_claim()
        served = context.serving.capabilities
        if len(served) > 1 and heads.list_ready(connection, served, only=only):
            kind = ClaimKind.CONTENDED
        # Another worker was faster, or another version of the models has been published.
        context.serving.compare(connection)
    return Claim(kind, leases, begun_at, trail, only)


def is_readable(lease: Lease) -> bool:
    """Return whether this version knows every task that a lease names."""
    documents = (lease.models, lease.parameters, lease.digests)
    return all(isinstance(document, Mapping) and set(document) <= _TASKS for document in documents)
