"""Keep one thread of a process free of the tenants whose stages take long.

A running stage is not interrupted. So one tenant's photos of 49 megapixels, or its addresses that
answer slowly, could hold all threads of a process, and the stages of others waited for a thread
although their turn had come. Tenants with long stages together get all threads but one; they get
that one, too, when no other tenant has been served for ten minutes.
"""

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from smart_filter_shared.ids import Tenant

# A stage of a 12 MP photo takes less than a second on a core.
_LONG_SECONDS: Final = 2.0
_REMEMBERED_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class _Work:
    """A batch that a thread runs.  begun_at: on the monotonic clock."""

    tenants: frozenset[Tenant]
    photos: int
    begun_at: float

    def is_long(self, now: float, *, loading_seconds: float = 0.0) -> bool:
        """Return whether a photo's share of the time since the beginning is long."""
        return (now - self.begun_at - loading_seconds) / self.photos > _LONG_SECONDS


class ThreadShare:
    """Which tenants' stages each thread of a process may claim; safe for threads.

    threads: how many run stages.  With a single one nothing is reserved.
    """

    def __init__(self, threads: int) -> None:
        self._most = max(1, threads - 1)
        # When a tenant's last stage ended, and its last long one, on the monotonic clock: of the
        # last minutes only, so there are no more tenants than stages fit into them.
        self._served: dict[Tenant, float] = {}
        self._long: dict[Tenant, float] = {}
        self._works: dict[int, _Work] = {}  # by thread
        self._claiming: set[int] = set()  # threads that may claim long stages now
        self._lock = threading.Lock()

    def begin_claim(self) -> list[Tenant]:
        """Return the tenants whose stages this thread must not claim now."""
        me, now = threading.get_ident(), time.monotonic()
        with self._lock:
            self._claiming.discard(me)
            tenants = _forget(self._long, now)
            tenants.update(*(share.tenants for share in self._works.values() if share.is_long(now)))
            others = [work for thread, work in self._works.items() if thread != me]
            if _forget(self._served, now) <= tenants:
                return []  # no other tenant comes here
            held = sum(not tenants.isdisjoint(work.tenants) for work in others)
            if held + len(self._claiming) >= self._most:
                return sorted(tenants)
            self._claiming.add(me)
            return []

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
            self._served.update(dict.fromkeys(work.tenants, now))
            if work.is_long(now, loading_seconds=loading_seconds):
                self._long.update(dict.fromkeys(work.tenants, now))


def _forget(ended_at: dict[Tenant, float], now: float) -> set[Tenant]:
    """Drop the tenants whose stages ended long ago; return the others."""
    for tenant in [idle for idle, then in ended_at.items() if now - then > _REMEMBERED_SECONDS]:
        del ended_at[tenant]
    return set(ended_at)
