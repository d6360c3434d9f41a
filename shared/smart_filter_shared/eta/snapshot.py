"""The queue snapshot that estimates are computed from: queues, workers, stage times, arrivals.

The cost of reading it does not grow with the queues: each ready queue is counted up to
MAX_COUNTED, and the remaining stages are read for an even sample of its jobs.
"""

import datetime as dt
import uuid
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from smart_filter_shared.eta import calibration, stage_times
from smart_filter_shared.eta.calibration import Calibration
from smart_filter_shared.eta.stage_times import Duration, StageTime
from smart_filter_shared.ids import Capability, Tenant, first_id
from smart_filter_shared.pipeline import PIPELINE
from smart_filter_shared.priority import Priority
from smart_filter_shared.queue import heads

# Queue positions are exact up to _EXACT, then rounded down to multiples of _STEP, and lower bounds
# beyond MAX_COUNTED.
_EXACT = 1000
_STEP = 100
MAX_COUNTED = 10_000
# Queued jobs sampled for their remaining stages: the first _HEADS, then every _EVERY-th.
_HEADS = 32
_EVERY = 250
# Running stages that are read.
_MAX_RUNNING = 500
# Arrival rates are measured over this window, or since the oldest of the latest _MAX_ARRIVALS jobs
# when that is shorter, but over at least _MIN_ARRIVALS_SECONDS, so that a burst gives no huge rate.
ARRIVALS_WINDOW_SECONDS = 60.0
_MIN_ARRIVALS_SECONDS = 10.0
_MAX_ARRIVALS = 300

_POOLS = text("""
    SELECT capabilities, sum(threads) AS threads FROM workers
    WHERE seen_at >= statement_timestamp() - make_interval(secs => :silent_seconds)
    GROUP BY capabilities
""")
_QUEUES = text("""
    SELECT known.capability, array_agg(rank ORDER BY place) AS ranks,
        array_agg(place ORDER BY place) AS places
    FROM (SELECT DISTINCT capability FROM models) AS known, LATERAL (
        SELECT rank, row_number() OVER (ORDER BY rank) AS place FROM stages
        WHERE stages.capability = known.capability AND state = 'ready'
        ORDER BY rank LIMIT :most
    ) AS queue
    WHERE place <= :exact OR place % :step = 0
    GROUP BY known.capability
""")
# A job's waiting stages are attributed to its earliest active stage, so they count once. The
# planner expects a thousand times more rows in `front` than there are, and would read all jobs to
# join them. A subquery with LIMIT is run for each row instead.
_SAMPLE_STAGES = text("""
    WITH front AS MATERIALIZED (
        SELECT queue.* FROM (SELECT DISTINCT capability FROM models) AS known, LATERAL (
            SELECT job_id, stage, capability, rank, state,
                row_number() OVER (ORDER BY rank) AS place
            FROM stages
            WHERE stages.capability = known.capability AND state = 'ready'
            ORDER BY rank LIMIT :most
        ) AS queue
        WHERE place <= :heads OR place % :every = 0
        UNION ALL
        (
            SELECT job_id, stage, capability, rank, state, 0 FROM stages
            WHERE state = 'running' ORDER BY job_id, stage LIMIT :most_running
        )
    )
    SELECT front.capability, front.rank, front.place, jobs.megapixels,
        CASE WHEN behind.is_first THEN behind.waiting END AS waiting
    FROM front, LATERAL (
        SELECT megapixels FROM jobs WHERE id = front.job_id LIMIT 1
    ) AS jobs, LATERAL (
        SELECT array_agg(other.capability) FILTER (WHERE other.state = 'waiting') AS waiting,
            NOT bool_or(
                other.state IN ('ready', 'running')
                AND array_position(CAST(:order AS text[]), other.stage)
                    < array_position(CAST(:order AS text[]), front.stage)
            ) AS is_first
        FROM stages AS other WHERE other.job_id = front.job_id
    ) AS behind
""")
_ARRIVALS = text("""
    WITH recent AS MATERIALIZED (
        SELECT id, tenant, recipe ->> 'priority' AS priority FROM jobs
        WHERE id >= :since ORDER BY id DESC LIMIT :most
    )
    SELECT recent.tenant, recent.priority, stages.capability, count(*) AS jobs,
        (SELECT CAST(min(CAST(id AS text)) AS uuid) FROM recent) AS first
    FROM recent, LATERAL (
        SELECT capability FROM stages WHERE job_id = recent.id LIMIT :most_stages
    ) AS stages
    GROUP BY recent.tenant, recent.priority, stages.capability
""")
_VIRTUAL_TIME = text("SELECT virtual_time FROM sweeper")


@dataclass(frozen=True, slots=True)
class Pool:
    """Workers that serve the same set of capabilities; threads: of all of them together."""

    capabilities: frozenset[Capability]
    threads: int


@dataclass(frozen=True, slots=True)
class ReadyQueue:
    """The ready stages of a capability in claim order, thinned out.

    ranks: of the stages at `places`, which count from 1; the others lie between them.
    """

    ranks: Sequence[float] = ()
    places: Sequence[int] = ()

    def ahead(self, rank: float) -> int:
        """Return the number of stages before this rank; a lower bound beyond MAX_COUNTED."""
        index = bisect_left(self.ranks, rank)
        return self.places[index - 1] if index else 0


@dataclass(frozen=True, slots=True)
class SampledStage:
    """A ready or running stage, with the later stages of its job.

    behind: capabilities of the job's waiting stages.
    weight: number of stages that this sample stands for.
    """

    capability: Capability
    rank: float
    megapixels: float
    behind: tuple[Capability, ...] = ()
    weight: float = 1.0

    @property
    def steps(self) -> tuple[Capability, ...]:
        """The capabilities of this stage and of the later ones."""
        return (self.capability, *self.behind)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The recent arrivals of a tenant with one priority; rates: stages per second by capability."""

    tenant: Tenant
    priority: Priority
    rates: Mapping[Capability, float]


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """The state of queues and workers at one moment.

    waiting: a sample of the ready stages.  running: the running stages.
    virtual_time: on the scale of ranks (queue/fair_queueing.py).
    paused: capabilities that are not claimed from until an operator resumes them.
    """

    virtual_time: float = 0.0
    pools: Sequence[Pool] = ()
    paces: Mapping[Capability, StageTime] = field(default_factory=dict)
    queues: Mapping[Capability, ReadyQueue] = field(default_factory=dict)
    waiting: Sequence[SampledStage] = ()
    running: Sequence[SampledStage] = ()
    arrivals: Sequence[Arrivals] = ()
    foresight: Mapping[Priority, Calibration] = field(default_factory=dict)
    paused: frozenset[Capability] = frozenset()

    def pace(self, capability: Capability) -> StageTime:
        """Return the stage time of a capability, or the default when it was never measured."""
        return self.paces.get(capability) or StageTime()

    def cost(
        self, steps: Iterable[Capability], megapixels: float, among: frozenset[Capability]
    ) -> Duration:
        """Return the duration of those stages of a photo that are among these capabilities."""
        return sum(
            (
                self.pace(capability).duration(megapixels)
                for capability in steps
                if capability in among
            ),
            start=Duration(),
        )

    def threads(self, capabilities: frozenset[Capability]) -> int:
        """Return the number of threads that serve any of these, at least 1."""
        serving = sum(pool.threads for pool in self.pools if pool.capabilities & capabilities)
        return max(1, serving)

    def serves(self, capability: Capability) -> bool:
        """Return whether a live worker serves a capability."""
        return any(capability in pool.capabilities for pool in self.pools)


def read_snapshot(
    connection: Connection, *, silent_seconds: float, now: dt.datetime
) -> QueueSnapshot:
    """Read and return the queue snapshot.

    now: by the clock that job ids are made with.
    """
    rows = connection.execute(_POOLS, {"silent_seconds": silent_seconds})
    pools = [Pool(frozenset(map(Capability, row.capabilities)), row.threads) for row in rows]
    queue_rows = connection.execute(_QUEUES, {"most": MAX_COUNTED, "exact": _EXACT, "step": _STEP})
    queues = {Capability(row.capability): ReadyQueue(row.ranks, row.places) for row in queue_rows}
    waiting, running = _sample_stages(connection)
    return QueueSnapshot(
        virtual_time=connection.execute(_VIRTUAL_TIME).scalar_one(),
        pools=pools,
        paces=stage_times.read_stage_times(connection),
        queues=queues,
        waiting=waiting,
        running=running,
        arrivals=_arrivals(connection, now),
        foresight=calibration.read_calibrations(connection),
        paused=heads.list_paused(connection),
    )


def _sample_stages(connection: Connection) -> tuple[list[SampledStage], list[SampledStage]]:
    waiting: list[SampledStage] = []
    running: list[SampledStage] = []
    rows = connection.execute(
        _SAMPLE_STAGES,
        {
            "most": MAX_COUNTED,
            "heads": _HEADS,
            "every": _EVERY,
            "most_running": _MAX_RUNNING,
            "order": [str(stage.name) for stage in PIPELINE],
        },
    )
    for row in rows:
        sampled = SampledStage(
            Capability(row.capability),
            row.rank,
            row.megapixels or 0.0,
            tuple(map(Capability, row.waiting or ())),
            float(_EVERY) if row.place > _HEADS else 1.0,
        )
        (waiting if row.place else running).append(sampled)
    return waiting, running


def _arrivals(connection: Connection, now: dt.datetime) -> list[Arrivals]:
    since = now - dt.timedelta(seconds=ARRIVALS_WINDOW_SECONDS)
    where = {"since": first_id(since), "most": _MAX_ARRIVALS, "most_stages": len(PIPELINE)}
    rows = connection.execute(_ARRIVALS, where).all()
    grouped: dict[tuple[Tenant, Priority], dict[Capability, float]] = {}
    for row in rows:
        seconds = max((now - _created_at(row.first)).total_seconds(), _MIN_ARRIVALS_SECONDS)
        rates = grouped.setdefault((Tenant(row.tenant), Priority(row.priority)), {})
        rates[Capability(row.capability)] = row.jobs / seconds
    return [Arrivals(tenant, priority, rates) for (tenant, priority), rates in grouped.items()]


def _created_at(job_id: uuid.UUID) -> dt.datetime:
    return dt.datetime.fromtimestamp((job_id.int >> 80) / 1000, tz=dt.UTC)
