"""Forecasts: where a job stands in its queue, and when it will have ended.

A pure function of the outlook. Claims go by rank, so what is ahead of a job is what has a lower
one, all the stages of it; what comes later and overtakes it stretches the wait, as in a delay
cycle; then the job's own stages take their longest way. The sum is taken for log-normal, and
its quantiles are corrected by how good earlier forecasts were (foresight.py).

Sources: R. Conway, W. Maxwell, L. Miller, "Theory of Scheduling", 1967, 8-3 (mean and variance
of a delay cycle); H. Sakasegawa, "An approximation formula Lq ≈ αρ^β/(1−ρ)", 1977 (waiting for
one of several servers).
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from smart_filter_shared.ids import Capability, Tenant
from smart_filter_shared.jobs.ahead import Ahead
from smart_filter_shared.jobs.foresight import Foresight
from smart_filter_shared.jobs.outlook import Outlook
from smart_filter_shared.jobs.paces import Span
from smart_filter_shared.jobs.states import StageState
from smart_filter_shared.pipeline import PIPELINE, StageName, needs_within
from smart_filter_shared.recipe import Priority

# Of the standard normal distribution: nine tenths lie below.
_Z90 = 1.2816
_STAGES = {stage.name: stage for stage in PIPELINE}


@dataclass(frozen=True, slots=True)
class Step:
    """A stage that a job still needs: who serves it, and where it stands."""

    stage: StageName
    capability: Capability
    state: StageState


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What of a job is still to be done.

    starts_in_seconds: until its first stage may run.  stretched: by stage, how much longer than
    usual it takes, as a factor.
    """

    tenant: Tenant
    priority: Priority
    rank: float
    megapixels: float
    steps: Sequence[Step]
    starts_in_seconds: float = 0.0
    stretched: Mapping[StageName, float] | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a job will have ended.

    position: its place in the queue that it waits in, 1 the next; 0 when it is worked on.
    p50_seconds, p90_seconds: from now; half of such jobs, and nine tenths, take no longer.
    raw_p50, raw_p90: before they were corrected.
    is_held: some of it waits for an operator, and the seconds count from when it does no longer.
    """

    position: int
    p50_seconds: float
    p90_seconds: float
    raw_p50: float
    raw_p90: float
    is_held: bool = False


def forecast(ahead: Ahead, job: Outstanding) -> Forecast:
    """Return where a job stands and when it will have ended."""
    wanted = frozenset(step.capability for step in job.steps)
    wait = max(
        (_wait(ahead, job, some) for some in ahead.bottlenecks(wanted)),
        key=lambda span: span.mean,
        default=Span(),
    )
    # While it may not run yet, those ahead of it do.
    idle = max(0.0, job.starts_in_seconds)
    left = Span(max(0.0, wait.mean - idle), wait.variance if wait.mean > idle else 0.0)
    own = ahead.own(_shape(ahead, job), lambda: _own(ahead, job))
    p50, p90 = _quantiles(left + own)
    known = ahead.outlook.foresight.get(job.priority, Foresight())
    told_p50, told_p90 = known.corrected(p50, p90)
    return Forecast(
        position=position(ahead, job),
        p50_seconds=idle + told_p50,
        p90_seconds=idle + told_p90,
        raw_p50=p50,
        raw_p90=p90,
        is_held=any(
            step.capability in ahead.outlook.paused and step.state != StageState.RUNNING
            for step in job.steps
        ),
    )


def position(ahead: Ahead, job: Outstanding) -> int:
    """Return a job's place in the queue that it waits in, 1 the next; 0: it is worked on."""
    if any(step.state == StageState.RUNNING for step in job.steps):
        return 0
    names = {step.stage for step in job.steps}
    heads = [
        step
        for step in job.steps
        if step.state == StageState.READY or not needs_within(_STAGES[step.stage], names)
    ]
    return 1 + max((ahead.rows(step.capability, job.rank) for step in heads), default=0)


def seconds_of_jobs(outlook: Outlook, jobs: int) -> float | None:
    """Return how long it takes until so many of those that wait have ended; None: unknown."""
    total = sum(work.weight for work in outlook.waiting)
    if not total or not outlook.pools:
        return None
    seconds = sum(
        work.weight * outlook.pace(one).of(work.megapixels).mean
        for work in outlook.waiting
        for one in (work.capability, *work.behind)
    )
    threads = sum(pool.threads for pool in outlook.pools)
    return jobs * seconds / total / max(1, threads)


def _wait(ahead: Ahead, job: Outstanding, some: frozenset[Capability]) -> Span:
    """Return how long what is ahead of a job keeps the threads that serve these busy."""
    work = ahead.work(some, job.rank)
    if not work.mean:
        return Span()
    threads = ahead.outlook.threads(some)
    overtaking = ahead.overtaking(some, job.tenant, job.priority, job.rank)
    mean, spare = work.mean / threads, 1 - overtaking.load
    return Span(
        mean / spare,
        work.variance / threads**2 / spare**2 + mean * overtaking.squares / spare**3,
    )


def _shape(ahead: Ahead, job: Outstanding) -> Hashable:
    """Return all that what a job takes by itself depends on."""
    stretched = tuple((job.stretched or {}).items())
    passing = ahead.passing(job.rank)
    return job.tenant, job.priority, passing, job.megapixels, tuple(job.steps), stretched


def _own(ahead: Ahead, job: Outstanding) -> Span:
    """Return what the job's own stages take: their longest way, or all where threads are few."""
    names = {step.stage for step in job.steps}
    ends: dict[StageName, Span] = {}
    spans = {step.stage: _step(ahead, job, step) for step in job.steps}
    for stage in PIPELINE:
        if stage.name in names:
            before = [ends[need] for need in needs_within(stage, names)]
            latest = max(before, key=lambda span: span.mean, default=Span())
            ends[stage.name] = latest + spans[stage.name]
    longest = max(ends.values(), key=lambda span: span.mean, default=Span())
    shared = sum(spans.values(), start=Span())
    threads = ahead.outlook.threads(frozenset(step.capability for step in job.steps))
    return longest if longest.mean >= shared.mean / threads else shared.times(1 / threads)


def _step(ahead: Ahead, job: Outstanding, step: Step) -> Span:
    """Return what a stage takes, and how long it waits for those who have overtaken by then."""
    pace = ahead.outlook.pace(step.capability)
    span = pace.of(job.megapixels).times((job.stretched or {}).get(step.stage, 1.0))
    if step.state == StageState.RUNNING:
        return span.left()
    shared = ahead.shared(step.capability)
    load = ahead.overtaking(shared, job.tenant, job.priority, job.rank).load
    if not load:
        return span
    threads = ahead.outlook.threads(shared)
    queue = pace.of(None).mean * load ** (math.sqrt(2 * (threads + 1)) - 1)
    wait = queue / (threads * (1 - load))
    return span + Span(wait, wait**2)


def _quantiles(span: Span) -> tuple[float, float]:
    """Return median and ninth decile of a log-normal time with this mean and variance."""
    if span.mean <= 0:
        return 0.0, 0.0
    sigma = math.sqrt(math.log(1 + span.variance / span.mean**2))
    median = span.mean * math.exp(-(sigma**2) / 2)
    return median, median * math.exp(_Z90 * sigma)
