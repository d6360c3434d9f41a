"""What is ahead of a rank, added up beforehand: a forecast then costs the same for everybody.

For each set of capabilities that may hold a job up, the work of the outlook is summed by rank
once; whoever asks looks up two sums. Jobs that come after the outlook was taken are added.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from smart_filter_shared.ids import Capability, Tenant
from smart_filter_shared.jobs.fairness import HEAD_START_SECONDS
from smart_filter_shared.jobs.outlook import Outlook, Queue, Work
from smart_filter_shared.jobs.paces import Span
from smart_filter_shared.recipe import Priority

Some = frozenset[Capability]

# So much of the threads what overtakes may seem to take: arrivals come in bursts.
_MOST_OVERTAKING: Final = 0.85
# Ranks that differ by less are taken in any order.
_SAME_RANK: Final = 1e-9
# Jobs of which what they take by themselves is kept: photos differ in their megapixels.
_MOST_SHAPES: Final = 1000


@dataclass(frozen=True, slots=True)
class Overtaking:
    """What comes later and goes before a job.

    load: the share of all threads that it takes.  squares: those of its jobs, in seconds of all
    threads, added up over a second.
    """

    load: float = 0.0
    squares: float = 0.0

    def __add__(self, more: "Overtaking") -> "Overtaking":
        """Return both together."""
        return Overtaking(self.load + more.load, self.squares + more.squares)

    def __sub__(self, less: "Overtaking") -> "Overtaking":
        """Return it without some of it."""
        return Overtaking(self.load - less.load, self.squares - less.squares)


class Ahead:
    """An outlook, added up; jobs that are accepted later are added to it."""

    def __init__(self, outlook: Outlook) -> None:
        self.outlook = outlook
        self._sums: dict[Some, _Sums] = {}
        self._linked = _linked(outlook)
        self._bottlenecks: dict[Some, list[Some]] = {}
        self._overtaking: dict[Hashable, Overtaking] = {}
        self._own: dict[Hashable, Span] = {}
        self._costs: dict[Hashable, Span] = {}
        self._added: list[Work] = []
        self._ranks: dict[Capability, list[float]] = defaultdict(list)

    def add(self, work: Work) -> None:
        """Let a job count that has come since."""
        self._added.append(work)
        insort(self._ranks[work.capability], work.rank)
        for some, sums in self._sums.items():
            sums.add(work.rank, self._cost(work, some))

    def added_since(self, count: int) -> list[Work]:
        """Return what was added after so many."""
        return self._added[count:]

    @property
    def added(self) -> int:
        """How many jobs were added."""
        return len(self._added)

    def rows(self, capability: Capability, rank: float) -> int:
        """Return how many rows of a queue are claimed before this rank."""
        queue = self.outlook.queues.get(capability)
        known = 0 if queue is None else queue.ahead(rank)
        return known + bisect_left(self._ranks.get(capability, ()), rank)

    def bottlenecks(self, wanted: Some) -> list[Some]:
        """Return sets of capabilities each of which may be what holds a job up.

        Each alone, and all that share threads, directly or by others: what is ahead in such a
        set is done by the threads that serve any of it, and by no others.
        """
        if wanted not in self._bottlenecks:
            self._bottlenecks[wanted] = [frozenset([one]) for one in sorted(wanted)] + [
                one for one in self._linked if one & wanted
            ]
        return self._bottlenecks[wanted]

    def shared(self, capability: Capability) -> Some:
        """Return all capabilities that share threads with this one, directly or by others."""
        return next((one for one in self._linked if capability in one), frozenset([capability]))

    def work(self, some: Some, rank: float) -> Span:
        """Return what of these is done before a rank, in seconds of a thread.

        Nothing when a thread is free for it at once.
        """
        return self._of(some).work(rank, self.outlook.threads(some))

    def overtaking(self, some: Some, tenant: Tenant, priority: Priority, rank: float) -> Overtaking:
        """Return what of these goes before a job that is here, though it comes later."""
        asked = (some, tenant, priority, self.passing(rank))
        known = self._overtaking.get(asked)
        if known is None:
            known = self._overtaking[asked] = self._overtaken(*asked)
        return known

    def passing(self, rank: float) -> tuple[Priority, ...]:
        """Return the priorities with which what comes now goes before a rank."""
        now = self.outlook.virtual_time
        return tuple(
            group for group, ahead in HEAD_START_SECONDS.items() if now - ahead < rank - _SAME_RANK
        )

    def own(self, shape: Hashable, reckon: Callable[[], Span]) -> Span:
        """Return what is known to be the own time of jobs of one shape, or reckon it."""
        return _known(self._own, shape, reckon)

    def _overtaken(
        self, some: Some, tenant: Tenant, priority: Priority, passing: Sequence[Priority]
    ) -> Overtaking:
        sums = self._of(some)
        total = Overtaking()
        for group, ahead in HEAD_START_SECONDS.items():
            own = sums.own.get((tenant, group), Overtaking())
            if ahead > HEAD_START_SECONDS[priority]:
                total += own
            if group in passing:
                total += sums.arrivals.get(group, Overtaking()) - own
        return Overtaking(min(max(total.load, 0.0), _MOST_OVERTAKING), max(total.squares, 0.0))

    def _cost(self, work: Work, some: Some) -> Span:
        """Return what work takes of these; much of it is alike."""
        asked = (work.capability, work.behind, work.megapixels, some)
        return _known(self._costs, asked, lambda: _cost(self.outlook, work, some))

    def _of(self, some: Some) -> "_Sums":
        if some not in self._sums:
            made = _sums(self.outlook, some)
            for work in self._added:
                made.add(work.rank, self._cost(work, some))
            self._sums[some] = made
        return self._sums[some]


@dataclass(frozen=True, slots=True)
class _Costs:
    """Costs by rank: how many, their means and their second moments, each added up so far."""

    ranks: Sequence[float]
    weights: Sequence[float]
    means: Sequence[float]
    squares: Sequence[float]

    def of(self, rows: int, rank: float) -> Span:
        """Return what so many rows take, judged by those known of before this rank."""
        # Where none of them was looked at, by all that were.
        index = (bisect_left(self.ranks, rank) or len(self.ranks)) - 1
        if not rows or index < 0:
            return Span()
        mean = self.means[index] / self.weights[index]
        square = self.squares[index] / self.weights[index]
        return Span(rows * mean, rows * max(0.0, square - mean**2))


class _Ranked:
    """Times by rank; those before a rank are added up beforehand."""

    def __init__(self) -> None:
        self._ranks: list[float] = []
        self._spans: list[Span] = []
        # Of so many of the first ones.
        self._totals: list[Span] = [Span()]

    def add(self, rank: float, span: Span) -> None:
        index = bisect_left(self._ranks, rank)
        self._ranks.insert(index, rank)
        self._spans.insert(index, span)
        del self._totals[index + 1 :]

    def before(self, rank: float) -> Span:
        index = bisect_left(self._ranks, rank)
        for span in self._spans[len(self._totals) - 1 : index]:
            self._totals.append(self._totals[-1] + span)
        return self._totals[index]


@dataclass(slots=True)
class _Sums:
    """All that is known of one set of capabilities."""

    queues: list[tuple[Queue, _Costs]]
    busy: int
    left: Span
    behind: _Ranked
    arrivals: dict[Priority, Overtaking]
    own: dict[tuple[Tenant, Priority], Overtaking]
    added: _Ranked = field(default_factory=_Ranked)

    def add(self, rank: float, cost: Span) -> None:
        if cost.mean:
            self.added.add(rank, cost)

    def work(self, rank: float, threads: int) -> Span:
        queued = self.added.before(rank)
        for queue, costs in self.queues:
            queued += costs.of(queue.ahead(rank), rank)
        if not queued.mean and self.busy < threads:
            return Span()
        return queued + self.left + self.behind.before(rank)


def _sums(outlook: Outlook, some: Some) -> _Sums:
    by_queue: dict[Capability, list[Work]] = defaultdict(list)
    for work in outlook.waiting:
        by_queue[work.capability].append(work)
    queues = [
        (queue, _costs(outlook, by_queue[capability], some))
        for capability, queue in outlook.queues.items()
    ]
    running = [work for work in outlook.running if work.capability in some]
    behind = _Ranked()
    for work in outlook.running:
        cost = _behind(outlook, work, some)
        if cost.mean:
            behind.add(work.rank, cost)
    own: dict[tuple[Tenant, Priority], Overtaking] = defaultdict(Overtaking)
    arrivals: dict[Priority, Overtaking] = defaultdict(Overtaking)
    threads = outlook.threads(some)
    for group in outlook.arrivals:
        rates = {one: rate for one, rate in group.rates.items() if one in some}
        if rates:
            share = sum(outlook.pace(one).of(None).mean * rate for one, rate in rates.items())
            load = share / threads
            # Of jobs of all sizes the squares are about twice the square of the mean.
            one = Overtaking(load, 2 * load**2 / max(rates.values()))
            own[group.tenant, group.priority] += one
            arrivals[group.priority] += one
    return _Sums(
        queues=[pair for pair in queues if pair[1].means and pair[1].means[-1]],
        busy=len(running),
        left=_sum(_left(outlook, work) for work in running),
        behind=behind,
        arrivals=dict(arrivals),
        own=dict(own),
    )


def _costs(outlook: Outlook, works: Iterable[Work], some: Some) -> _Costs:
    ordered = sorted(works, key=lambda work: work.rank)
    costs = [(work.weight, _cost(outlook, work, some)) for work in ordered]
    return _Costs(
        ranks=[work.rank for work in ordered],
        weights=list(accumulate(weight for weight, _ in costs)),
        means=list(accumulate(weight * cost.mean for weight, cost in costs)),
        squares=list(accumulate(weight * (cost.variance + cost.mean**2) for weight, cost in costs)),
    )


def _known(kept: dict[Hashable, Span], asked: Hashable, reckon: Callable[[], Span]) -> Span:
    known = kept.get(asked)
    if known is None:
        if len(kept) >= _MOST_SHAPES:
            kept.clear()
        known = kept[asked] = reckon()
    return known


def _linked(outlook: Outlook) -> list[Some]:
    linked: list[Some] = []
    for pool in outlook.pools:
        touching = [one for one in linked if one & pool.capabilities]
        linked = [one for one in linked if one not in touching]
        linked.append(pool.capabilities.union(*touching))
    return linked


def _cost(outlook: Outlook, work: Work, some: Some) -> Span:
    here = outlook.pace(work.capability).of(work.megapixels)
    return (here if work.capability in some else Span()) + _behind(outlook, work, some)


def _behind(outlook: Outlook, work: Work, some: Some) -> Span:
    return _sum(outlook.pace(one).of(work.megapixels) for one in work.behind if one in some)


def _left(outlook: Outlook, work: Work) -> Span:
    return outlook.pace(work.capability).of(work.megapixels).left()


def _sum(spans: Iterable[Span]) -> Span:
    return sum(spans, start=Span())
