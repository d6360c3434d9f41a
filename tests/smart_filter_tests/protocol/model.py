"""A model of one job of five stages, two workers, a sweeper and a client.

A step is one transaction of the real system, or a moment that passes. `steps` returns every step
that is possible in a state, also the refused ones, which change nothing. Times are abstract: a
lease is late or not, a backoff and a deadline are ahead or past, patience lasts or is over.
Rerun, reroute, delete and albums are left to test_races.py and test_crossing_storm.py.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from smart_filter_shared.pipeline import PIPELINE

MAX_ATTEMPTS = 3
WORKERS = (1, 2)
GONE = -1  # the holder of a lease whose worker has died

NEEDS = tuple(
    tuple(place for place, need in enumerate(PIPELINE) if need.name in stage.needs)
    for stage in PIPELINE
)
STAGES = range(len(PIPELINE))
UNFINISHED = frozenset({"waiting", "ready", "running"})
AHEAD, PAST = "ahead", "past"


class Row(NamedTuple):
    """A stage's row.

    holder: the worker with the lease; 0 without a lease.  backoff: AHEAD or PAST while `not_before`
    is set.  patience: AHEAD since the first release, PAST when the stage has waited for too long.
    """

    state: str
    open_needs: int = 0
    attempt: int = 0
    holder: int = 0
    is_late: bool = False
    backoff: str = ""
    patience: str = ""


class Job(NamedTuple):
    """The job's row and its stages.  deadline: AHEAD, PAST, or none."""

    outcome: str
    deadline: str
    rows: tuple[Row, ...]


class State(NamedTuple):
    """The job, and for each worker the stage that it believes it runs; None: it is idle."""

    job: Job
    works_on: tuple[int | None, ...]


class Step(NamedTuple):
    """A step; worker, stage: those that it concerns, if any."""

    name: str
    worker: int = 0
    stage: int = -1

    def __str__(self) -> str:
        of = "" if self.stage < 0 else f" {self.stage}"
        return f"{self.name}{of}" + (f" by {self.worker}" if self.worker else "")


class Taken(NamedTuple):
    """A step that was taken.  ends: the number of events of an end of the job that it writes."""

    step: Step
    after: State
    ends: int = 0


def first_state() -> State:
    """Return a job that was just submitted with a deadline, and idle workers."""
    rows = tuple(Row("waiting" if needs else "ready", len(needs)) for needs in NEEDS)
    return State(Job("", AHEAD, rows), (None,) * len(WORKERS))


def steps(state: State) -> Iterator[Taken]:
    """Return every step that can be taken in a state."""
    yield from _steps_of_time(state)
    for worker, stage in enumerate(state.works_on, start=1):
        if stage is None:
            for place in STAGES:
                yield _claim(state, worker, place)
        else:
            yield from _steps_of_worker(state, worker, stage)
    yield from _steps_of_sweeper(state)
    yield from _steps_of_client(state)


def find_step(state: State, name: str) -> Taken:
    """Return the step of this name, such as `claim 0 by 1`, which must be possible."""
    return next(each for each in steps(state) if str(each.step) == name)


def _steps_of_time(state: State) -> Iterator[Taken]:
    """Moments pass, and workers die."""
    job, works_on = state
    for place, row in enumerate(job.rows):
        if row.state == "running" and not row.is_late:
            late = row._replace(is_late=True)
            yield Taken(Step("lease ends", 0, place), State(_put(job, place, late), works_on))
        if row.backoff == AHEAD and row.state == "waiting":
            due = row._replace(backoff=PAST)
            yield Taken(Step("backoff ends", 0, place), State(_put(job, place, due), works_on))
        if row.patience == AHEAD and row.state in UNFINISHED:
            over = row._replace(patience=PAST)
            yield Taken(Step("patience ends", 0, place), State(_put(job, place, over), works_on))
    if job.deadline == AHEAD and not job.outcome:
        yield Taken(Step("deadline passes"), State(job._replace(deadline=PAST), works_on))
    for worker, stage in enumerate(works_on, start=1):
        if stage is not None:
            row, moved = job.rows[stage], job
            if row.holder == worker:
                moved = _put(job, stage, row._replace(holder=GONE))
            yield Taken(Step("worker dies", worker, stage), _idle(State(moved, works_on), worker))


def _claim(state: State, worker: int, place: int) -> Taken:
    job, row = state.job, state.job.rows[place]
    step = Step("claim", worker, place)
    if row.state != "ready" or job.deadline == PAST:
        return Taken(step, state)
    claimed = row._replace(
        state="running", attempt=row.attempt + 1, holder=worker, is_late=False, backoff=""
    )
    works_on = (*state.works_on[: worker - 1], place, *state.works_on[worker:])
    return Taken(step, State(_put(job, place, claimed), works_on))


def _steps_of_worker(state: State, worker: int, stage: int) -> Iterator[Taken]:
    """A worker renews, and then completes or gives back; a refused step makes it idle too."""
    job, row = state.job, state.job.rows[stage]
    idle = _idle(state, worker)
    if row.holder != worker:
        yield Taken(Step("renew", worker, stage), state)
        for name in ("complete", "retry", "release", "release later", "fail"):
            yield Taken(Step(name, worker, stage), idle)
        return

    renewed = _put(job, stage, row._replace(is_late=False))
    yield Taken(Step("renew", worker, stage), state._replace(job=renewed))

    completed, ends = _complete(job, stage)
    yield Taken(Step("complete", worker, stage), idle._replace(job=completed), ends)

    failed = idle._replace(job=_fail(job, stage))
    freed = row._replace(holder=0, is_late=False)

    step = Step("retry", worker, stage)
    if row.attempt >= MAX_ATTEMPTS:
        yield Taken(step, failed, 1)
    else:
        waits = freed._replace(state="waiting", backoff=AHEAD)
        yield Taken(step, idle._replace(job=_put(job, stage, waits)))

    for name, state_after, backoff in (
        ("release", "ready", ""),
        ("release later", "waiting", AHEAD),
    ):
        step = Step(name, worker, stage)
        if row.patience == PAST:
            yield Taken(step, failed, 1)
        else:
            released = freed._replace(
                state=state_after,
                attempt=row.attempt - 1,
                backoff=backoff,
                patience=row.patience or AHEAD,
            )
            yield Taken(step, idle._replace(job=_put(job, stage, released)))

    yield Taken(Step("fail", worker, stage), failed, 1)


def _complete(job: Job, stage: int) -> tuple[Job, int]:
    """Return the job after a completion, and how often it ends."""
    rows = list(job.rows)
    rows[stage] = Row("succeeded")
    for place, row in enumerate(rows):
        if stage in NEEDS[place] and row.state == "waiting" and row.open_needs:
            left = row.open_needs - 1
            is_ready = not left and row.backoff != AHEAD
            rows[place] = row._replace(state="ready" if is_ready else "waiting", open_needs=left)
    ends = all(row.state == "succeeded" for row in rows)
    return Job("succeeded" if ends else job.outcome, job.deadline, tuple(rows)), int(ends)


def _fail(job: Job, stage: int) -> Job:
    rows = [_cancel_row(row) for row in job.rows]
    rows[stage] = Row("failed")
    return Job("failed", job.deadline, tuple(rows))


def _steps_of_sweeper(state: State) -> Iterator[Taken]:
    expired, ends = _expire(state.job)
    yield Taken(Step("expire"), state._replace(job=expired), ends)
    overdue = _fail_overdue(state.job)
    yield Taken(Step("fail_overdue"), state._replace(job=overdue), overdue is not state.job)
    rows = tuple(
        row._replace(state="ready", backoff="")
        if row.state == "waiting" and row.backoff == PAST and not row.open_needs
        else row
        for row in state.job.rows
    )
    yield Taken(Step("wake"), state._replace(job=state.job._replace(rows=rows)))


def _expire(job: Job) -> tuple[Job, int]:
    """Return the job after its late leases were revoked in order, and how often it ends."""
    for place in STAGES:
        row = job.rows[place]
        if row.state != "running" or not row.is_late:
            continue
        if row.patience == PAST:
            return _fail(job, place), 1
        is_last = row.attempt >= MAX_ATTEMPTS
        expired = row._replace(
            state="waiting",
            attempt=MAX_ATTEMPTS - 1 if is_last else row.attempt,
            holder=0,
            is_late=False,
            backoff=PAST,
            patience=(row.patience or AHEAD) if is_last else row.patience,
        )
        job = _put(job, place, expired)
    return job, 0


def _fail_overdue(job: Job) -> Job:
    left = [place for place in STAGES if job.rows[place].state in {"waiting", "ready"}]
    runs = any(row.state == "running" for row in job.rows)
    if job.outcome or not left or runs or job.deadline != PAST:
        return job
    rows = [_cancel_row(row) for row in job.rows]
    rows[min(left, key=lambda place: job.rows[place].open_needs)] = Row("failed")
    return Job("failed", job.deadline, tuple(rows))


def _steps_of_client(state: State) -> Iterator[Taken]:
    job = state.job
    if job.outcome:
        yield Taken(Step("cancel"), state)
    else:
        canceled = Job("canceled", job.deadline, tuple(_cancel_row(row) for row in job.rows))
        yield Taken(Step("cancel"), state._replace(job=canceled), 1)
    again = _redrive(job) if job.outcome == "failed" else job
    yield Taken(Step("redrive"), state._replace(job=again))


def _redrive(job: Job) -> Job:
    left = [place for place in STAGES if job.rows[place].state != "succeeded"]
    rows = list(job.rows)
    for place in left:
        needs = sum(need in left for need in NEEDS[place])
        rows[place] = Row("waiting" if needs else "ready", needs)
    return Job("", "", tuple(rows))


def _cancel_row(row: Row) -> Row:
    return Row("canceled") if row.state in UNFINISHED else row


def _put(job: Job, place: int, row: Row) -> Job:
    rows: Sequence[Row] = job.rows
    return Job(job.outcome, job.deadline, (*rows[:place], row, *rows[place + 1 :]))


def _idle(state: State, worker: int) -> State:
    works_on = (*state.works_on[: worker - 1], None, *state.works_on[worker:])
    return State(state.job, works_on)
