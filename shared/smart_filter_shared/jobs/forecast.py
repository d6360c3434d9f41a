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
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from smart_filter_shared.ids import Capability, Tenant
from smart_filter_shared.jobs.fairness import HEAD_START_SECONDS
from smart_filter_shared.jobs.foresight import Foresight
from smart_filter_shared.jobs.outlook import Arrivals, Outlook, Work
from smart_filter_shared.jobs.paces import Span
from smart_filter_shared.jobs.states import StageState
from smart_filter_shared.pipeline import PIPELINE, StageName, needs_within
from smart_filter_shared.recipe import Priority

# So much of the threads what overtakes may seem to take: arrivals come in bursts.
_MOST_OVERTAKING = 0.85
# Of the standard normal distribution: nine tenths lie below.
_Z90 = 1.2816
# Ranks that differ by less are taken in any order.
_SAME_RANK = 1e-9


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
    """

    position: int
    p50_seconds: float
    p90_seconds: float
    raw_p50: float
    raw_p90: float


def forecast(outlook: Outlook, job: Outstanding, accepted: Sequence[Work] = ()) -> Forecast:
    """Return where a job stands and when it will have ended.

    accepted: jobs that have come since the outlook was taken.
    """
    wanted = {step.capability for step in job.steps}
    wait = max(
        (_wait(outlook, job, some, accepted) for some in _bottlenecks(outlook, wanted)),
        key=lambda span: span.mean,
        default=Span(),
    )
    own = _own(outlook, job)
    # While it may not run yet, those ahead of it do.
    idle = max(0.0, job.starts_in_seconds)
    left = Span(max(0.0, wait.mean - idle), wait.variance if wait.mean > idle else 0.0)
    p50, p90 = _quantiles(left + own)
    known = outlook.foresight.get(job.priority, Foresight())
    told_p50, told_p90 = known.corrected(p50, p90)
    return Forecast(
        position=position(outlook, job, accepted),
        p50_seconds=idle + told_p50,
        p90_seconds=idle + told_p90,
        raw_p50=p50,
        raw_p90=p90,
    )


def position(outlook: Outlook, job: Outstanding, accepted: Sequence[Work] = ()) -> int:
    """Return a job's place in the queue that it waits in, 1 the next; 0: it is worked on."""
    if any(step.state == StageState.RUNNING for step in job.steps):
        return 0
    names = {step.stage for step in job.steps}
    heads = [
        step
        for step in job.steps
        if step.state == StageState.READY or not needs_within(_STAGES[step.stage], names)
    ]
    return 1 + max(
        (_ahead(outlook, step.capability, job.rank, accepted) for step in heads), default=0
    )


def seconds_of_jobs(outlook: Outlook, jobs: int) -> float | None:
    """Return how long it takes until so many of those that wait have ended; None: unknown."""
    total = sum(work.weight for work in outlook.waiting)
    if not total or not outlook.pools:
        return None
    everything = frozenset(outlook.paces)
    seconds = sum(_cost(outlook, work, everything).mean * work.weight for work in outlook.waiting)
    threads = sum(pool.threads for pool in outlook.pools)
    return jobs * seconds / total / max(1, threads)


_STAGES = {stage.name: stage for stage in PIPELINE}


def _ahead(outlook: Outlook, capability: Capability, rank: float, accepted: Sequence[Work]) -> int:
    queue = outlook.queues.get(capability)
    known = 0 if queue is None else queue.ahead(rank)
    return known + sum(work.capability == capability and work.rank < rank for work in accepted)


def _bottlenecks(outlook: Outlook, wanted: Collection[Capability]) -> list[frozenset[Capability]]:
    """Return sets of capabilities each of which may be what holds a job up.

    Each alone, and all that share threads, directly or by others: what is ahead in such a set
    is done by the threads that serve any of it, and by no others.
    """
    linked: list[frozenset[Capability]] = []
    for pool in outlook.pools:
        touching = [one for one in linked if one & pool.capabilities]
        linked = [one for one in linked if one not in touching]
        linked.append(pool.capabilities.union(*touching))
    alone = [frozenset([one]) for one in sorted(wanted)]
    return alone + [one for one in linked if one & frozenset(wanted)]


def _wait(
    outlook: Outlook,
    job: Outstanding,
    some: frozenset[Capability],
    accepted: Sequence[Work],
) -> Span:
    """Return how long what is ahead of a job keeps the threads that serve these busy."""
    threads = outlook.threads(some)
    ahead = Span()
    for capability, queue in outlook.queues.items():
        ahead += _of_queue(outlook, capability, queue.ahead(job.rank), job.rank, some)
    for work in accepted:
        if work.rank < job.rank:
            ahead += _cost(outlook, work, some)
    queued = ahead.mean > 0
    busy = 0
    for work in outlook.running:
        if work.capability in some:
            busy += 1
            ahead += _left(outlook, work)
        if work.rank < job.rank:
            ahead += _behind(outlook, work, some)
    if not queued and busy < threads:
        return Span()
    load, squares = _overtaking(outlook, job, some, threads)
    mean = ahead.mean / threads
    return Span(
        mean / (1 - load),
        ahead.variance / threads**2 / (1 - load) ** 2 + mean * squares / (1 - load) ** 3,
    )


def _of_queue(
    outlook: Outlook, capability: Capability, rows: int, rank: float, some: frozenset[Capability]
) -> Span:
    """Return what so many rows of a queue take, by those of them that were looked at."""
    if not rows:
        return Span()
    of_it = [work for work in outlook.waiting if work.capability == capability]
    looked_at = [work for work in of_it if work.rank < rank] or of_it
    if not looked_at:
        return Span()
    costs = [(work.weight, _cost(outlook, work, some)) for work in looked_at]
    weight = sum(weight for weight, _ in costs)
    mean = sum(weight * cost.mean for weight, cost in costs) / weight
    square = sum(weight * (cost.variance + cost.mean**2) for weight, cost in costs) / weight
    return Span(rows * mean, rows * max(0.0, square - mean**2))


def _cost(outlook: Outlook, work: Work, some: frozenset[Capability]) -> Span:
    here = outlook.pace(work.capability).of(work.megapixels)
    return (here if work.capability in some else Span()) + _behind(outlook, work, some)


def _behind(outlook: Outlook, work: Work, some: frozenset[Capability]) -> Span:
    spans = (outlook.pace(one).of(work.megapixels) for one in work.behind if one in some)
    return _sum(spans)


def _left(outlook: Outlook, work: Work) -> Span:
    """Return what is left of something that runs: half of it, or anything."""
    whole = outlook.pace(work.capability).of(work.megapixels)
    return Span(whole.mean / 2, whole.variance / 4 + whole.mean**2 / 12)


def _overtaking(
    outlook: Outlook, job: Outstanding, some: frozenset[Capability], threads: int
) -> tuple[float, float]:
    """Return what share of the threads goes to jobs that come later and pass this one.

    And what the squares of those, in seconds of all threads, add up to in a second.
    """
    load, squares = 0.0, 0.0
    for group in outlook.arrivals:
        rates = {one: rate for one, rate in group.rates.items() if one in some}
        if not rates or not _passes(outlook, group, job):
            continue
        seconds = sum(outlook.pace(one).of(None).mean * rate for one, rate in rates.items())
        load += seconds / threads
        jobs = max(rates.values())
        # Of jobs of all sizes the squares are about twice the square of the mean.
        squares += 2 * (seconds / threads) ** 2 / jobs
    return min(load, _MOST_OVERTAKING), squares


def _passes(outlook: Outlook, group: Arrivals, job: Outstanding) -> bool:
    """Whether what comes of a tenant and a priority goes before a job that is here."""
    ahead = HEAD_START_SECONDS[group.priority]
    if group.tenant == job.tenant:
        return ahead > HEAD_START_SECONDS[job.priority]
    return outlook.virtual_time - ahead < job.rank - _SAME_RANK


def _own(outlook: Outlook, job: Outstanding) -> Span:
    """Return what the job's own stages take: their longest way, or all where threads are few."""
    names = {step.stage for step in job.steps}
    ends: dict[StageName, Span] = {}
    spans = {step.stage: _step(outlook, job, step) for step in job.steps}
    for stage in PIPELINE:
        if stage.name in names:
            before = [ends[need] for need in needs_within(stage, names)]
            latest = max(before, key=lambda span: span.mean, default=Span())
            ends[stage.name] = latest + spans[stage.name]
    longest = max(ends.values(), key=lambda span: span.mean, default=Span())
    every = frozenset(step.capability for step in job.steps)
    shared = _sum(spans.values())
    threads = outlook.threads(every)
    return longest if longest.mean >= shared.mean / threads else shared.times(1 / threads)


def _step(outlook: Outlook, job: Outstanding, step: Step) -> Span:
    factor = (job.stretched or {}).get(step.stage, 1.0)
    span = outlook.pace(step.capability).of(job.megapixels).times(factor)
    if step.state == StageState.RUNNING:
        return Span(span.mean / 2, span.variance / 4 + span.mean**2 / 12)
    some = frozenset([step.capability])
    threads = outlook.threads(some)
    shared = _bottlenecks(outlook, [step.capability])[-1]
    load, _ = _overtaking(outlook, job, shared, threads)
    usual = outlook.pace(step.capability).of(None).mean
    queue = usual * load ** (math.sqrt(2 * (threads + 1)) - 1) / (threads * (1 - load))
    return span + Span(queue, queue**2)


def _sum(spans: Iterable[Span]) -> Span:
    total = Span()
    for span in spans:
        total += span
    return total


def _quantiles(span: Span) -> tuple[float, float]:
    """Return median and ninth decile of a log-normal time with this mean and variance."""
    if span.mean <= 0:
        return 0.0, 0.0
    sigma = math.sqrt(math.log(1 + span.variance / span.mean**2))
    median = span.mean * math.exp(-(sigma**2) / 2)
    return median, median * math.exp(_Z90 * sigma)
