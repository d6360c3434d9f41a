"""Estimate when jobs will end, from the snapshot of the queues that the sweep stores."""

import datetime as dt
import math
import time
from collections.abc import Awaitable, Callable, Mapping

from cachetools import LRUCache

from smart_filter_api.ttl_cache import TtlCache
from smart_filter_shared.eta import estimate
from smart_filter_shared.eta.backlog import Backlog
from smart_filter_shared.eta.estimate import CompletionEstimate, PendingJob, PendingStage
from smart_filter_shared.eta.snapshot import QueueSnapshot, SampledStage
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.model_registry.stage_plan import StagePlan
from smart_filter_shared.operations.stored_snapshot import StoredSnapshot
from smart_filter_shared.pipeline import PIPELINE, StageName, TaskName, needs_within
from smart_filter_shared.queue.states import StageState
from smart_filter_shared.recipe import Edge, Recipe
from smart_filter_shared.tenants.quotas import RETRY_AFTER_SECONDS

# How long a snapshot serves polled jobs before the stored one is read again, whatever the number of
# clients that poll; the sweep makes one each second.
_SNAPSHOT_TTL_SECONDS = 1.0
# The same for jobs with deadlines: jobs that ended since the snapshot could cause the rejection of
# others. A snapshot that is known already costs one probe of an index.
_DEADLINE_SNAPSHOT_TTL_SECONDS = 0.1
# The work of a snapshot runs down for at most this long. No sweep made an older one obsolete, so no
# worker is alive.
_MAX_ELAPSED_SECONDS = 5.0
# Factor of each edge on the time of the whole composite, which is mostly measured with `balanced`.
# Source: docs/measurements.md, Composite and Edges of the matte.
_EDGE_TIME_FACTORS: Mapping[Edge, float] = {
    Edge.FAST: 0.8,
    Edge.BALANCED: 1.0,
    Edge.HARD: 1.0,
    Edge.BEST: 2.5,
}
# The model that asks further networks about outlines except with `edge=fast`, and the share of the
# time of its stage that `edge=fast` takes: 0.10 and 0.47 s of processor time for three photos of a
# megapixel, and 0.05 s of loading and storing for both.
_REFINED_MODEL = "people"
_UNREFINED_TIME_SHARE = 0.3
# Maximum Retry-After of a full queue, in seconds.
_MAX_RETRY_AFTER_SECONDS = 600.0
_MAX_ESTIMATES = 512
_UNFINISHED = frozenset({StageState.WAITING, StageState.READY, StageState.RUNNING})


class EtaEstimator:
    """Estimates places in the queue and completion times of jobs; for one event loop.

    read: reads the stored snapshot, given the time of the one that is known.
    now: the time in UTC.  clock: monotonic seconds.
    """

    def __init__(
        self,
        read: Callable[[dt.datetime | None], Awaitable[StoredSnapshot | None]],
        *,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._now = now
        self._cached: TtlCache[Backlog] = TtlCache(_SNAPSHOT_TTL_SECONDS, clock=clock)
        self._backlog = Backlog(QueueSnapshot())
        # When the snapshot was made: by the database's clock, None without one; and by `clock`.
        self._made_at: dt.datetime | None = None
        self._made = clock()
        # Estimates of polled jobs; they hold while the backlog does not change.
        self._estimates: LRUCache[JobId, tuple[JobRow, CompletionEstimate]] = LRUCache(
            _MAX_ESTIMATES
        )
        self._clock = clock
        self._looked_at = -math.inf

    @property
    def snapshot(self) -> QueueSnapshot:
        """Return the last snapshot."""
        return self._backlog.snapshot

    async def refresh(self) -> None:
        """Read the stored snapshot if that was not done for a second.  Raises DatabaseUnavailable.

        Without any, as before the first worker starts, the queues count as empty.
        """
        await self._refresh(_SNAPSHOT_TTL_SECONDS)

    async def refresh_for_deadline(self) -> None:
        """Read the stored snapshot if that was not done for a tenth of a second.

        Raises DatabaseUnavailable.
        """
        await self._refresh(_DEADLINE_SNAPSHOT_TTL_SECONDS)

    async def _refresh(self, seconds: float) -> None:
        if self._clock() - self._looked_at > seconds:
            self._cached.forget()
        backlog = await self._cached.get(self._read_backlog)
        if backlog is not self._backlog:
            self._backlog = backlog
            self._estimates.clear()

    def accept(self, job: PendingJob) -> None:
        """Add a job that was just accepted, until the next snapshot includes it."""
        if job.steps and not job.starts_in_seconds:
            first, *behind = job.steps
            capabilities = tuple(step.capability for step in behind)
            self._estimates.clear()
            self._backlog.add(
                SampledStage(first.capability, job.rank, job.megapixels, capabilities)
            )

    def estimate(self, job: PendingJob) -> CompletionEstimate:
        """Return the completion estimate of a job."""
        elapsed = min(max(0.0, self._clock() - self._made), _MAX_ELAPSED_SECONDS)
        return estimate.estimate_completion(self._backlog, job, elapsed_seconds=elapsed)

    def estimate_row(self, row: JobRow) -> CompletionEstimate | None:
        """Return the completion estimate of a stored job; None when it has ended."""
        cached = self._estimates.get(row.id)
        if cached is not None and cached[0] is row:
            return cached[1]
        steps = [
            PendingStage(stage.name, stage.capability, StageState(stage.state))
            for stage in row.stages
            if stage.state in _UNFINISHED
        ]
        if row.finished_at is not None or not steps:
            return None
        rank = next(stage.rank for stage in row.stages)
        models = {task: name for stage in row.stages for task, name in stage.models.items()}
        estimated = self.estimate(
            PendingJob(
                tenant=row.tenant,
                priority=row.recipe.priority,
                rank=rank,
                megapixels=row.megapixels,
                steps=steps,
                starts_in_seconds=self.seconds_until(row.recipe.run_at),
                stretched=_time_factors(row.recipe.edge, models.get(TaskName.SEGMENTATION)),
            )
        )
        if row.recipe.run_at is None:  # else it also depends on the time
            self._estimates[row.id] = (row, estimated)
        return estimated

    def plan_job(
        self,
        tenant: Tenant,
        recipe: Recipe,
        plans: Mapping[StageName, StagePlan],
        *,
        rank: float,
        megapixels: float,
    ) -> PendingJob:
        """Return the pending work of a job that is about to be accepted."""
        steps = [
            PendingStage(
                stage.name,
                plans[stage.name].capability,
                StageState.WAITING if needs_within(stage, plans) else StageState.READY,
            )
            for stage in PIPELINE
            if stage.name in plans
        ]
        models = {task: name for plan in plans.values() for task, name in plan.models.items()}
        return PendingJob(
            tenant=tenant,
            priority=recipe.priority,
            rank=rank,
            megapixels=megapixels,
            steps=steps,
            starts_in_seconds=self.seconds_until(recipe.run_at),
            stretched=_time_factors(recipe.edge, models.get(TaskName.SEGMENTATION)),
        )

    def seconds_until_room(self, most_jobs: int) -> float:
        """Return the estimated seconds until a twentieth of a full queue is done."""
        seconds = estimate.estimate_drain_seconds(self.snapshot, max(1, most_jobs // 20))
        return RETRY_AFTER_SECONDS if seconds is None else min(seconds, _MAX_RETRY_AFTER_SECONDS)

    def seconds_until(self, run_at: dt.datetime | None) -> float:
        """Return the seconds until a time; 0 when it has passed or is None."""
        return 0.0 if run_at is None else max(0.0, (run_at - self._now()).total_seconds())

    async def _read_backlog(self) -> Backlog:
        self._looked_at = self._clock()
        before, accepted = self._backlog, len(self._backlog.added)
        stored = await self._read(self._made_at)
        if stored is None:
            self._made_at, self._made = None, self._clock()
            return Backlog(QueueSnapshot())
        self._made_at, self._made = stored.made_at, self._clock() - stored.age_seconds
        if stored.queues is None:
            return before
        backlog = Backlog(stored.queues)
        # Jobs accepted while the snapshot was read are missing from it, so add them.
        for work in before.added[accepted:]:
            backlog.add(work)
        return backlog


def _time_factors(edge: Edge, segmenter: str | None) -> Mapping[StageName, float]:
    """Return the factors by which an edge stretches the usual time of stages."""
    factors = {StageName.COMPOSITE: _EDGE_TIME_FACTORS[edge]}
    if edge == Edge.FAST and segmenter == _REFINED_MODEL:
        factors[StageName.SEGMENTATION] = _UNREFINED_TIME_SHARE
    return factors
