"""Estimates of a job's queue position and of its completion time.

A pure function of the queue snapshot. Claims are in rank order, so all stages with a lower rank
are ahead of a job. Later arrivals that overtake the job stretch the wait, as in a delay cycle.
Then the job's own stages take their critical path. The sum is modeled as log-normal, and its
quantiles are corrected by the errors of earlier estimates (calibration.py).

Sources: R. Conway, W. Maxwell, L. Miller, "Theory of Scheduling", 1967, 8-3 (mean and variance
of a delay cycle); H. Sakasegawa, "An approximation formula Lq ≈ αρ^β/(1−ρ)", 1977 (waiting for
one of several servers).
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from smart_filter_shared.eta.backlog import Backlog
from smart_filter_shared.eta.calibration import Calibration
from smart_filter_shared.eta.snapshot import QueueSnapshot
from smart_filter_shared.eta.stage_times import Duration
from smart_filter_shared.ids import Capability, Tenant
from smart_filter_shared.pipeline import PIPELINE, StageName, needs_within
from smart_filter_shared.priority import Priority
from smart_filter_shared.queue.states import StageState

# The 90th percentile of the standard normal distribution.
_Z90 = 1.2816
_STAGES = {stage.name: stage for stage in PIPELINE}


@dataclass(frozen=True, slots=True)
class PendingStage:
    """A stage that a job still needs: its capability and its state."""

    stage: StageName
    capability: Capability
    state: StageState


@dataclass(frozen=True, slots=True)
class PendingJob:
    """The unfinished part of a job.

    starts_in_seconds: until its first stage may run.
    stretched: by stage, the factor by which it takes longer than usual.
    """

    tenant: Tenant
    priority: Priority
    rank: float
    megapixels: float
    steps: Sequence[PendingStage]
    starts_in_seconds: float = 0.0
    stretched: Mapping[StageName, float] | None = None


@dataclass(frozen=True, slots=True)
class CompletionEstimate:
    """The estimated completion of a job.

    position: its place in its queue, from 1; 0 when one of its stages runs.
    p50_seconds, p90_seconds: from now; 50 % and 90 % of such jobs take no longer.
    raw_p50, raw_p90: the quantiles before calibration, without the delay of the start.
    is_held: whether one of its capabilities is paused; the seconds then count from its resumption.
    """

    position: int
    p50_seconds: float
    p90_seconds: float
    raw_p50: float
    raw_p90: float
    is_held: bool = False


def estimate_completion(
    backlog: Backlog, job: PendingJob, *, elapsed_seconds: float = 0.0
) -> CompletionEstimate:
    """Estimate and return a job's queue position and completion time.

    elapsed_seconds: since the snapshot of the backlog.
    """
    wanted = frozenset(step.capability for step in job.steps)
    wait = max(
        (_wait(backlog, job, some, elapsed_seconds) for some in backlog.bottlenecks(wanted)),
        key=lambda span: span.mean,
        default=Duration(),
    )
    # The work ahead of the job runs down while the job may not start yet.
    idle = max(0.0, job.starts_in_seconds)
    left = Duration(max(0.0, wait.mean - idle), wait.variance if wait.mean > idle else 0.0)
    duration = backlog.own_duration(_shape(backlog, job), lambda: _own_duration(backlog, job))
    p50, p90 = _quantiles(left + duration)
    calibration = backlog.snapshot.foresight.get(job.priority, Calibration())
    corrected_p50, corrected_p90 = calibration.corrected(p50, p90)
    return CompletionEstimate(
        position=queue_position(backlog, job),
        p50_seconds=idle + corrected_p50,
        p90_seconds=idle + corrected_p90,
        raw_p50=p50,
        raw_p90=p90,
        is_held=any(
            step.capability in backlog.snapshot.paused and step.state != StageState.RUNNING
            for step in job.steps
        ),
    )


def queue_position(backlog: Backlog, job: PendingJob) -> int:
    """Return a job's place in its queue, from 1; 0 when one of its stages runs."""
    if any(step.state == StageState.RUNNING for step in job.steps):
        return 0
    names = {step.stage for step in job.steps}
    heads = [
        step
        for step in job.steps
        if step.state == StageState.READY or not needs_within(_STAGES[step.stage], names)
    ]
    return 1 + max((backlog.rows(step.capability, job.rank) for step in heads), default=0)


def estimate_drain_seconds(snapshot: QueueSnapshot, jobs: int) -> float | None:
    """Return the seconds until this many waiting jobs have ended; None when unknown."""
    total = sum(work.weight for work in snapshot.waiting)
    if not total or not snapshot.pools:
        return None
    seconds = sum(
        work.weight * snapshot.pace(capability).duration(work.megapixels).mean
        for work in snapshot.waiting
        for capability in work.steps
    )
    threads = sum(pool.threads for pool in snapshot.pools)
    return jobs * seconds / total / max(1, threads)


def _wait(
    backlog: Backlog, job: PendingJob, some: frozenset[Capability], elapsed_seconds: float
) -> Duration:
    """Return how long the work ahead of a job keeps the threads of these capabilities busy."""
    work = backlog.work(some, job.rank, elapsed_seconds=elapsed_seconds)
    if not work.mean:
        return Duration()
    threads = backlog.snapshot.threads(some)
    overtaking = backlog.overtaking(some, job.tenant, job.priority, job.rank)
    mean, spare = work.mean / threads, 1 - overtaking.load
    return Duration(
        mean / spare,
        work.variance / threads**2 / spare**2 + mean * overtaking.squares / spare**3,
    )


def _shape(backlog: Backlog, job: PendingJob) -> Hashable:
    """Return the cache key of a job's own duration: everything that the duration depends on."""
    stretched = tuple((job.stretched or {}).items())
    passing = backlog.passing(job.rank)
    return job.tenant, job.priority, passing, job.megapixels, tuple(job.steps), stretched


def _own_duration(backlog: Backlog, job: PendingJob) -> Duration:
    """Return the duration of the job's own stages.

    This is their critical path, or their sum divided by the threads when that is longer.
    """
    names = {step.stage for step in job.steps}
    ends: dict[StageName, Duration] = {}
    spans = {step.stage: _stage_duration(backlog, job, step) for step in job.steps}
    for stage in PIPELINE:
        if stage.name in names:
            before = [ends[need] for need in needs_within(stage, names)]
            latest = max(before, key=lambda span: span.mean, default=Duration())
            ends[stage.name] = latest + spans[stage.name]
    longest = max(ends.values(), key=lambda span: span.mean, default=Duration())
    shared = sum(spans.values(), start=Duration())
    threads = backlog.snapshot.threads(frozenset(step.capability for step in job.steps))
    return longest if longest.mean >= shared.mean / threads else shared.times(1 / threads)


def _stage_duration(backlog: Backlog, job: PendingJob, step: PendingStage) -> Duration:
    """Return the duration of a stage, with its wait for jobs that have overtaken meanwhile."""
    pace = backlog.snapshot.pace(step.capability)
    span = pace.duration(job.megapixels).times((job.stretched or {}).get(step.stage, 1.0))
    if step.state == StageState.RUNNING:
        return span.left()
    shared = backlog.shared(step.capability)
    load = backlog.overtaking(shared, job.tenant, job.priority, job.rank).load
    if not load:
        return span
    threads = backlog.snapshot.threads(shared)
    queue = pace.duration(None).mean * load ** (math.sqrt(2 * (threads + 1)) - 1)
    wait = queue / (threads * (1 - load))
    return span + Duration(wait, wait**2)


def _quantiles(span: Duration) -> tuple[float, float]:
    """Return the median and 90th percentile of a log-normal time with this mean and variance."""
    if span.mean <= 0:
        return 0.0, 0.0
    sigma = math.sqrt(math.log(1 + span.variance / span.mean**2))
    median = span.mean * math.exp(-(sigma**2) / 2)
    return median, median * math.exp(_Z90 * sigma)
