"""What a worker does when the doorbell rings: claim, load, run, store, complete.

What becomes of a lease when any of this raises stands in settling.py.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import (
    LeaseLost,
    TryAgain,
)
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import limits, queries, transitions
from smart_filter_shared.jobs.leases import Brought, Completion, Done, Lease
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.retention import Kind
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import BackgroundKind
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.telemetry.metrics import Step
from smart_filter_workers import claiming, escalation, forward, isolation, settling, stage_code
from smart_filter_workers.artifacts import Kept
from smart_filter_workers.bringing import Landed
from smart_filter_workers.claiming import NOT_ASKED, Taken
from smart_filter_workers.heartbeat import Held
from smart_filter_workers.learning.trying import Ran
from smart_filter_workers.results import Prepared
from smart_filter_workers.services import Services
from smart_filter_workers.trails import Trail

# A ring's task ends after so long, so that a worker can be shut down and others get a turn.
_TURN_SECONDS = 30.0
# Another transaction holds all that is ready, for milliseconds: to ask it again and again at once
# would use a core here and one of the database.
_LOCKED_SECONDS = 0.02
# What a child process takes to start and to load its models, and an answer to come back.
_CHILD_SECONDS = 30.0
_log = logger("runner")

Answer = TypeVar("Answer")


def run(services: Services, rung: Capability) -> None:
    """Work until nothing is ready in any capability that this process serves.

    Starts with the one that was rung; then whichever head has the lowest rank. After 30 s
    it rings for what is left and ends.  Raises DatabaseUnavailable: the sweeper rings again.
    """
    with services.heartbeat.at_work():
        _run_turn(services, rung)


def _run_turn(services: Services, rung: Capability) -> None:
    ends_at = time.monotonic() + _TURN_SECONDS

    def goes_on() -> bool:
        return time.monotonic() < ends_at and not services.draining.is_set()

    capability: Capability | None = rung if rung in services.serving.capabilities else None
    unrung: list[Capability] = []  # what this thread has made ready
    taken: Taken | None = NOT_ASKED
    while True:
        if taken is NOT_ASKED:
            if not goes_on():
                break
            taken, capability = claiming.take(services, capability), None
        if taken is None:
            services.doorbell.ring(_unserved(services, unrung))
            unrung = []
            # Only now: nobody waits for it.
            if not services.trying.try_one():
                break
            taken = NOT_ASKED
            continue
        services.doorbell.ring(without(unrung, [lease.capability for lease in taken.leases]))
        if taken.leases:
            unrung, taken = _work(services, taken, goes_on)
        else:
            services.draining.wait(_LOCKED_SECONDS)
            unrung, taken = [], NOT_ASKED
    if taken is NOT_ASKED and not services.draining.is_set():
        unrung = [*_unserved(services, unrung), *_still_ready(services)]
    services.doorbell.ring(unrung)


def without(ready: Sequence[Capability], taken: Sequence[Capability]) -> list[Capability]:
    """Return what to ring for rows made ready when the same thread has taken some rows since.

    A row that it took from the same capability needs no ring any more: should it have been
    another row than the one made ready, that other one's ring is on its way.
    """
    left = list(ready)
    for capability in taken:
        if capability in left:
            left.remove(capability)
    return left


def _unserved(services: Services, capabilities: Sequence[Capability]) -> list[Capability]:
    served = services.serving.capabilities
    return [capability for capability in capabilities if capability not in served]


def _still_ready(services: Services) -> list[Capability]:
    with sessions.transaction(services.engine) as connection:
        return queries.ready_among(connection, services.serving.capabilities)


@dataclass(frozen=True, slots=True)
class _Task:
    """One lease on its way through the pipe.  landed: the photo, when it had to be brought.

    loading_seconds: its share of what it took to load models, which the next one need not.
    """

    held: Held
    job: JobRow
    trail: Trail
    inputs: object = None
    result: object = None
    seconds: float = 0.0
    loading_seconds: float = 0.0
    kept: Kept | None = None
    landed: Landed | None = None

    @property
    def lease(self) -> Lease:
        return self.held.lease

    @property
    def brought(self) -> Brought | None:
        """The photo, as the job's row is to tell of it."""
        if self.landed is None or not isinstance(self.result, Prepared):
            return None
        megapixels = self.result.width * self.result.height / 1_000_000
        return Brought(self.landed.key, self.landed.digest, megapixels)

    @property
    def artifacts(self) -> dict[str, Kind]:
        """All that is stored."""
        stored = {} if self.kept is None else dict(self.kept.artifacts)
        return stored if self.landed is None else {**stored, self.landed.key: Kind.PHOTO}


def _work(
    services: Services, taken: Taken, goes_on: Callable[[], bool]
) -> tuple[list[Capability], Taken | None]:
    """Take a batch from its claim to its completion; whatever goes wrong is settled here.

    Returns what to ring for stages that it has made ready, and what was claimed next, if that
    goes on.
    """
    engine = services.settings.engine
    leases = taken.leases
    last = leases[0].attempt >= engine.max_attempts  # then it was claimed alone
    limit_seconds = engine.stage_seconds + (_CHILD_SECONDS if last else 0)
    with (
        services.heartbeat.holding(leases, limit_seconds=limit_seconds) as held,
        _told(services, taken, held),
    ):
        tasks = _with_jobs(services, taken, held)
        tasks = _each(services, tasks, "internal", lambda task: _with_photo(services, task))
        if last:
            ran = _each(services, tasks, "model_failed", lambda task: _run_apart(services, task))
        else:
            loaded = _each(services, tasks, "internal", lambda task: _load(services, task))
            ran = _run(services, loaded)
        kept = _each(services, ran, "internal", lambda task: _unless_handed_on(services, task))
        ours = [task for task in kept if task.result is not None]
        stored = _each(services, ours, "internal", lambda task: _store(services, task))
        holders = [task.held for task in stored]
        settling.drop(services, _in_vain(tasks, holders))
        if not stored:
            return [], NOT_ASKED
        completed = settling.attempt(
            services, holders, "internal", lambda: _complete(services, stored, goes_on)
        )
        if completed is None:
            return [], NOT_ASKED
        # One that ran alone in a child tells nothing of the others.
        if not last:
            _note(services, taken, stored)
        return completed


def _with_jobs(services: Services, taken: Taken, held: Sequence[Held]) -> list[_Task]:
    # Not in the transaction that claims: a row that cannot be read would be claimed for ever.
    jobs = queries.jobs_in(taken.rows)
    # Each for itself: only what cannot be read waits for a version that can.
    read = [
        settling.attempt(services, [one], "internal", partial(claiming.job_of, one.lease, jobs))
        for one in held
    ]
    together = zip(held, read, strict=True)
    return [_Task(one, job, taken.trail) for one, job in together if job is not None]


@contextlib.contextmanager
def _told(services: Services, taken: Taken, held: Sequence[Held]) -> Iterator[None]:
    """Tell in the traces of the jobs what the block does."""
    try:
        yield
    finally:
        services.trails.tell(taken.trail, held)


@contextlib.contextmanager
def _timed(services: Services, step: Step, task: _Task) -> Iterator[None]:
    with services.tally.timed(step, task.lease.capability), task.trail.step(step, task.lease):
        yield


def _fetches_background(task: _Task) -> bool:
    is_composed = task.lease.stage == StageName.COMPOSITE
    return is_composed and task.job.recipe.background.kind == BackgroundKind.URL


def _with_photo(services: Services, task: _Task) -> _Task:
    """Bring the photo when the job names it elsewhere; such a stage is claimed alone."""
    if task.job.photo_key is not None or task.lease.stage != StageName.PREPARE:
        return task
    with (
        _timed(services, Step.LOAD, task),
        task.held.fetching(task.job.photo_url is not None),
    ):
        landed = services.artifacts.bring(task.job, task.lease)
    return replace(task, landed=landed, job=replace(task.job, photo_key=landed.key))


def _in_vain(tasks: Sequence[_Task], stored: Sequence[Held]) -> list[str]:
    """Return the keys of photos that were brought for stages that will not complete."""
    return [
        task.landed.key
        for task in tasks
        if task.landed is not None and not any(task.held is held for held in stored)
    ]


def _load(services: Services, task: _Task) -> _Task:
    code = stage_code.of(task.lease.stage)
    with _timed(services, Step.LOAD, task), task.held.fetching(_fetches_background(task)):
        return replace(task, inputs=services.artifacts.load(task.job, code.Inputs))


def _run(services: Services, tasks: list[_Task]) -> list[_Task]:
    """Run a batch in as few passes as it takes."""
    if not tasks:
        return []
    lease = tasks[0].lease
    code = stage_code.of(lease.stage)

    def in_one_pass(some: Sequence[_Task]) -> list[_Task]:
        loading = time.perf_counter()
        models = services.models.of(lease.models, lease.parameters, lease.digests)
        started = time.perf_counter()
        with some[0].trail.step(Step.INFER, *(task.lease for task in some)):
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

    return forward.pass_by_pass(
        tasks,
        in_one_pass,
        alone=lambda task, run: settling.attempt(services, [task.held], "model_failed", run),
        relieve=services.models.relieve,
    )


def _run_apart(services: Services, task: _Task) -> _Task:
    """Load and run in a child process, which may die of it."""
    request = isolation.Request(services.settings, services.extra_models, task.lease, task.job)
    limit_seconds = services.settings.engine.stage_seconds
    is_fetching = _fetches_background(task)
    with task.trail.step(Step.INFER, task.lease), task.held.fetching(is_fetching):
        answer = isolation.run(request, limit_seconds=limit_seconds)
    if is_fetching:
        # A child that died costs all its time; one that answers knows what the address took.
        task.held.fetching_seconds = answer.loading_seconds
    if answer.error is not None:
        raise answer.error
    return replace(task, result=answer.result, seconds=answer.seconds)


def _unless_handed_on(services: Services, task: _Task) -> _Task:
    """Hand a stage on to a stronger model when its result asks for it; then it has none here."""
    stronger = escalation.stronger(task.result)
    if stronger is None:
        return task
    with sessions.transaction(services.engine) as connection:
        plan = escalation.plan(
            connection, task.lease, task.job.recipe, stronger, settings=services.settings.engine
        )
        if plan is None or not transitions.reroute(connection, task.lease, plan):
            return task
    _log.info("handed on", to=plan.capability, **settling.named(task.lease))
    services.doorbell.ring([plan.capability])
    return replace(task, result=None)


def _store(services: Services, task: _Task) -> _Task:
    if task.held.lost.is_set():
        raise LeaseLost(f"{task.lease.stage} of job {task.lease.job_id}")
    with _timed(services, Step.STORE, task):
        return replace(task, kept=services.artifacts.keep(task.job, task.lease, task.result))


def _complete(
    services: Services, tasks: list[_Task], goes_on: Callable[[], bool]
) -> tuple[list[Capability], Taken | None]:
    """Complete stages, and claim what is next; return what to ring for, and what was claimed."""
    done = [
        Done(
            *(task.lease, _row(services, task), task.seconds, task.artifacts, task.brought),
            fetching_seconds=task.held.fetching_seconds,
        )
        for task in tasks
        if task.kept is not None
    ]

    def commit(*, claims: bool) -> tuple[Completion, Taken | None]:
        with sessions.transaction(services.engine) as connection:
            completion = transitions.complete(connection, done, services.keeping)
            # In the same transaction: one wait for the disk, not two.
            return completion, claiming.claim(services, connection) if claims else NOT_ASKED

    try:
        completion, following = settling.insist(services, lambda: commit(claims=goes_on()))
    except TryAgain:
        raise
    except Exception:  # noqa: BLE001 - what is wrong with the next is not to be paid for by these
        completion, following = settling.insist(services, lambda: commit(claims=False))
    services.tally.ran(done)
    for task in tasks:
        if task.lease in completion.lost and task.kept is not None:
            _log.warning("lease lost, work dropped", **settling.named(task.lease))
            task.held.trouble = LeaseLost.code
            settling.drop(services, task.artifacts)
        elif task.job.photo_url is not None and task.brought is not None:
            _count(services, task.job, task.brought)
        if task.lease not in completion.lost:
            services.trying.offer(Ran(task.lease, task.inputs, task.result))
    return completion.ready, claiming.counted(services, following)


def _row(services: Services, task: _Task) -> Mapping[str, object]:
    """Return what a stage's row says of what it made, and by which weights."""
    lease = task.lease
    digests = services.models.digests(lease.models, lease.parameters, lease.digests)
    return {**(task.kept.row if task.kept else {}), "digests": digests}


def _count(services: Services, job: JobRow, photo: Brought) -> None:
    """Count a photo against its tenant's day, which nobody could when it was submitted."""
    # In a transaction of its own: whoever submits waits for that row.
    with contextlib.suppress(TryAgain), sessions.transaction(services.engine) as connection:
        limits.count(connection, job.tenant, photo.megapixels)


def _note(services: Services, taken: Taken, tasks: Sequence[_Task]) -> None:
    """Note how long each photo of a batch kept this thread busy; of those whose size is known."""
    share = (time.perf_counter() - taken.begun_at) / len(taken.leases)
    for task in tasks:
        if not task.job.megapixels:
            continue
        services.tally.took(
            task.lease.capability, max(0.0, share - task.loading_seconds), task.job.megapixels
        )


def _each(
    services: Services,
    tasks: Iterable[_Task],
    code: str,
    step: Callable[[_Task], Answer],
) -> list[Answer]:
    """Take each task one step further; return the answers of those that got there."""
    answers = []
    for task in tasks:
        answer = settling.attempt(services, [task.held], code, lambda task=task: step(task))  # type: ignore[misc]  # binds the loop's variable
        if answer is not None:
            answers.append(answer)
    return answers
