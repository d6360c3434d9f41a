"""Keep one thread of a process free for stages that are expected to be quick.

A running stage is not interrupted. So one tenant's photos of 49 megapixels, or its addresses that
answer slowly, could hold all threads of a process, and the stages of others waited for a thread
although their turn had come. A tenant is quick when stages of it have run here in the last ten
minutes, and none of them took long; of a tenant that is unknown, photos that are not large are
quick. All other stages together get all threads but one; where no tenant is quick, they get that
one, too.
"""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from smart_filter_shared.ids import Tenant
from smart_filter_shared.queue.heads import QuickOnly
from smart_filter_workers.decoder.time_limits import ORDINARY_MEGAPIXELS

# A stage of a 12 MP photo takes less than a second on a core.
_LONG_SECONDS: Final = 2.0
# On a busy machine all stages take long: then a stage is long that exceeds this multiple of the
# mean of the tenant with the quickest stages.
_LONG_FACTOR: Final = 4.0
# Weight of a tenant's last stage in its mean.
_MEAN_WEIGHT: Final = 0.2
_REMEMBERED_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class _Work:
    """A batch that a thread runs.  begun_at: on the monotonic clock."""

    tenants: frozenset[Tenant]
    photos: int
    begun_at: float

    def seconds_each(self, now: float, *, loading_seconds: float = 0.0) -> float:
        """Return a photo's share of the time since the beginning."""
        return (now - self.begun_at - loading_seconds) / self.photos


class ThreadShare:
    """Which tenants' stages each thread of a process may claim; safe for threads.

    threads: how many run stages.  With a single one nothing is reserved.
    list_slow: returns the tenants whose pictures take long at the decoder.
    """

    def __init__(self, threads: int, *, list_slow: Callable[[], Collection[Tenant]]) -> None:
        self._most = max(1, threads - 1)
        self._list_slow = list_slow
        # When a tenant's last stage ended, on the monotonic clock: of the last minutes only, so
        # there are no more tenants than stages fit into them.
        self._served: dict[Tenant, float] = {}
        self._longest: dict[Tenant, tuple[float, float]] = {}  # seconds of a photo, and its end
        self._means: dict[Tenant, float] = {}  # seconds of a photo
        self._works: dict[int, _Work] = {}  # by thread
        self._claiming: set[int] = set()  # threads that may claim stages of any tenant now
        self._lock = threading.Lock()

    def begin_claim(self) -> QuickOnly | None:
        """Return which stages this thread may claim now; None: all."""
        me, now = threading.get_ident(), time.monotonic()
        slow = set(self._list_slow())
        with self._lock:
            self._claiming.discard(me)
            slow |= self._list_long(now)
            quick = self._served.keys() - slow
            if not quick:
                return None
            others = [work for thread, work in self._works.items() if thread != me]
            held = sum(not work.tenants <= quick for work in others)
            if held + len(self._claiming) >= self._most:
                return QuickOnly(tuple(sorted(quick)), tuple(sorted(slow)), ORDINARY_MEGAPIXELS)
            self._claiming.add(me)
            return None

    def end_claim(self) -> None:
        """Forget this thread's claim: it has found nothing, or its batch begins."""
        with self._lock:
            self._claiming.discard(threading.get_ident())

    def begin_work(self, tenants: Collection[Tenant], *, photos: int) -> None:
        """Note the batch that this thread runs, instead of its claim."""
        me = threading.get_ident()
        with self._lock:
            self._claiming.discard(me)
            self._works[me] = _Work(frozenset(tenants), photos, time.monotonic())

    def end_work(self, *, loading_seconds: float) -> None:
        """Note how long this thread's batch took, without the time to load models."""
        now = time.monotonic()
        with self._lock:
            work = self._works.pop(threading.get_ident(), None)
            if work is None:
                return
            seconds = work.seconds_each(now, loading_seconds=loading_seconds)
            for tenant in work.tenants:
                self._served[tenant] = now
                if seconds >= self._longest.get(tenant, (0.0, now))[0]:
                    self._longest[tenant] = seconds, now
                mean = self._means.get(tenant, seconds)
                self._means[tenant] = mean + _MEAN_WEIGHT * (seconds - mean)

    def _list_long(self, now: float) -> set[Tenant]:
        """Return the tenants with long stages; drop those whose stages ended long ago."""
        oldest = now - _REMEMBERED_SECONDS
        self._served = {name: then for name, then in self._served.items() if then >= oldest}
        self._longest = {name: each for name, each in self._longest.items() if each[1] >= oldest}
        self._means = {name: self._means[name] for name in self._served}
        bound = self._long_seconds()
        running = (work for work in self._works.values() if work.seconds_each(now) > bound)
        long = {tenant for tenant, (seconds, _) in self._longest.items() if seconds > bound}
        return long.union(*(work.tenants for work in running))

    def _long_seconds(self) -> float:
        """Return the time from which on a stage is long."""
        return max(_LONG_SECONDS, _LONG_FACTOR * min(self._means.values(), default=0.0))
