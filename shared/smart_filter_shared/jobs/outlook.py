"""The outlook: queues, workers, paces and arrivals as they are now, which forecasts go by.

Reading it costs the same however many wait and however long the queues are: each ready queue
is counted to MOST_COUNTED, and what its jobs still need is read of some of them, evenly spread.
"""

import datetime as dt
import uuid
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from smart_filter_shared.ids import Capability, Tenant
from smart_filter_shared.jobs import foresight, paces, pauses
from smart_filter_shared.jobs.foresight import Foresight
from smart_filter_shared.jobs.paces import Pace
from smart_filter_shared.pipeline import PIPELINE
from smart_filter_shared.recipe import Priority

# Positions are exact up to the first, then by steps, and "at least" from the last.
_EXACT = 1000
_STEP = 100
MOST_COUNTED = 10_000
# Of which the remaining stages are read: the first ones, and every so many-th.
_HEADS = 32
_EVERY = 250
_MOST_RUNNING = 500
# What arrived lately: of so many seconds, or so many jobs.
ARRIVALS_SECONDS = 60.0
_LEAST_ARRIVALS_SECONDS = 10.0
_MOST_ARRIVALS = 300

_POOLS = text("""
    SELECT capabilities, sum(threads) AS threads FROM workers
    WHERE seen_at >= statement_timestamp() - make_interval(secs => :silent_seconds)
    GROUP BY capabilities
""")
_QUEUES = text("""
    SELECT known.capability, array_agg(rank ORDER BY place) AS ranks,
        array_agg(place ORDER BY place) AS places
    FROM (SELECT DISTINCT capability FROM models) AS known, LATERAL (
        SELECT rank, row_number() OVER (ORDER BY rank) AS place FROM open_stages AS stages
        WHERE stages.capability = known.capability AND state = 'ready'
        ORDER BY rank LIMIT :most
    ) AS queue
    WHERE place <= :exact OR place % :step = 0
    GROUP BY known.capability
""")
# What a job needs beside is told with that stage of it which comes first in the pipeline.
_FRONT = text("""
    WITH front AS MATERIALIZED (
        SELECT queue.* FROM (SELECT DISTINCT capability FROM models) AS known, LATERAL (
            SELECT job_id, stage, capability, rank, state,
                row_number() OVER (ORDER BY rank) AS place
            FROM open_stages AS stages
            WHERE stages.capability = known.capability AND state = 'ready'
            ORDER BY rank LIMIT :most
        ) AS queue
        WHERE place <= :heads OR place % :every = 0
        UNION ALL
        (
            SELECT job_id, stage, capability, rank, state, 0 FROM open_stages
            WHERE state = 'running' ORDER BY job_id, stage LIMIT :most_running
        )
    )
    SELECT front.capability, front.rank, front.place, jobs.megapixels,
        CASE WHEN behind.is_first THEN behind.waiting END AS waiting
    FROM front JOIN open_jobs AS jobs ON jobs.id = front.job_id, LATERAL (
        SELECT array_agg(other.capability) FILTER (WHERE other.state = 'waiting') AS waiting,
            NOT bool_or(
                other.state IN ('ready', 'running')
                AND array_position(CAST(:order AS text[]), other.stage)
                    < array_position(CAST(:order AS text[]), front.stage)
            ) AS is_first
        FROM open_stages AS other WHERE other.job_id = front.job_id
    ) AS behind
""")
_ARRIVALS = text("""
    WITH recent AS MATERIALIZED (
        SELECT id, tenant, recipe ->> 'priority' AS priority FROM jobs
        WHERE id >= :since ORDER BY id DESC LIMIT :most
    )
    SELECT recent.tenant, recent.priority, stages.capability, count(*) AS jobs,
        (SELECT CAST(min(CAST(id AS text)) AS uuid) FROM recent) AS first
    FROM recent JOIN stages ON stages.job_id = recent.id AND stages.job_id >= :since
    GROUP BY recent.tenant, recent.priority, stages.capability
""")
_VIRTUAL_TIME = text("SELECT virtual_time FROM cells WHERE name = :cell")


@dataclass(frozen=True, slots=True)
class Pool:
    """Workers that serve the same capabilities, and their threads together."""

    capabilities: frozenset[Capability]
    threads: int


@dataclass(frozen=True, slots=True)
class Queue:
    """The ready stages of a capability, in the order in which they will be claimed.

    ranks: of those at `places`, 1 the first; the others lie between them.
    """

    ranks: Sequence[float] = ()
    places: Sequence[int] = ()

    def ahead(self, rank: float) -> int:
        """Return how many are claimed before this rank; beyond what is counted: at least."""
        index = bisect_left(self.ranks, rank)
        return self.places[index - 1] if index else 0


@dataclass(frozen=True, slots=True)
class Work:
    """A stage that is ready or runs, and what its job needs beside.

    behind: capabilities of the stages that wait.  weight: how many such it stands for.
    """

    capability: Capability
    rank: float
    megapixels: float
    behind: tuple[Capability, ...] = ()
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Jobs of a tenant and a priority that came lately: stages a second, by capability."""

    tenant: Tenant
    priority: Priority
    rates: Mapping[Capability, float]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What forecasts go by.

    waiting: of the ready queues, some of the work in them.  running: what runs.
    virtual_time: how far the queues have come, as ranks count.
    paused: capabilities that nobody claims from until an operator says so.
    """

    virtual_time: float = 0.0
    pools: Sequence[Pool] = ()
    paces: Mapping[Capability, Pace] = field(default_factory=dict)
    queues: Mapping[Capability, Queue] = field(default_factory=dict)
    waiting: Sequence[Work] = ()
    running: Sequence[Work] = ()
    arrivals: Sequence[Arrivals] = ()
    foresight: Mapping[Priority, Foresight] = field(default_factory=dict)
    paused: frozenset[Capability] = frozenset()

    def pace(self, capability: Capability) -> Pace:
        """Return what a stage of a capability takes, as far as is known."""
        return self.paces.get(capability) or Pace()

    def threads(self, capabilities: frozenset[Capability]) -> int:
        """Return how many threads serve any of these; as if one came where there is none."""
        serving = sum(pool.threads for pool in self.pools if pool.capabilities & capabilities)
        return max(1, serving)

    def serves(self, capability: Capability) -> bool:
        """Whether a live worker serves a capability."""
        return any(capability in pool.capabilities for pool in self.pools)


def read(connection: Connection, *, cell: str, silent_seconds: float, now: dt.datetime) -> Outlook:
    """Return how things stand.

    now: by the clock that ids are made by.
    """
    rows = connection.execute(_POOLS, {"silent_seconds": silent_seconds})
    pools = [Pool(frozenset(map(Capability, row.capabilities)), row.threads) for row in rows]
    found = connection.execute(_QUEUES, {"most": MOST_COUNTED, "exact": _EXACT, "step": _STEP})
    queues = {Capability(row.capability): Queue(row.ranks, row.places) for row in found}
    waiting, running = _front(connection)
    return Outlook(
        virtual_time=connection.execute(_VIRTUAL_TIME, {"cell": cell}).scalar_one(),
        pools=pools,
        paces=paces.read(connection),
        queues=queues,
        waiting=waiting,
        running=running,
        arrivals=_arrivals(connection, now),
        foresight=foresight.read(connection),
        paused=pauses.paused(connection),
    )


def _front(connection: Connection) -> tuple[list[Work], list[Work]]:
    waiting: list[Work] = []
    running: list[Work] = []
    rows = connection.execute(
        _FRONT,
        {
            "most": MOST_COUNTED,
            "heads": _HEADS,
            "every": _EVERY,
            "most_running": _MOST_RUNNING,
            "order": [str(stage.name) for stage in PIPELINE],
        },
    )
    for row in rows:
        one = Work(
            Capability(row.capability),
            row.rank,
            row.megapixels or 0.0,
            tuple(map(Capability, row.waiting or ())),
            float(_EVERY) if row.place > _HEADS else 1.0,
        )
        (waiting if row.place else running).append(one)
    return waiting, running


def _arrivals(connection: Connection, now: dt.datetime) -> list[Arrivals]:
    since = now - dt.timedelta(seconds=ARRIVALS_SECONDS)
    rows = connection.execute(_ARRIVALS, {"since": _first_id(since), "most": _MOST_ARRIVALS}).all()
    grouped: dict[tuple[Tenant, Priority], dict[Capability, float]] = {}
    for row in rows:
        seconds = max((now - _made_at(row.first)).total_seconds(), _LEAST_ARRIVALS_SECONDS)
        rates = grouped.setdefault((Tenant(row.tenant), Priority(row.priority)), {})
        rates[Capability(row.capability)] = row.jobs / seconds
    return [Arrivals(tenant, priority, rates) for (tenant, priority), rates in grouped.items()]


def _first_id(moment: dt.datetime) -> uuid.UUID:
    """Return what ids made from then on are above.  Source: RFC 9562, 5.7."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)


def _made_at(job_id: uuid.UUID) -> dt.datetime:
    return dt.datetime.fromtimestamp((job_id.int >> 80) / 1000, tz=dt.UTC)
