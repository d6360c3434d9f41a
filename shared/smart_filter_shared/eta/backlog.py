"""Prefix sums of the work ahead of a rank, so that each estimate costs two lookups.

For each set of capabilities that can delay a job, the work of the snapshot is summed by rank
once. Jobs submitted after the snapshot are added.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from smart_filter_shared.eta.snapshot import (
    MAX_COUNTED,
    QueueSnapshot,
    ReadyQueue,
    SampledStage,
)
from smart_filter_shared.eta.stage_times import Duration
from smart_filter_shared.ids import Capability, Tenant
from smart_filter_shared.priority import Priority
from smart_filter_shared.queue.fair_queueing import HEAD_START_SECONDS

CapabilitySet = frozenset[Capability]

# Cap on the utilization attributed to overtaking jobs: short windows overestimate bursty arrivals.
_MAX_OVERTAKING_LOAD: Final = 0.85
# Ranks closer than this, in model seconds, count as equal.
_RANK_TOLERANCE: Final = 1e-9
# Jobs added to one snapshot: more may be submitted than a snapshot counts while no sweep makes one.
_MAX_ADDED: Final = MAX_COUNTED
# Entries of the duration cache; its keys contain megapixels, so photos add ever new ones.
_MAX_CACHED_SHAPES: Final = 1000


@dataclass(frozen=True, slots=True)
class OvertakingLoad:
    """The load of jobs that arrive later than a job and overtake it.

    load: the share of all threads that they use.
    squares: the sum over the jobs arriving in one second of their squared cost, in seconds of all
    threads.
    """

    load: float = 0.0
    squares: float = 0.0

    def __add__(self, more: "OvertakingLoad") -> "OvertakingLoad":
        """Return the sum of both loads."""
        return OvertakingLoad(self.load + more.load, self.squares + more.squares)

    def __sub__(self, less: "OvertakingLoad") -> "OvertakingLoad":
        """Return the load without a part of it."""
        return OvertakingLoad(self.load - less.load, self.squares - less.squares)


class Backlog:
    """The work of a queue snapshot, summed by rank, plus the jobs submitted since.

    added: the work of those jobs.
    """

    def __init__(self, snapshot: QueueSnapshot) -> None:
        self.snapshot = snapshot
        self.added: list[SampledStage] = []
        self._sums: dict[CapabilitySet, _SetTotals] = {}
        self._linked = _connected_pools(snapshot)
        self._bottlenecks: dict[CapabilitySet, list[CapabilitySet]] = {}
        self._overtaking: dict[Hashable, OvertakingLoad] = {}
        self._durations: dict[Hashable, Duration] = {}
        self._ranks: dict[Capability, list[float]] = defaultdict(list)

    def add(self, work: SampledStage) -> None:
        """Add the work of a job that was submitted after the snapshot."""
        if len(self.added) >= _MAX_ADDED:
            return
        self.added.append(work)
        insort(self._ranks[work.capability], work.rank)
        for some, sums in self._sums.items():
            sums.add(work.rank, self.snapshot.cost(work.steps, work.megapixels, some))

    def rows(self, capability: Capability, rank: float) -> int:
        """Return the number of rows of a queue that are claimed before this rank."""
        queue = self.snapshot.queues.get(capability)
        listed = 0 if queue is None else queue.ahead(rank)
        return listed + bisect_left(self._ranks.get(capability, ()), rank)

    def bottlenecks(self, wanted: CapabilitySet) -> list[CapabilitySet]:
        """Return the sets of capabilities that can be the bottleneck of a job.

        These are each wanted capability alone, and each set that shares threads, directly or
        through others: the work ahead in a set is done only by the threads that serve the set.
        """
        if wanted not in self._bottlenecks:
            self._bottlenecks[wanted] = [frozenset([each]) for each in sorted(wanted)] + [
                pool for pool in self._linked if pool & wanted
            ]
        return self._bottlenecks[wanted]

    def shared(self, capability: Capability) -> CapabilitySet:
        """Return all capabilities that share threads with this one, directly or through others."""
        return next((pool for pool in self._linked if capability in pool), frozenset([capability]))

    def work(self, some: CapabilitySet, rank: float, *, elapsed_seconds: float = 0.0) -> Duration:
        """Return the work in these capabilities ahead of a rank, in thread seconds.

        elapsed_seconds: since the snapshot; its work has run down meanwhile.
        Returns 0 when a thread is free at once.
        """
        threads = self.snapshot.threads(some)
        return self._totals(some).work(rank, threads, done=elapsed_seconds * threads)

    def overtaking(
        self, some: CapabilitySet, tenant: Tenant, priority: Priority, rank: float
    ) -> OvertakingLoad:
        """Return the load in these capabilities of later arrivals that overtake a job."""
        key = (some, tenant, priority, self.passing(rank))
        load = self._overtaking.get(key)
        if load is None:
            load = self._overtaking[key] = self._compute_overtaking_load(*key)
        return load

    def passing(self, rank: float) -> tuple[Priority, ...]:
        """Return the priorities with which a job submitted now overtakes a rank."""
        now = self.snapshot.virtual_time
        return tuple(
            group
            for group, ahead in HEAD_START_SECONDS.items()
            if now - ahead < rank - _RANK_TOLERANCE
        )

    def own_duration(self, shape: Hashable, compute: Callable[[], Duration]) -> Duration:
        """Return the duration of a job's own stages from the cache, or compute it."""
        duration = self._durations.get(shape)
        if duration is None:
            if len(self._durations) >= _MAX_CACHED_SHAPES:
                self._durations.clear()
            duration = self._durations[shape] = compute()
        return duration

    def _compute_overtaking_load(
        self, some: CapabilitySet, tenant: Tenant, priority: Priority, passing: Sequence[Priority]
    ) -> OvertakingLoad:
        sums = self._totals(some)
        total = OvertakingLoad()
        for group, ahead in HEAD_START_SECONDS.items():
            load = sums.own_arrivals.get((tenant, group), OvertakingLoad())
            if ahead > HEAD_START_SECONDS[priority]:
                total += load
            if group in passing:
                total += sums.arrivals.get(group, OvertakingLoad()) - load
        return OvertakingLoad(
            min(max(total.load, 0.0), _MAX_OVERTAKING_LOAD), max(total.squares, 0.0)
        )

    def _totals(self, some: CapabilitySet) -> "_SetTotals":
        if some not in self._sums:
            made = _build_totals(self.snapshot, some)
            for work in self.added:
                made.add(work.rank, self.snapshot.cost(work.steps, work.megapixels, some))
            self._sums[some] = made
        return self._sums[some]


@dataclass(frozen=True, slots=True)
class _CumulativeCosts:
    """Cumulative sums of sampled costs by rank: weights, weighted means and second moments."""

    ranks: Sequence[float]
    weights: Sequence[float]
    means: Sequence[float]
    squares: Sequence[float]

    def sum_rows(self, rows: int, rank: float) -> Duration:
        """Return the cost of a number of rows, from the mean of the samples before this rank."""
        # Without a sample before the rank, the mean of all samples is used.
        index = (bisect_left(self.ranks, rank) or len(self.ranks)) - 1
        if not rows or index < 0:
            return Duration()
        mean = self.means[index] / self.weights[index]
        square = self.squares[index] / self.weights[index]
        return Duration(rows * mean, rows * max(0.0, square - mean**2))


class _PrefixSums:
    """Durations by rank, with cached sums of all durations before a rank."""

    def __init__(self) -> None:
        self._ranks: list[float] = []
        self._spans: list[Duration] = []
        # _totals[n] is the sum of the first n spans; it is extended when needed.
        self._totals: list[Duration] = [Duration()]

    def add(self, rank: float, span: Duration) -> None:
        index = bisect_left(self._ranks, rank)
        self._ranks.insert(index, rank)
        self._spans.insert(index, span)
        del self._totals[index + 1 :]

    def before(self, rank: float) -> Duration:
        index = bisect_left(self._ranks, rank)
        for span in self._spans[len(self._totals) - 1 : index]:
            self._totals.append(self._totals[-1] + span)
        return self._totals[index]


@dataclass(slots=True)
class _SetTotals:
    """The sums of one set of capabilities."""

    queues: list[tuple[ReadyQueue, _CumulativeCosts]]
    busy: int
    left: Duration
    behind: _PrefixSums
    arrivals: dict[Priority, OvertakingLoad]
    own_arrivals: dict[tuple[Tenant, Priority], OvertakingLoad]
    added: _PrefixSums = field(default_factory=_PrefixSums)

    def add(self, rank: float, cost: Duration) -> None:
        if cost.mean:
            self.added.add(rank, cost)

    def work(self, rank: float, threads: int, *, done: float) -> Duration:
        queued = sum(
            (costs.sum_rows(queue.ahead(rank), rank) for queue, costs in self.queues),
            start=Duration(),
        )
        added = self.added.before(rank)
        if not queued.mean and not added.mean and self.busy < threads:
            return Duration()
        listed = queued + self.left + self.behind.before(rank)
        return added + Duration(max(0.0, listed.mean - done), listed.variance)


def _build_totals(snapshot: QueueSnapshot, some: CapabilitySet) -> _SetTotals:
    by_queue: dict[Capability, list[SampledStage]] = defaultdict(list)
    for work in snapshot.waiting:
        by_queue[work.capability].append(work)
    queues = [
        (queue, _accumulate_costs(snapshot, by_queue[capability], some))
        for capability, queue in snapshot.queues.items()
    ]
    running = [work for work in snapshot.running if work.capability in some]
    behind = _PrefixSums()
    for work in snapshot.running:
        cost = snapshot.cost(work.behind, work.megapixels, some)
        if cost.mean:
            behind.add(work.rank, cost)
    own_arrivals: dict[tuple[Tenant, Priority], OvertakingLoad] = defaultdict(OvertakingLoad)
    arrivals: dict[Priority, OvertakingLoad] = defaultdict(OvertakingLoad)
    threads = snapshot.threads(some)
    for group in snapshot.arrivals:
        rates = {capability: rate for capability, rate in group.rates.items() if capability in some}
        if rates:
            share = sum(
                snapshot.pace(capability).duration(None).mean * rate
                for capability, rate in rates.items()
            )
            load = share / threads
            # Job costs vary widely with size: their second moment is about twice the squared mean.
            arriving = OvertakingLoad(load, 2 * load**2 / max(rates.values()))
            own_arrivals[group.tenant, group.priority] += arriving
            arrivals[group.priority] += arriving
    return _SetTotals(
        queues=[pair for pair in queues if pair[1].means and pair[1].means[-1]],
        busy=len(running),
        left=sum(
            (snapshot.pace(work.capability).duration(work.megapixels).left() for work in running),
            start=Duration(),
        ),
        behind=behind,
        arrivals=dict(arrivals),
        own_arrivals=dict(own_arrivals),
    )


def _accumulate_costs(
    snapshot: QueueSnapshot, stages: Iterable[SampledStage], some: CapabilitySet
) -> _CumulativeCosts:
    ordered = sorted(stages, key=lambda work: work.rank)
    costs = [(work.weight, snapshot.cost(work.steps, work.megapixels, some)) for work in ordered]
    return _CumulativeCosts(
        ranks=[work.rank for work in ordered],
        weights=list(accumulate(weight for weight, _ in costs)),
        means=list(accumulate(weight * cost.mean for weight, cost in costs)),
        squares=list(accumulate(weight * (cost.variance + cost.mean**2) for weight, cost in costs)),
    )


def _connected_pools(snapshot: QueueSnapshot) -> list[CapabilitySet]:
    linked: list[CapabilitySet] = []
    for pool in snapshot.pools:
        touching = [pool_set for pool_set in linked if pool_set & pool.capabilities]
        linked = [pool_set for pool_set in linked if pool_set not in touching]
        linked.append(pool.capabilities.union(*touching))
    return linked
