"""A model of one job of five stages, two workers, a sweeper and a client.

A step is one transaction of the real system, or a moment that passes. `steps` returns every step
that is possible in a state, also the refused ones, which change nothing. Times are abstract: a
lease is late or not, a backoff and a deadline are ahead or past, patience lasts or is over.
Rerun, reroute, delete and albums are left to test_races.py and test_crossing_storm.py.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
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


class Guard(StrEnum):
    """A condition or an effect that a step can be made without, to show what needs it."""

    CLAIM_READY = "a claim takes only a ready stage"
    CLAIM_DEADLINE = "a claim skips a stage past its deadline"
    CLAIM_COUNTS = "a claim counts the attempt"
    TOKEN_RENEW = "renew asks for the token"
    TOKEN_COMPLETE = "complete asks for the token"
    TOKEN_RETRY = "retry asks for the token"
    TOKEN_RELEASE = "release asks for the token"
    TOKEN_FAIL = "fail asks for the token"
    TAKES_TOKEN = "complete, retry and release take the token from the row"
    COMPLETE_ZERO = "a dependent is ready only when it needs nothing"
    COMPLETE_COUNTS = "complete counts down the needs of dependents"
    COMPLETE_ALL = "a job succeeds only with its last stage"
    COMPLETE_ENDS = "the last stage ends its job"
    RETRY_BOUND = "a retry needs an attempt that is left"
    RETRY_BACKOFF = "a retry has a time"
    RELEASE_REFUND = "a release refunds the attempt"
    RELEASE_PATIENCE = "a release needs patience that is left"
    FAIL_SIBLINGS = "a failure cancels the job's other stages"
    FAIL_TOKENS = "a failure takes the tokens of running siblings"
    EXPIRE_LATE = "expire takes only late leases"
    EXPIRE_REFUND = "expire refunds the last attempt"
    EXPIRE_PATIENCE = "expire needs patience that is left"
    EXPIRE_BACKOFF = "an expired stage has a time"
    EXPIRE_RUNS = "the sweeper expires leases"
    WAKE_DUE = "wake takes only stages whose time has come"
    WAKE_NEEDS = "wake takes only stages that need nothing"
    WAKE_RUNS = "the sweeper wakes stages"
    OVERDUE_PAST = "only jobs past their deadline fail as overdue"
    OVERDUE_IDLE = "a job with a running stage does not fail as overdue"
    OVERDUE_RUNS = "the sweeper fails overdue jobs"
    CANCEL_UNFINISHED = "only an unfinished job is canceled"
    CANCEL_TOKENS = "a cancel takes the tokens of running stages"
    CANCEL_SUCCEEDED = "a cancel leaves succeeded stages"
    REDRIVE_FAILED = "only a failed job is redriven"
    REDRIVE_SUCCEEDED = "a redrive leaves succeeded stages"
    REDRIVE_NEEDS = "a redrive counts unfinished needs"
    REDRIVE_ATTEMPTS = "a redrive gives all attempts back"
    REDRIVE_DEADLINE = "a redrive drops the deadline"


NOTHING_LEFT_OUT: frozenset[Guard] = frozenset()


def first_state(workers: int = len(WORKERS)) -> State:
    """Return a job that was just submitted with a deadline, and idle workers."""
    rows = tuple(Row("waiting" if needs else "ready", len(needs)) for needs in NEEDS)
    return State(Job("", AHEAD, rows), (None,) * workers)


def steps(state: State, without: frozenset[Guard] = NOTHING_LEFT_OUT) -> Iterator[Taken]:
    """Return every step that can be taken in a state."""
    yield from _steps_of_time(state)
    for worker, stage in enumerate(state.works_on, start=1):
        if stage is None:
            for place in STAGES:
                yield _claim(state, worker, place, without)
        else:
            yield from _steps_of_worker(state, worker, stage, without)
    yield from _steps_of_sweeper(state, without)
    yield from _steps_of_client(state.job, state, without)


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


def _claim(state: State, worker: int, place: int, without: frozenset[Guard]) -> Taken:
    job, row = state.job, state.job.rows[place]
    step = Step("claim", worker, place)
    claimable = {"ready"} if Guard.CLAIM_READY not in without else {"ready", "waiting", "running"}
    if row.state not in claimable or (job.deadline == PAST and Guard.CLAIM_DEADLINE not in without):
        return Taken(step, state)
    attempt = row.attempt + (Guard.CLAIM_COUNTS not in without)
    claimed = row._replace(
        state="running", attempt=attempt, holder=worker, is_late=False, backoff=""
    )
    works_on = (*state.works_on[: worker - 1], place, *state.works_on[worker:])
    return Taken(step, State(_put(job, place, claimed), works_on))


def _steps_of_worker(
    state: State, worker: int, stage: int, without: frozenset[Guard]
) -> Iterator[Taken]:
    """A worker renews, and then completes or gives back; a refused step makes it idle too."""
    job, row = state.job, state.job.rows[stage]
    idle = _idle(state, worker)

    def holds(token: Guard) -> bool:
        return row.holder == worker or (token in without and row.state == "running")

    renewed = row._replace(is_late=False) if holds(Guard.TOKEN_RENEW) else row
    yield Taken(Step("renew", worker, stage), state._replace(job=_put(job, stage, renewed)))

    step = Step("complete", worker, stage)
    if holds(Guard.TOKEN_COMPLETE):
        completed, ends = _complete(job, stage, without)
        yield Taken(step, idle._replace(job=completed), ends)
    else:
        yield Taken(step, idle)

    step = Step("retry", worker, stage)
    if not holds(Guard.TOKEN_RETRY):
        yield Taken(step, idle)
    elif row.attempt >= MAX_ATTEMPTS and Guard.RETRY_BOUND not in without:
        yield Taken(step, idle._replace(job=_fail(job, stage, without)), 1)
    else:
        backoff = AHEAD if Guard.RETRY_BACKOFF not in without else ""
        waits = _unheld(row, without)._replace(state="waiting", backoff=backoff)
        yield Taken(step, idle._replace(job=_put(job, stage, waits)))

    for name, state_after, backoff in (
        ("release", "ready", ""),
        ("release later", "waiting", AHEAD),
    ):
        step = Step(name, worker, stage)
        if not holds(Guard.TOKEN_RELEASE):
            yield Taken(step, idle)
        elif row.patience == PAST and Guard.RELEASE_PATIENCE not in without:
            yield Taken(step, idle._replace(job=_fail(job, stage, without)), 1)
        else:
            freed = _unheld(row, without)._replace(
                state=state_after,
                attempt=row.attempt - (Guard.RELEASE_REFUND not in without),
                backoff=backoff,
                patience=row.patience or AHEAD,
            )
            yield Taken(step, idle._replace(job=_put(job, stage, freed)))

    step = Step("fail", worker, stage)
    if holds(Guard.TOKEN_FAIL):
        yield Taken(step, idle._replace(job=_fail(job, stage, without)), 1)
    else:
        yield Taken(step, idle)


def _complete(job: Job, stage: int, without: frozenset[Guard]) -> tuple[Job, int]:
    """Return the job after a completion, and how often it ends."""
    rows = list(job.rows)
    rows[stage] = Row("succeeded", holder=0 if Guard.TAKES_TOKEN not in without else GONE)
    if Guard.COMPLETE_COUNTS not in without:
        for place, row in enumerate(rows):
            if stage in NEEDS[place] and row.state == "waiting" and row.open_needs:
                left = row.open_needs - 1
                is_ready = (not left or Guard.COMPLETE_ZERO in without) and row.backoff != AHEAD
                rows[place] = row._replace(
                    state="ready" if is_ready else "waiting", open_needs=left
                )
    is_last = all(row.state == "succeeded" for row in rows) or Guard.COMPLETE_ALL in without
    ends = is_last and Guard.COMPLETE_ENDS not in without
    return Job("succeeded" if ends else job.outcome, job.deadline, tuple(rows)), int(ends)


def _fail(job: Job, stage: int, without: frozenset[Guard]) -> Job:
    rows = [_canceled(row, without, Guard.FAIL_TOKENS) for row in job.rows]
    if Guard.FAIL_SIBLINGS in without:
        rows = list(job.rows)
    rows[stage] = Row("failed")
    return Job("failed", job.deadline, tuple(rows))


def _steps_of_sweeper(state: State, without: frozenset[Guard]) -> Iterator[Taken]:
    expired, ends = _expire(state.job, without)
    yield Taken(Step("expire"), state._replace(job=expired), ends)
    overdue = _fail_overdue(state.job, without)
    yield Taken(Step("fail_overdue"), state._replace(job=overdue), overdue is not state.job)
    rows = tuple(
        row._replace(state="ready", backoff="") if _is_due(row, without) else row
        for row in state.job.rows
    )
    yield Taken(Step("wake"), state._replace(job=state.job._replace(rows=rows)))


def _expire(job: Job, without: frozenset[Guard]) -> tuple[Job, int]:
    """Return the job after its late leases were revoked in order, and how often it ends."""
    if Guard.EXPIRE_RUNS in without:
        return job, 0
    for place in STAGES:
        row = job.rows[place]
        if row.state != "running" or not (row.is_late or Guard.EXPIRE_LATE in without):
            continue
        if row.patience == PAST and Guard.EXPIRE_PATIENCE not in without:
            return _fail(job, place, without), 1
        is_last = row.attempt >= MAX_ATTEMPTS
        refunded = is_last and Guard.EXPIRE_REFUND not in without
        expired = row._replace(
            state="waiting",
            attempt=MAX_ATTEMPTS - 1 if refunded else row.attempt,
            holder=0,
            is_late=False,
            backoff=PAST if Guard.EXPIRE_BACKOFF not in without else "",
            patience=(row.patience or AHEAD) if is_last else row.patience,
        )
        job = _put(job, place, expired)
    return job, 0


def _fail_overdue(job: Job, without: frozenset[Guard]) -> Job:
    left = [place for place in STAGES if job.rows[place].state in {"waiting", "ready"}]
    runs = any(row.state == "running" for row in job.rows)
    if (
        Guard.OVERDUE_RUNS in without
        or job.outcome
        or not left
        or (runs and Guard.OVERDUE_IDLE not in without)
        or (job.deadline != PAST and Guard.OVERDUE_PAST not in without)
    ):
        return job
    rows = [
        _canceled(row, without, Guard.FAIL_TOKENS) if row.state != "running" else row
        for row in job.rows
    ]
    rows[min(left, key=lambda place: job.rows[place].open_needs)] = Row("failed")
    return Job("failed", job.deadline, tuple(rows))


def _is_due(row: Row, without: frozenset[Guard]) -> bool:
    is_past = row.backoff == PAST or (bool(row.backoff) and Guard.WAKE_DUE in without)
    needs_nothing = row.open_needs == 0
    if Guard.WAKE_NEEDS in without:
        is_past, needs_nothing = is_past or row.open_needs > 0, True
    return row.state == "waiting" and is_past and needs_nothing and Guard.WAKE_RUNS not in without


def _steps_of_client(job: Job, state: State, without: frozenset[Guard]) -> Iterator[Taken]:
    if not job.outcome or Guard.CANCEL_UNFINISHED in without:
        rows = tuple(_canceled(row, without, Guard.CANCEL_TOKENS) for row in job.rows)
        if Guard.CANCEL_SUCCEEDED in without:
            rows = tuple(Row("canceled") for _ in rows)
        canceled = Job("canceled", job.deadline, rows)
        yield Taken(Step("cancel"), state._replace(job=canceled), 1)
    else:
        yield Taken(Step("cancel"), state)
    if job.outcome == "failed" or (job.outcome and Guard.REDRIVE_FAILED in without):
        again = _redrive(job, without)
        yield Taken(Step("redrive"), state._replace(job=again))
    else:
        yield Taken(Step("redrive"), state)


def _redrive(job: Job, without: frozenset[Guard]) -> Job:
    left = [place for place in STAGES if job.rows[place].state != "succeeded"]
    if Guard.REDRIVE_SUCCEEDED in without:
        left = list(STAGES)
    rows = list(job.rows)
    for place in left:
        needs = sum(need in left for need in NEEDS[place])
        if Guard.REDRIVE_NEEDS in without:
            needs = len(NEEDS[place])
        attempt = 0 if Guard.REDRIVE_ATTEMPTS not in without else MAX_ATTEMPTS
        rows[place] = Row("waiting" if needs else "ready", needs, attempt)
    return Job("", "" if Guard.REDRIVE_DEADLINE not in without else job.deadline, tuple(rows))


def _canceled(row: Row, without: frozenset[Guard], tokens: Guard) -> Row:
    if row.state not in UNFINISHED:
        return row
    return Row("canceled", holder=row.holder if tokens in without else 0)


def _unheld(row: Row, without: frozenset[Guard]) -> Row:
    return row if Guard.TAKES_TOKEN in without else row._replace(holder=0, is_late=False)


def _put(job: Job, place: int, row: Row) -> Job:
    rows: Sequence[Row] = job.rows
    return Job(job.outcome, job.deadline, (*rows[:place], row, *rows[place + 1 :]))


def _idle(state: State, worker: int) -> State:
    works_on = (*state.works_on[: worker - 1], None, *state.works_on[worker:])
    return State(state.job, works_on)
