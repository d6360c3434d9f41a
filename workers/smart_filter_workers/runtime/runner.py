"""Serve a ring: claim, load, run, store, complete.

`error_policy` settles the lease when any of these steps raises.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from smart_filter_shared.artifacts.retention import ArtifactKind
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import (
    LeaseLost,
    TryAgain,
)
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.submission import stage_payload
from smart_filter_shared.pipeline import StageName, get_stage
from smart_filter_shared.queue import heads
from smart_filter_shared.queue.leases import CompleteResult, ImportedPhoto, Lease, StageOutcome
from smart_filter_shared.recipe import BackgroundKind
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.telemetry.metrics import WorkerStep
from smart_filter_shared.tenants import quotas
from smart_filter_workers.artifacts.photo_import import StoredPhoto
from smart_filter_workers.artifacts.store import StoredResult
from smart_filter_workers.learning.shadow_run import CompletedStage
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.runtime import batching, child_process, error_policy, reroute
from smart_filter_workers.runtime import claims as runtime_claims
from smart_filter_workers.runtime.claims import NOT_ASKED, ClaimedBatch
from smart_filter_workers.runtime.context import WorkerContext
from smart_filter_workers.runtime.heartbeat import HeldLease
from smart_filter_workers.runtime.tracing import BatchTrace
from smart_filter_workers.stages import registry

# Limit of one ring's task, so that a worker can be shut down and other rings get a turn.
_TURN_SECONDS = 30.0
# Wait when another transaction holds all ready stages, which takes milliseconds. Claiming again
# at once in a loop would use a core here and one of the database.
_LOCKED_RETRY_SECONDS = 0.02
# Time for a child process to start, to load its models, and to send its answer.
_CHILD_OVERHEAD_SECONDS = 30.0
_log = logger("runner")

Answer = TypeVar("Answer")


def run(services: WorkerContext, rung: Capability) -> None:
    """Work until nothing is ready in any capability that this process serves.

    The first claim is from the capability that was rung; each later one from the capability whose
    first stage has the lowest rank. After 30 s it rings for what is left and ends.
    Raises DatabaseUnavailable: the sweeper rings again.
    """
    with services.heartbeat.at_work():
        _run_turn(services, rung)


def _run_turn(services: WorkerContext, rung: Capability) -> None:
    ends_at = time.monotonic() + _TURN_SECONDS

    def goes_on() -> bool:
        return time.monotonic() < ends_at and not services.draining.is_set()

    capability: Capability | None = rung if rung in services.serving.capabilities else None
    unrung: list[Capability] = []  # capabilities with stages that this thread has made ready
    batch: ClaimedBatch | None = NOT_ASKED
    while True:
        if batch is NOT_ASKED:
            if not goes_on():
                break
            batch, capability = runtime_claims.claim_and_commit(services, capability), None
        if batch is None:
            services.doorbell.ring(_filter_unserved(services, unrung))
            unrung = []
            # Shadow runs come last: no job waits for them.
            if not services.trying.run_next():
                break
            batch = NOT_ASKED
            continue
        services.doorbell.ring(
            exclude_claimed(unrung, [lease.capability for lease in batch.leases])
        )
        if batch.leases:
            unrung, batch = _work(services, batch, goes_on)
        else:
            services.draining.wait(_LOCKED_RETRY_SECONDS)
            unrung, batch = [], NOT_ASKED
    if batch is NOT_ASKED and not services.draining.is_set():
        unrung = [*_filter_unserved(services, unrung), *_list_ready(services)]
    services.doorbell.ring(unrung)


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


@dataclass(frozen=True, slots=True)
class _Task:
    """One lease on its way through the steps.

    loading_seconds: its share of the time to load models, which the next batch does not need.
    landed: the photo, if this stage imported it.
    """

    held: HeldLease
    job: JobRow
    trail: BatchTrace
    inputs: object = None
    result: object = None
    seconds: float = 0.0
    loading_seconds: float = 0.0
    kept: StoredResult | None = None
    landed: StoredPhoto | None = None

    @property
    def lease(self) -> Lease:
        return self.held.lease

    @property
    def brought(self) -> ImportedPhoto | None:
        """The imported photo, for the row of the job."""
        if self.landed is None or not isinstance(self.result, PreparedPhoto):
            return None
        megapixels = self.result.width * self.result.height / 1_000_000
        return ImportedPhoto(self.landed.key, self.landed.digest, megapixels)

    @property
    def artifacts(self) -> dict[str, ArtifactKind]:
        """All objects that this task has stored."""
        stored = {} if self.kept is None else dict(self.kept.artifacts)
        return stored if self.landed is None else {**stored, self.landed.key: ArtifactKind.PHOTO}


def _work(
    services: WorkerContext, batch: ClaimedBatch, goes_on: Callable[[], bool]
) -> tuple[list[Capability], ClaimedBatch | None]:
    """Take a batch from its claim to its completion; every error is settled here.

    Returns the capabilities to ring for, and the next claimed batch.
    """
    engine = services.settings.engine
    leases = batch.leases
    last = leases[0].attempt >= engine.max_attempts  # a last attempt is claimed alone
    limit_seconds = engine.stage_seconds + (_CHILD_OVERHEAD_SECONDS if last else 0)
    with (
        services.heartbeat.holding(leases, limit_seconds=limit_seconds) as held,
        _trace_batch(services, batch, held),
    ):
        tasks = _load_jobs(services, batch, held)
        tasks = _map_guarded(
            services, tasks, "internal", lambda task: _import_photo(services, task)
        )
        if last:
            ran = _map_guarded(
                services, tasks, "model_failed", lambda task: _run_in_child(services, task)
            )
        else:
            loaded = _map_guarded(services, tasks, "internal", lambda task: _load(services, task))
            ran = _run(services, loaded)
        kept = _map_guarded(
            services, ran, "internal", lambda task: _reroute_if_asked(services, task)
        )
        ours = [task for task in kept if task.result is not None]
        stored = _map_guarded(services, ours, "internal", lambda task: _store(services, task))
        holders = [task.held for task in stored]
        error_policy.remove_unreferenced(services, _unused_photo_keys(tasks, holders))
        if not stored:
            return [], NOT_ASKED
        completed = error_policy.guarded(
            services, holders, "internal", lambda: _complete(services, stored, goes_on)
        )
        if completed is None:
            return [], NOT_ASKED
        # The times of a last attempt in a child process do not apply to other runs.
        if not last:
            _note(services, batch, stored)
        return completed


def _load_jobs(
    services: WorkerContext, batch: ClaimedBatch, held: Sequence[HeldLease]
) -> list[_Task]:
    # Not in the claiming transaction: an unreadable row would be claimed again and again.
    jobs = queries.parse_jobs(batch.rows)
    # One by one: only an unreadable job waits for a version that can read it.
    read = [
        error_policy.guarded(
            services, [one], "internal", partial(runtime_claims.get_job, one.lease, jobs)
        )
        for one in held
    ]
    together = zip(held, read, strict=True)
    return [_Task(one, job, batch.trail) for one, job in together if job is not None]


@contextlib.contextmanager
def _trace_batch(
    services: WorkerContext, batch: ClaimedBatch, held: Sequence[HeldLease]
) -> Iterator[None]:
    """Add the block to the traces of the jobs."""
    try:
        yield
    finally:
        services.trails.export(batch.trail, held)


@contextlib.contextmanager
def _time_step(services: WorkerContext, step: WorkerStep, task: _Task) -> Iterator[None]:
    with services.tally.timed(step, task.lease.capability), task.trail.step(step, task.lease):
        yield


def _fetches_background(task: _Task) -> bool:
    is_composed = task.lease.stage == StageName.COMPOSITE
    return is_composed and task.job.recipe.background.kind == BackgroundKind.URL


def _import_photo(services: WorkerContext, task: _Task) -> _Task:
    """Import the photo when the job names it elsewhere; such a stage is claimed alone."""
    if task.job.photo_key is not None or not get_stage(task.lease.stage).imports_photo:
        return task
    with (
        _time_step(services, WorkerStep.LOAD, task),
        task.held.measure_fetch(task.job.photo_url is not None),
    ):
        landed = services.artifacts.import_photo(task.job, task.lease)
    return replace(task, landed=landed, job=replace(task.job, photo_key=landed.key))


def _unused_photo_keys(tasks: Sequence[_Task], stored: Sequence[HeldLease]) -> list[str]:
    """Return the keys of photos that were imported for stages that will not complete."""
    return [
        task.landed.key
        for task in tasks
        if task.landed is not None and not any(task.held is held for held in stored)
    ]


def _load(services: WorkerContext, task: _Task) -> _Task:
    code = registry.get_stage(task.lease.stage)
    with (
        _time_step(services, WorkerStep.LOAD, task),
        task.held.measure_fetch(_fetches_background(task)),
    ):
        return replace(task, inputs=services.artifacts.load(task.job, code.Inputs))


def _run(services: WorkerContext, tasks: list[_Task]) -> list[_Task]:
    """Run a batch in as few passes as possible."""
    if not tasks:
        return []
    lease = tasks[0].lease
    code = registry.get_stage(lease.stage)

    def in_one_pass(some: Sequence[_Task]) -> list[_Task]:
        loading = time.perf_counter()
        models = services.models.for_stage(lease.models, lease.parameters, lease.digests)
        started = time.perf_counter()
        with some[0].trail.step(WorkerStep.INFER, *(task.lease for task in some)):
            results = code.run(models, [task.inputs for task in some])
        seconds = (time.perf_counter() - started) / len(some)
        return [
            replace(
                task,
                result=result,
                seconds=seconds,
                loading_seconds=(started - loading) / len(some),
            )
            for task, result in zip(some, results, strict=True)
        ]

    return batching.run_in_passes(
        tasks,
        in_one_pass,
        alone=lambda task, run: error_policy.guarded(services, [task.held], "model_failed", run),
        relieve=services.models.relieve,
    )


def _run_in_child(services: WorkerContext, task: _Task) -> _Task:
    """Load and run in a child process, which may die."""
    request = child_process.ChildRequest(
        services.settings, services.extra_models, task.lease, task.job
    )
    limit_seconds = services.settings.engine.stage_seconds
    is_fetching = _fetches_background(task)
    with task.trail.step(WorkerStep.INFER, task.lease), task.held.measure_fetch(is_fetching):
        answer = child_process.run(request, limit_seconds=limit_seconds)
    if is_fetching:
        # A child that died is charged all its time; one that answers reports its loading time.
        task.held.fetching_seconds = answer.loading_seconds
    if answer.error is not None:
        raise answer.error
    return replace(task, result=answer.result, seconds=answer.seconds)


def _reroute_if_asked(services: WorkerContext, task: _Task) -> _Task:
    """Hand a stage on to a stronger model when its result asks for it, and drop the result."""
    stronger = reroute.stronger_model(task.result)
    if stronger is None:
        return task
    with sessions.transaction(services.engine) as connection:
        plan = reroute.plan_reroute(
            connection, task.lease, task.job.recipe, stronger, settings=services.settings.engine
        )
        if plan is None or not WORKER.reroute(
            connection, task.lease, plan.capability, stage_payload(plan)
        ):
            return task
    _log.info("stage_rerouted", to=plan.capability, **error_policy.log_fields(task.lease))
    services.doorbell.ring([plan.capability])
    return replace(task, result=None)


def _store(services: WorkerContext, task: _Task) -> _Task:
    if task.held.lost.is_set():
        raise LeaseLost(f"{task.lease.stage} of job {task.lease.job_id}")
    with _time_step(services, WorkerStep.STORE, task):
        return replace(task, kept=services.artifacts.store(task.job, task.lease, task.result))


def _complete(
    services: WorkerContext, tasks: list[_Task], goes_on: Callable[[], bool]
) -> tuple[list[Capability], ClaimedBatch | None]:
    """Complete stages and claim the next batch; return what to ring for, and that batch."""
    done = [
        StageOutcome(
            *(task.lease, _row(services, task), task.seconds, task.artifacts, task.brought),
            fetching_seconds=task.held.fetching_seconds,
        )
        for task in tasks
        if task.kept is not None
    ]

    def commit(*, claims: bool) -> tuple[CompleteResult, ClaimedBatch | None]:
        with sessions.transaction(services.engine) as connection:
            completion = WORKER.complete(connection, done, services.keeping)
            # One transaction: one wait for the disk instead of two.
            return completion, runtime_claims.claim(services, connection) if claims else NOT_ASKED

    try:
        completion, following = error_policy.retry_until_lease_ends(
            services, lambda: commit(claims=goes_on())
        )
    except TryAgain:
        raise
    except Exception:  # noqa: BLE001 - a failed claim must not undo the completion
        completion, following = error_policy.retry_until_lease_ends(
            services, lambda: commit(claims=False)
        )
    services.tally.record_runs(done)
    for task in tasks:
        if task.lease in completion.lost and task.kept is not None:
            _log.warning("lease_lost", **error_policy.log_fields(task.lease))
            task.held.trouble = LeaseLost.code
            error_policy.remove_unreferenced(services, task.artifacts)
        elif task.job.photo_url is not None and task.brought is not None:
            _count(services, task.job, task.brought)
        if task.lease not in completion.lost:
            services.trying.offer(CompletedStage(task.lease, task.inputs, task.result))
    return completion.ready, runtime_claims.record_claim(services, following)


def _row(services: WorkerContext, task: _Task) -> Mapping[str, object]:
    """Return the document for the stage's row: its result, and the digests of the weights."""
    lease = task.lease
    digests = services.models.digests(lease.models, lease.parameters, lease.digests)
    return {**(task.kept.row if task.kept else {}), "digests": digests}


def _count(services: WorkerContext, job: JobRow, photo: ImportedPhoto) -> None:
    """Charge an imported photo to its tenant's day; its size was unknown at submission."""
    # A transaction of its own: submissions of the tenant wait for this row.
    with contextlib.suppress(TryAgain), sessions.transaction(services.engine) as connection:
        quotas.charge_imported(connection, job.tenant, photo.megapixels)


def _note(services: WorkerContext, batch: ClaimedBatch, tasks: Sequence[_Task]) -> None:
    """Note how long each photo of known size in a batch kept this thread busy."""
    share = (time.perf_counter() - batch.begun_at) / len(batch.leases)
    for task in tasks:
        if not task.job.megapixels:
            continue
        services.tally.record_duration(
            task.lease.capability, max(0.0, share - task.loading_seconds), task.job.megapixels
        )


def _map_guarded(
    services: WorkerContext,
    tasks: Iterable[_Task],
    code: str,
    step: Callable[[_Task], Answer],
) -> list[Answer]:
    """Take each task one step further; return the answers of the tasks that succeeded."""
    answers = []
    for task in tasks:
        answer = error_policy.guarded(services, [task.held], code, lambda task=task: step(task))  # type: ignore[misc]  # binds the loop's variable
        if answer is not None:
            answers.append(answer)
    return answers
