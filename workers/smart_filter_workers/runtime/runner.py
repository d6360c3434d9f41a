"""Run a turn: claim, load, run, store, complete.

The next stages of the same job run under the same lease where this process serves them too
(`run_ahead`).
`error_policy` settles the lease when any of these steps raises.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import LeaseLost, TryAgain
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.queue import heads
from smart_filter_shared.queue.leases import CompleteResult, StageOutcome
from smart_filter_shared.queue.transitions.claim import ClaimRequest
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.tenants import quotas
from smart_filter_workers.runtime import error_policy, steps
from smart_filter_workers.runtime.claiming import batching, claims, run_ahead
from smart_filter_workers.runtime.claiming.claims import Claim, ClaimKind
from smart_filter_workers.runtime.context import WorkerContext
from smart_filter_workers.runtime.task import Task

# Limit of one turn, so that others that wait for a thread get one.
_TURN_SECONDS = 30.0
# Wait when another transaction holds all ready stages, which takes milliseconds. Claiming again
# at once in a loop would use a core here and one of the database.
_LOCKED_RETRY_SECONDS = 0.02
# Of a child process, and time to end one that has not answered before the worker itself counts as
# hung.
_CHILD_OVERHEAD_SECONDS = steps.CHILD_START_SECONDS + 5.0
_log = logger("runner")


def run_turn(context: WorkerContext) -> None:
    """Work until nothing is ready in any capability that this process serves.

    Each claim is from the capability whose first stage has the lowest rank, also the first claim:
    often another thread has claimed the stage that was rung for, and this turn then ends after one
    query. After 30 s it rings for what is left and ends.
    Raises DatabaseUnavailable: the next poll begins another turn.
    """
    with context.heartbeat.at_work():
        try:
            _work_through_claims(context, ends_at=time.monotonic() + _TURN_SECONDS)
        finally:
            context.thread_share.end_claim()


def _work_through_claims(context: WorkerContext, *, ends_at: float) -> None:
    unrung: list[Capability] = []  # capabilities with stages that this thread has made ready
    claim: Claim | None = None  # None: nothing is claimed, and whether anything is ready is open
    while claim is not None or _may_claim(context, ends_at):
        if claim is None:
            claim = claims.claim_and_commit(context)
        match claim.kind:
            case ClaimKind.WORK:
                claimed = [lease.capability for lease in claim.leases]
                context.doorbell.ring(exclude_claimed(unrung, claimed))
                try:
                    unrung, claim = _run_batch(context, claim, ends_at)
                finally:
                    context.large_photos.end()
            case ClaimKind.CONTENDED:
                context.doorbell.ring(unrung)
                context.draining.wait(_LOCKED_RETRY_SECONDS)
                unrung, claim = [], None
            case ClaimKind.EMPTY:
                context.doorbell.ring(_filter_unserved(context, unrung))
                return
    if not context.draining.is_set():
        unrung = [*_filter_unserved(context, unrung), *_list_ready(context)]
    context.doorbell.ring(unrung)


def _may_claim(context: WorkerContext, ends_at: float) -> bool:
    return time.monotonic() < ends_at and not context.draining.is_set()


def exclude_claimed(ready: Sequence[Capability], claimed: Sequence[Capability]) -> list[Capability]:
    """Return what to ring for rows made ready when the same thread has claimed rows since.

    A claimed row of the same capability needs no ring any more. If the thread claimed another
    row than the one made ready, the ring of that other row is on its way.
    """
    left = list(ready)
    for capability in claimed:
        if capability in left:
            left.remove(capability)
    return left


def _filter_unserved(
    context: WorkerContext, capabilities: Sequence[Capability]
) -> list[Capability]:
    served = context.serving.capabilities
    return [capability for capability in capabilities if capability not in served]


def _list_ready(context: WorkerContext) -> list[Capability]:
    with sessions.transaction(context.engine) as connection:
        return heads.list_ready(connection, context.serving.capabilities)


def _run_batch(
    context: WorkerContext, claim: Claim, ends_at: float
) -> tuple[list[Capability], Claim | None]:
    """Take a batch from its claim to its completion; every error is settled here.

    Returns the capabilities to ring for, and the next claim if one was made.
    """
    engine = context.settings.engine
    is_last = claim.leases[0].attempt >= engine.max_attempts  # a last attempt is claimed alone
    limit_seconds = engine.stage_seconds + (_CHILD_OVERHEAD_SECONDS if is_last else 0)
    ahead: list[Task] = []
    with context.heartbeat.holding(claim.leases, limit_seconds=limit_seconds) as tasks:
        try:
            return _run_steps(context, claim, tasks, ahead, ends_at, is_last=is_last)
        finally:
            context.batch_tracer.export(claim.trail, [(task.lease, task.trouble) for task in tasks])
            for task in ahead:
                context.batch_tracer.export(task.trail, [(task.lease, task.trouble)])


def _run_steps(
    context: WorkerContext,
    claim: Claim,
    tasks: list[Task],
    ahead: list[Task],
    ends_at: float,
    *,
    is_last: bool,
) -> tuple[list[Capability], Claim | None]:
    """Take tasks to their completion; `ahead` gets the tasks of run-ahead stages."""
    # Not in the claiming transaction: an unreadable row would be claimed again and again.
    jobs = queries.parse_claimed_jobs(claim.leases)
    for task in tasks:
        task.trail = claim.trail
        task.row = jobs[task.lease.job_id] if claims.is_readable(task.lease) else None
        task.only = claim.only
    context.thread_share.begin_work(tasks)
    imported = _run_step(context, tasks, steps.import_photo)
    if len(tasks) == 1:  # batches are of networks that read small copies
        imported = _run_step(context, imported, steps.await_room)
    if is_last:
        ran = _run_step(context, imported, steps.run_in_child, code="model_failed")
    else:
        ran = _run_models(context, _run_step(context, imported, steps.load))
    kept = _run_step(context, ran, steps.reroute_if_asked)
    kept = [task for task in kept if task.result is not None]
    if len(claim.leases) == 1 and kept and not is_last:
        (lead,) = kept
        kept = []
        with error_policy.settle_errors(context, [lead], "internal"):
            ahead += run_ahead.run_next_stages(context, lead, begun_at=claim.begun_at)
            kept = [lead]
    names = {task.lease.stage for task in (*kept, *ahead)}
    for task in kept:
        task.is_read_again = not run_ahead.ends_job(task.job, names)
    stored = _run_step(context, kept, steps.store)
    if stored:
        stored += run_ahead.store_results(context, ahead)
    # Photos that were imported for stages that will not complete.
    unused = [task.photo.key for task in tasks if task.photo is not None and task not in stored]
    error_policy.remove_unreferenced(context, unused)
    if not stored:
        return [], None
    ready: list[Capability] = []
    following: Claim | None = None
    claimed = [task for task in stored if task.run_ahead_of is None]
    with error_policy.settle_errors(context, claimed, "internal"):
        ready, following = _complete_and_claim(context, stored, ends_at)
        # The times of a last attempt in a child process do not apply to other runs.
        if not is_last:
            _record_durations(context, claim, stored)
    return ready, following


def _run_step(
    context: WorkerContext,
    tasks: Sequence[Task],
    step: Callable[[WorkerContext, Task], None],
    *,
    code: str = "internal",
) -> list[Task]:
    """Take each task one step further; return the tasks whose step succeeded."""
    advanced = []
    for task in tasks:
        with error_policy.settle_errors(context, [task], code):
            step(context, task)
            advanced.append(task)
    return advanced


def _run_models(context: WorkerContext, tasks: Sequence[Task]) -> list[Task]:
    """Run a batch in as few passes as possible; return the tasks that have a result."""
    ran = []
    run_pass = partial(steps.run_pass, context)
    for task, error in batching.run_in_passes(tasks, run_pass, relieve=context.models.relieve):
        with error_policy.settle_errors(context, [task], "model_failed"):
            if error is not None:
                raise error
            ran.append(task)
    return ran


def _complete_and_claim(
    context: WorkerContext, tasks: Sequence[Task], ends_at: float
) -> tuple[list[Capability], Claim | None]:
    """Complete stages and claim the next batch; return what to ring for, and that claim."""
    outcomes = []
    for task in tasks:
        lease = task.lease
        digests = context.models.digests(lease.models, lease.parameters, lease.digests)
        outcomes.append(task.outcome(digests))
    try:
        completion, following = error_policy.retry_until_lease_ends(
            context, _commit_completion, tasks, outcomes, claim_until=ends_at
        )
    except TryAgain:
        raise
    except Exception:  # noqa: BLE001 - a failed claim must not undo the completion
        completion, following = error_policy.retry_until_lease_ends(
            context, _commit_completion, tasks, outcomes, claim_until=None
        )
    context.doorbell.announce_ends(completion.succeeded)
    context.counters.record_runs(outcomes)
    for task, outcome in zip(tasks, outcomes, strict=True):
        if task.lease in completion.lost:
            _log.warning("lease_lost", **error_policy.log_fields(task.lease))
            task.trouble = LeaseLost.code
            error_policy.remove_unreferenced(context, outcome.artifacts)
            continue
        if task.run_ahead_of is not None:
            claims.record_claims(context, [task.lease])
        context.stage_events.record_success(outcome)
    if following is not None:
        claims.record_claims(context, following.leases)
    return completion.ready, following


def _commit_completion(
    context: WorkerContext,
    tasks: Sequence[Task],
    outcomes: Sequence[StageOutcome],
    *,
    claim_until: float | None,
) -> tuple[CompleteResult, Claim | None]:
    """Complete stages, and claim the next batch while the turn lasts; None: claim nothing."""
    request: ClaimRequest | None = None
    if claim_until is not None and _may_claim(context, claim_until):
        context.heartbeat.begin_claim()
        request = claims.build_request(context)
    is_alone = all(task.job.batch_id is None and task.photo is None for task in tasks)
    began_ns = time.time_ns()
    with sessions.transaction(context.engine) as connection:
        completion = WORKER.complete(connection, outcomes, claiming=request, commits=is_alone)
        for task in tasks:
            # The size of a photo at an address was unknown at submission.
            if task.photo is None or task.job.photo_url is None or task.lease in completion.lost:
                continue
            quotas.charge_imported(connection, task.job.tenant, task.photo.megapixels)
        if request is None:
            return completion, None
        claimed = completion.claimed
        return completion, claims.conclude(context, connection, request, claimed, began_ns)


def _record_durations(context: WorkerContext, claim: Claim, tasks: Sequence[Task]) -> None:
    """Record how long each photo of known size in a batch kept this thread busy."""
    ahead_seconds = sum(task.busy_seconds for task in tasks)
    share = (time.perf_counter() - claim.begun_at - ahead_seconds) / len(claim.leases)
    for task in tasks:
        if task.job.megapixels:
            seconds = share if task.run_ahead_of is None else task.busy_seconds
            context.counters.record_duration(
                task.lease.capability,
                max(0.0, seconds - task.loading_seconds),
                task.job.megapixels,
            )
