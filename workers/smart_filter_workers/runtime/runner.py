"""Run a turn: claim, load, run, store, complete.

The next stages of the same job run under the same lease where this process serves them too
(`run_ahead`).
`error_policy` settles the lease when any of these steps raises.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from smart_filter_shared.albums import Take, read_take
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import LeaseLost, TryAgain
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.jobs.submission import stage_payload
from smart_filter_shared.pipeline import get_stage
from smart_filter_shared.queue import heads
from smart_filter_shared.queue.leases import CompleteResult, StageOutcome
from smart_filter_shared.queue.transitions.claim import ClaimRequest
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.telemetry.metrics import WorkerStep
from smart_filter_shared.tenants import quotas
from smart_filter_workers import last_attempt
from smart_filter_workers.artifacts import photo_import
from smart_filter_workers.runtime import error_policy
from smart_filter_workers.runtime.claiming import batching, claims, reroute, run_ahead
from smart_filter_workers.runtime.claiming.claims import Claim, ClaimKind
from smart_filter_workers.runtime.context import WorkerContext
from smart_filter_workers.runtime.task import Task
from smart_filter_workers.stages import registry
from smart_filter_workers.stages.segmentation import stage as segmentation

# Limit of one turn, so that others that wait for a thread get one.
_TURN_SECONDS = 30.0
# Wait when another transaction holds all ready stages, which takes milliseconds. Claiming again
# at once in a loop would use a core here and one of the database.
_LOCKED_RETRY_SECONDS = 0.02
# Wait of a large photo until its lease and the process are looked at again.
_ROOM_SECONDS = 1.0
# Time for a child process to start, to load its models, and to send its answer.
_CHILD_START_SECONDS = 25.0
# The same, and time to end a child that has not answered before the worker itself counts as hung.
_CHILD_OVERHEAD_SECONDS = _CHILD_START_SECONDS + 5.0
_log = logger("runner")


def run(services: WorkerContext) -> None:
    """Work until nothing is ready in any capability that this process serves.

    Each claim is from the capability whose first stage has the lowest rank, also the first claim:
    often another thread has claimed the stage that was rung for, and this turn then ends after one
    query. After 30 s it rings for what is left and ends.
    Raises DatabaseUnavailable: the next poll begins another turn.
    """
    with services.heartbeat.at_work():
        try:
            _run_turn(services, ends_at=time.monotonic() + _TURN_SECONDS)
        finally:
            services.thread_share.end_claim()


def _run_turn(services: WorkerContext, *, ends_at: float) -> None:
    unrung: list[Capability] = []  # capabilities with stages that this thread has made ready
    claim: Claim | None = None  # None: nothing is claimed, and whether anything is ready is open
    while claim is not None or _goes_on(services, ends_at):
        if claim is None:
            claim = claims.claim_and_commit(services)
        match claim.kind:
            case ClaimKind.WORK:
                claimed = [lease.capability for lease in claim.leases]
                services.doorbell.ring(exclude_claimed(unrung, claimed))
                try:
                    unrung, claim = _work(services, claim, ends_at)
                finally:
                    services.large_photos.end()
            case ClaimKind.CONTENDED:
                services.doorbell.ring(unrung)
                services.draining.wait(_LOCKED_RETRY_SECONDS)
                unrung, claim = [], None
            case ClaimKind.EMPTY:
                services.doorbell.ring(_filter_unserved(services, unrung))
                return
    if not services.draining.is_set():
        unrung = [*_filter_unserved(services, unrung), *_list_ready(services)]
    services.doorbell.ring(unrung)


def _goes_on(services: WorkerContext, ends_at: float) -> bool:
    return time.monotonic() < ends_at and not services.draining.is_set()


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
    services: WorkerContext, capabilities: Sequence[Capability]
) -> list[Capability]:
    served = services.serving.capabilities
    return [capability for capability in capabilities if capability not in served]


def _list_ready(services: WorkerContext) -> list[Capability]:
    with sessions.transaction(services.engine) as connection:
        return heads.list_ready(connection, services.serving.capabilities)


def _work(
    services: WorkerContext, claim: Claim, ends_at: float
) -> tuple[list[Capability], Claim | None]:
    """Take a batch from its claim to its completion; every error is settled here.

    Returns the capabilities to ring for, and the next claim if one was made.
    """
    engine = services.settings.engine
    is_last = claim.leases[0].attempt >= engine.max_attempts  # a last attempt is claimed alone
    limit_seconds = engine.stage_seconds + (_CHILD_OVERHEAD_SECONDS if is_last else 0)
    ahead: list[Task] = []
    with services.heartbeat.holding(claim.leases, limit_seconds=limit_seconds) as tasks:
        try:
            return _run_steps(services, claim, tasks, ahead, ends_at, is_last=is_last)
        finally:
            services.batch_tracer.export(
                claim.trail, [(task.lease, task.trouble) for task in tasks]
            )
            for task in ahead:
                services.batch_tracer.export(task.trail, [(task.lease, task.trouble)])


def _run_steps(
    services: WorkerContext,
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
    services.thread_share.begin_work(tasks)
    imported = _advance(services, tasks, _import_photo)
    if len(tasks) == 1:  # batches are of networks that read small copies
        imported = _advance(services, imported, _await_room)
    if is_last:
        ran = _advance(services, imported, _run_in_child, code="model_failed")
    else:
        ran = _run(services, _advance(services, imported, _load))
    kept = _advance(services, ran, _reroute_if_asked)
    kept = [task for task in kept if task.result is not None]
    if len(claim.leases) == 1 and kept and not is_last:
        (lead,) = kept
        kept = []
        with error_policy.settle_errors(services, [lead], "internal"):
            ahead += run_ahead.run(services, lead, begun_at=claim.begun_at)
            kept = [lead]
    names = {task.lease.stage for task in (*kept, *ahead)}
    for task in kept:
        task.is_read_again = not run_ahead.ends_job(task.job, names)
    stored = _advance(services, kept, _store)
    if stored:
        stored += run_ahead.store(services, ahead)
    # Photos that were imported for stages that will not complete.
    unused = [task.photo.key for task in tasks if task.photo is not None and task not in stored]
    error_policy.remove_unreferenced(services, unused)
    if not stored:
        return [], None
    ready: list[Capability] = []
    following: Claim | None = None
    claimed = [task for task in stored if task.run_ahead_of is None]
    with error_policy.settle_errors(services, claimed, "internal"):
        ready, following = _complete(services, stored, ends_at)
        # The times of a last attempt in a child process do not apply to other runs.
        if not is_last:
            _record_durations(services, claim, stored)
    return ready, following


def _advance(
    services: WorkerContext,
    tasks: Sequence[Task],
    step: Callable[[WorkerContext, Task], None],
    *,
    code: str = "internal",
) -> list[Task]:
    """Take each task one step further; return the tasks whose step succeeded."""
    advanced = []
    for task in tasks:
        with error_policy.settle_errors(services, [task], code):
            step(services, task)
            advanced.append(task)
    return advanced


@contextlib.contextmanager
def _time_step(services: WorkerContext, step: WorkerStep, task: Task) -> Iterator[None]:
    with services.counters.timed(step, task.lease.capability), task.trail.step(step, task.lease):
        yield


def _import_photo(services: WorkerContext, task: Task) -> None:
    """Import the photo when the job names it elsewhere; such a stage is claimed alone."""
    if task.job.photo_key is not None or not get_stage(task.lease.stage).imports_photo:
        return
    if task.job.take is not None:
        _compose_take(services, task, task.job.take)
        return
    with (
        _time_step(services, WorkerStep.LOAD, task),
        task.measure_fetch(task.job.photo_url is not None),
    ):
        task.photo = services.artifacts.import_photo(task.job, task.lease)
    task.row = replace(task.job, photo_key=task.photo.key)


def _compose_take(services: WorkerContext, task: Task, take: Take) -> None:
    """Compose the photo of a take, once its shots fit into memory."""
    with sessions.transaction(services.engine) as connection:
        shots = queries.get_many(connection, [shot.job_id for shot in take.shots])
    megapixels = photo_import.ROOM_PHOTOS * photo_import.get_largest_megapixels(shots)
    _wait_for_room(services, task, megapixels)
    # Composing takes seconds, which the tenant is charged.
    with _time_step(services, WorkerStep.LOAD, task), task.measure_fetch(True):
        task.photo = services.artifacts.import_take(task.job, task.lease, shots, task.requester)
    composed = None if task.photo.take is None else read_take(task.photo.take)
    task.row = replace(task.job, photo_key=task.photo.key, take=composed)


def _await_room(services: WorkerContext, task: Task) -> None:
    """Wait until a large photo fits into memory; a take has waited already."""
    if task.photo is None:
        _wait_for_room(services, task, task.job.megapixels)
    elif task.photo.take is None:
        _wait_for_room(services, task, task.photo.megapixels)


def _wait_for_room(services: WorkerContext, task: Task, megapixels: float) -> None:
    """Wait until pictures fit into memory; the task's time limit begins then.

    Raises LeaseLost, or TryAgain when the worker shuts down.
    """
    limit_seconds = task.overdue_at - time.monotonic()
    while not services.large_photos.begin(megapixels, seconds=_ROOM_SECONDS):
        if task.lost.is_set():
            raise LeaseLost(f"{task.lease.stage} of job {task.lease.job_id}")
        if services.draining.is_set():
            raise TryAgain("the worker shuts down")
        services.heartbeat.extend(task, limit_seconds=limit_seconds)


def _load(services: WorkerContext, task: Task) -> None:
    code = registry.get_stage(task.lease.stage)
    with (
        _time_step(services, WorkerStep.LOAD, task),
        task.measure_fetch(task.fetches_background),
    ):
        task.inputs = services.artifacts.load(task.job, code.Inputs, requester=task.requester)


def _run(services: WorkerContext, tasks: Sequence[Task]) -> list[Task]:
    """Run a batch in as few passes as possible; return the tasks that have a result."""
    ran = []
    run_pass = partial(_run_pass, services)
    for task, error in batching.run_in_passes(tasks, run_pass, relieve=services.models.relieve):
        with error_policy.settle_errors(services, [task], "model_failed"):
            if error is not None:
                raise error
            ran.append(task)
    return ran


def _run_pass(services: WorkerContext, tasks: Sequence[Task]) -> None:
    lease = tasks[0].lease
    code = registry.get_stage(lease.stage)
    loading = time.perf_counter()
    models = services.models.for_stage(lease.models, lease.parameters, lease.digests)
    started = time.perf_counter()
    with tasks[0].trail.step(WorkerStep.INFER, *(task.lease for task in tasks)):
        results = code.run(models, [task.inputs for task in tasks])
    seconds = (time.perf_counter() - started) / len(tasks)
    for task, result in zip(tasks, results, strict=True):
        task.result = result
        task.seconds = seconds
        task.loading_seconds = (started - loading) / len(tasks)


def _run_in_child(services: WorkerContext, task: Task) -> None:
    """Load and run in a child process, which may die."""
    request = last_attempt.ChildRequest(
        services.settings, services.extra_models, task.lease, task.job
    )
    limit_seconds = services.settings.engine.stage_seconds + _CHILD_START_SECONDS
    is_fetching = task.fetches_background
    with task.trail.step(WorkerStep.INFER, task.lease), task.measure_fetch(is_fetching):
        answer = last_attempt.run(request, limit_seconds=limit_seconds, canceled=task.lost)
    if is_fetching:
        # A child that died is charged all its time; one that answers reports its loading time.
        task.fetching_seconds = answer.loading_seconds
    if answer.error is not None:
        raise answer.error
    task.result, task.seconds = answer.result, answer.seconds


def _reroute_if_asked(services: WorkerContext, task: Task) -> None:
    """Hand a stage on to another model when its result is too weak, and drop the result."""
    weak = segmentation.find_weak_result(task.result, task.job.recipe)
    if weak is None:
        return
    with sessions.transaction(services.engine) as connection:
        plan = reroute.plan_reroute(
            connection,
            task.lease,
            task.job.recipe,
            weak,
            settings=services.settings.engine,
        )
        if plan is None or not WORKER.reroute(
            connection, task.lease, plan.capability, stage_payload(plan)
        ):
            return
    _log.info("stage_rerouted", to=plan.capability, **error_policy.log_fields(task.lease))
    services.doorbell.ring([plan.capability])
    task.result = None


def _store(services: WorkerContext, task: Task) -> None:
    if task.lost.is_set():
        raise LeaseLost(f"{task.lease.stage} of job {task.lease.job_id}")
    with _time_step(services, WorkerStep.STORE, task):
        signed = services.signer.sign_files(task.result)
        task.stored = services.artifacts.store(
            task.job, task.lease, signed, is_read_again=task.is_read_again
        )


def _complete(
    services: WorkerContext, tasks: Sequence[Task], ends_at: float
) -> tuple[list[Capability], Claim | None]:
    """Complete stages and claim the next batch; return what to ring for, and that claim."""
    outcomes = []
    for task in tasks:
        lease = task.lease
        digests = services.models.digests(lease.models, lease.parameters, lease.digests)
        outcomes.append(task.outcome(digests))
    try:
        completion, following = error_policy.retry_until_lease_ends(
            services, _commit, tasks, outcomes, claim_until=ends_at
        )
    except TryAgain:
        raise
    except Exception:  # noqa: BLE001 - a failed claim must not undo the completion
        completion, following = error_policy.retry_until_lease_ends(
            services, _commit, tasks, outcomes, claim_until=None
        )
    services.doorbell.announce_ends(completion.succeeded)
    services.counters.record_runs(outcomes)
    for task, outcome in zip(tasks, outcomes, strict=True):
        if task.lease in completion.lost:
            _log.warning("lease_lost", **error_policy.log_fields(task.lease))
            task.trouble = LeaseLost.code
            error_policy.remove_unreferenced(services, outcome.artifacts)
            continue
        if task.run_ahead_of is not None:
            services.counters.record_claims([task.lease])
            services.stage_events.record_claims([task.lease])
        services.stage_events.record_success(outcome)
    if following is not None:
        services.counters.record_claims(following.leases)
        services.stage_events.record_claims(following.leases)
    return completion.ready, following


def _commit(
    services: WorkerContext,
    tasks: Sequence[Task],
    outcomes: Sequence[StageOutcome],
    *,
    claim_until: float | None,
) -> tuple[CompleteResult, Claim | None]:
    """Complete stages, and claim the next batch while the turn lasts; None: claim nothing."""
    request: ClaimRequest | None = None
    if claim_until is not None and _goes_on(services, claim_until):
        services.heartbeat.begin_claim()
        request = claims.build_request(services)
    is_alone = all(task.job.batch_id is None and task.photo is None for task in tasks)
    began_ns = time.time_ns()
    with sessions.transaction(services.engine) as connection:
        completion = WORKER.complete(connection, outcomes, claiming=request, commits=is_alone)
        for task in tasks:
            # The size of a photo at an address was unknown at submission.
            if task.photo is None or task.job.photo_url is None or task.lease in completion.lost:
                continue
            quotas.charge_imported(connection, task.job.tenant, task.photo.megapixels)
        if request is None:
            return completion, None
        claimed = completion.claimed
        return completion, claims.conclude(services, connection, request, claimed, began_ns)


def _record_durations(services: WorkerContext, claim: Claim, tasks: Sequence[Task]) -> None:
    """Record how long each photo of known size in a batch kept this thread busy."""
    ahead_seconds = sum(task.busy_seconds for task in tasks)
    share = (time.perf_counter() - claim.begun_at - ahead_seconds) / len(claim.leases)
    for task in tasks:
        if task.job.megapixels:
            seconds = share if task.run_ahead_of is None else task.busy_seconds
            services.counters.record_duration(
                task.lease.capability,
                max(0.0, seconds - task.loading_seconds),
                task.job.megapixels,
            )
