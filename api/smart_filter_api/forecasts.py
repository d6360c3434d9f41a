"""Forecasts of this process: from an outlook that is taken once a second at most."""

import datetime as dt
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from smart_filter_api.remembered import Remembered
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import forecast
from smart_filter_shared.jobs.ahead import Ahead
from smart_filter_shared.jobs.forecast import Forecast, Outstanding, Step
from smart_filter_shared.jobs.limits import FULL_SECONDS
from smart_filter_shared.jobs.models import Plan
from smart_filter_shared.jobs.outlook import Outlook, Work
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.states import StageState
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Edge, Recipe

# However many poll.
_SECONDS = 1.0
# However many come with deadlines, while a look is short.
_JUDGING_SECONDS = 0.1
# Share of the time that looks for deadlines may take. With 10,000 jobs queued a look takes 45 ms,
# most of them PostgreSQL's, and 6 ms of the event loop.
_JUDGING_SHARE = 0.05
# What an edge makes of the whole composite, which is mostly measured with `balanced`.
# Source: docs/measurements.md, Composite and Edges of the matte.
_OF_EDGES: Mapping[Edge, float] = {Edge.FAST: 0.8, Edge.BALANCED: 1.0, Edge.BEST: 2.5}
# Whoever finds a queue full may come again after so long at most.
_MOST_AWAY_SECONDS = 600.0
_UNFINISHED = frozenset({StageState.WAITING, StageState.READY, StageState.RUNNING})


class Forecasts:
    """Tells where jobs stand; for one event loop.

    read: takes an outlook.  now: the time in UTC.  clock: monotonic seconds.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Outlook]],
        *,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._now = now
        self._remembered: Remembered[Ahead] = Remembered(_SECONDS, clock=clock)
        self._ahead = Ahead(Outlook())
        self._clock = clock
        self._looked_at = -math.inf
        self._look_seconds = 0.0

    @property
    def outlook(self) -> Outlook:
        """What was seen last."""
        return self._ahead.outlook

    async def refresh(self) -> None:
        """See to it that what is told is a second old at most.  Raises DatabaseUnavailable."""
        await self._refresh(_SECONDS)

    async def refresh_to_judge(self) -> None:
        """See to it that what is judged by is a tenth of a second old at most.

        Jobs that have ended since would refuse others.  At long queues it may be older, up to a
        second, so that looks take a twentieth of the time.  Raises DatabaseUnavailable.
        """
        bounded = max(_JUDGING_SECONDS, self._look_seconds / _JUDGING_SHARE)
        await self._refresh(min(bounded, _SECONDS))

    async def _refresh(self, seconds: float) -> None:
        if self._clock() - self._looked_at > seconds:
            self._remembered.forget()
        self._ahead = await self._remembered.get(self._look)

    def accept(self, job: Outstanding) -> None:
        """Let a job count that has just been accepted: the next outlook has it."""
        first, *behind = job.steps
        capabilities = tuple(step.capability for step in behind)
        if not job.starts_in_seconds:
            self._ahead.add(Work(first.capability, job.rank, job.megapixels, capabilities))

    def of(self, job: Outstanding) -> Forecast:
        """Return what is foreseen of a job."""
        return forecast.forecast(self._ahead, job)

    def of_row(self, row: JobRow) -> Forecast | None:
        """Return what is foreseen of a job as it stands; None when it has ended."""
        steps = [
            Step(stage.name, stage.capability, StageState(stage.state))
            for stage in row.stages
            if stage.state in _UNFINISHED
        ]
        if row.finished_at is not None or not steps:
            return None
        rank = next(stage.rank for stage in row.stages)
        return self.of(self._outstanding(row.tenant, row.recipe, rank, row.megapixels, steps))

    def planned(
        self,
        tenant: Tenant,
        recipe: Recipe,
        plans: Mapping[StageName, Plan],
        *,
        rank: float,
        megapixels: float,
    ) -> Outstanding:
        """Return what is to be done of a job that is about to be accepted."""
        steps = [
            Step(
                stage,
                plans[stage].capability,
                StageState.READY if stage == StageName.PREPARE else StageState.WAITING,
            )
            for stage in StageName
            if stage in plans
        ]
        return self._outstanding(tenant, recipe, rank, megapixels, steps)

    def room_in_seconds(self, most_jobs: int) -> float:
        """Return when a queue that is full has room for some more: a twentieth of it."""
        seconds = forecast.seconds_of_jobs(self.outlook, max(1, most_jobs // 20))
        return FULL_SECONDS if seconds is None else min(seconds, _MOST_AWAY_SECONDS)

    def seconds_until(self, run_at: dt.datetime | None) -> float:
        """Return how long it is until then; 0 when it has passed."""
        return 0.0 if run_at is None else max(0.0, (run_at - self._now()).total_seconds())

    def _outstanding(
        self,
        tenant: Tenant,
        recipe: Recipe,
        rank: float,
        megapixels: float,
        steps: Sequence[Step],
    ) -> Outstanding:
        return Outstanding(
            tenant=tenant,
            priority=recipe.priority,
            rank=rank,
            megapixels=megapixels,
            steps=steps,
            starts_in_seconds=self.seconds_until(recipe.run_at),
            stretched={StageName.COMPOSITE: _OF_EDGES[recipe.edge]},
        )

    async def _look(self) -> Ahead:
        self._looked_at = self._clock()
        known = self._ahead
        before = known.added
        ahead = Ahead(await self._read())
        self._look_seconds = self._clock() - self._looked_at
        # What came while the outlook was taken may be in it or not.
        for work in known.added_since(before):
            ahead.add(work)
        return ahead
