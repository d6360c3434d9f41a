"""The steps of a task, from the import of its photo to the storage of its result."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from smart_filter_shared.albums import Take, read_take
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import LeaseLost, TryAgain
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.jobs.submission import plan_columns
from smart_filter_shared.pipeline import StageName, get_stage
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.telemetry.metrics import WorkerStep
from smart_filter_workers import last_attempt
from smart_filter_workers.artifacts import photo_import
from smart_filter_workers.runtime import error_policy
from smart_filter_workers.runtime.claiming import reroute
from smart_filter_workers.runtime.context import WorkerContext
from smart_filter_workers.runtime.task import Task
from smart_filter_workers.stages import registry
from smart_filter_workers.stages.segmentation import stage as segmentation

# Wait of a large photo until its lease and the process are looked at again.
_ROOM_SECONDS = 1.0
# Time for a child process to start, to load its models, and to send its answer.
CHILD_START_SECONDS = 25.0
_log = logger("runner")


@contextlib.contextmanager
def time_step(context: WorkerContext, step: WorkerStep, task: Task) -> Iterator[None]:
    """Measure and trace a step of a task."""
    with context.counters.timed(step, task.lease.capability), task.trail.step(step, task.lease):
        yield


def import_photo(context: WorkerContext, task: Task) -> None:
    """Import the photo when the job names it elsewhere; such a stage is claimed alone."""
    if task.job.photo_key is not None or not get_stage(task.lease.stage).imports_photo:
        return
    if task.job.take is not None:
        _compose_take(context, task, task.job.take)
        return
    with (
        time_step(context, WorkerStep.LOAD, task),
        task.measure_fetch(task.job.photo_url is not None),
    ):
        task.photo = context.artifacts.import_photo(task.job, task.lease)
    task.row = replace(task.job, photo_key=task.photo.key)


def _compose_take(context: WorkerContext, task: Task, take: Take) -> None:
    """Compose the photo of a take, once its shots fit into memory."""
    with sessions.transaction(context.engine) as connection:
        shots = queries.get_many(connection, [shot.job_id for shot in take.shots])
    megapixels = photo_import.ROOM_PHOTOS * photo_import.get_largest_megapixels(shots)
    _wait_for_room(context, task, megapixels)
    # Composing takes seconds, which the tenant is charged.
    with time_step(context, WorkerStep.LOAD, task), task.measure_fetch(True):
        task.photo = context.artifacts.import_take(task.job, task.lease, shots, task.requester)
    composed = None if task.photo.take is None else read_take(task.photo.take)
    task.row = replace(task.job, photo_key=task.photo.key, take=composed)


def await_room(context: WorkerContext, task: Task) -> None:
    """Wait until a large photo fits into memory; a take has waited already."""
    if task.photo is None:
        _wait_for_room(context, task, task.job.megapixels)
    elif task.photo.take is None:
        _wait_for_room(context, task, task.photo.megapixels)


def _wait_for_room(context: WorkerContext, task: Task, megapixels: float) -> None:
    """Wait until pictures fit into memory; the task's time limit begins then.

    Raises LeaseLost, or TryAgain when the worker shuts down.
    """
    limit_seconds = task.overdue_at - time.monotonic()
    while not context.large_photos.begin(megapixels, seconds=_ROOM_SECONDS):
        if task.lost.is_set():
            raise LeaseLost(f"{task.lease.stage} of job {task.lease.job_id}")
        if context.draining.is_set():
            raise TryAgain("the worker shuts down")
        context.heartbeat.extend(task, limit_seconds=limit_seconds)


def load(
    context: WorkerContext,
    task: Task,
    results: Mapping[StageName, object] = MappingProxyType({}),
) -> None:
    """Load the inputs of a task; results: of stages that are not stored yet."""
    code = registry.get_stage(task.lease.stage)
    with (
        time_step(context, WorkerStep.LOAD, task),
        task.measure_fetch(task.fetches_background),
    ):
        task.inputs = context.artifacts.load(
            task.job, code.Inputs, results, requester=task.requester
        )


def run_pass(context: WorkerContext, tasks: Sequence[Task]) -> None:
    """Run a batch in one pass."""
    lease = tasks[0].lease
    code = registry.get_stage(lease.stage)
    loading = time.perf_counter()
    models = context.models.for_stage(lease.models, lease.parameters, lease.digests)
    started = time.perf_counter()
    with tasks[0].trail.step(WorkerStep.INFER, *(task.lease for task in tasks)):
        results = code.run(models, [task.inputs for task in tasks])
    seconds = (time.perf_counter() - started) / len(tasks)
    for task, result in zip(tasks, results, strict=True):
        task.result = result
        task.seconds = seconds
        task.loading_seconds = (started - loading) / len(tasks)


def run_in_child(context: WorkerContext, task: Task) -> None:
    """Load and run in a child process, which may die."""
    request = last_attempt.ChildRequest(
        context.settings, context.extra_models, task.lease, task.job
    )
    limit_seconds = context.settings.engine.stage_seconds + CHILD_START_SECONDS
    is_fetching = task.fetches_background
    with task.trail.step(WorkerStep.INFER, task.lease), task.measure_fetch(is_fetching):
        answer = last_attempt.run(request, limit_seconds=limit_seconds, canceled=task.lost)
    if is_fetching:
        # A child that died is charged all its time; one that answers reports its loading time.
        task.fetching_seconds = answer.loading_seconds
    if answer.error is not None:
        raise answer.error
    task.result, task.seconds = answer.result, answer.seconds


def reroute_if_asked(context: WorkerContext, task: Task) -> None:
    """Hand a stage on to another model when its result is too weak, and drop the result."""
    weak = segmentation.find_weak_result(task.result, task.job.recipe)
    if weak is None:
        return
    with sessions.transaction(context.engine) as connection:
        plan = reroute.plan_reroute(
            connection,
            task.lease,
            task.job.recipe,
            weak,
            settings=context.settings.engine,
        )
        if plan is None or not WORKER.reroute(connection, task.lease, plan_columns(plan)):
            return
    _log.info("stage_rerouted", to=plan.capability, **error_policy.log_fields(task.lease))
    context.doorbell.ring([plan.capability])
    task.result = None


def store(context: WorkerContext, task: Task) -> None:
    """Sign and store the result of a task.  Raises LeaseLost."""
    if task.lost.is_set():
        raise LeaseLost(f"{task.lease.stage} of job {task.lease.job_id}")
    with time_step(context, WorkerStep.STORE, task):
        signed = context.signer.sign_files(task.result)
        task.stored = context.artifacts.store(
            task.job, task.lease, signed, is_read_again=task.is_read_again
        )
