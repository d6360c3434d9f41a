"""Keep one thread of a process free for stages that are expected to be quick.

A running stage is not interrupted. So photos of 49 megapixels, or addresses that answer slowly,
could hold all threads of a process, and the stages of other tenants waited for a thread although
their turn had come. A stage is quick by what is known before it runs: its photo is not large, it
fetches no background, and the decoder knows no slow picture of its tenant. How long earlier stages
took does not count: that tells more about the machine than about a tenant. All other stages
together get all threads but one; while no tenant has quick stages, they get that one, too.
"""

import threading
import time
from collections.abc import Callable, Collection
from typing import Final

from smart_filter_shared.ids import Tenant
from smart_filter_shared.queue.heads import QuickOnly
from smart_filter_workers.decoder.turns import ORDINARY_MEGAPIXELS
from smart_filter_workers.runtime.task import Task

# For so long after its last quick stage, a tenant counts as one that has quick stages.
_REMEMBERED_SECONDS: Final = 600.0


class ThreadShare:
    """Which stages each thread of a process may claim; safe for threads.

    threads: how many run stages.  With a single one nothing is reserved.
    list_slow: returns the tenants whose pictures take long at the decoder.
    """

    def __init__(self, threads: int, *, list_slow: Callable[[], Collection[Tenant]]) -> None:
        self._most = max(1, threads - 1)
        self._list_slow = list_slow
        # When a tenant's last quick stage began, on the monotonic clock: of the last minutes only,
        # so there are no more tenants than stages fit into them.
        self._quick: dict[Tenant, float] = {}
        # What threads do: the tenants of a batch of quick stages; None when it runs another one,
        # or may claim one.
        self._threads: dict[int, frozenset[Tenant] | None] = {}
        self._lock = threading.Lock()

    def begin_claim(self) -> QuickOnly | None:
        """Return which stages this thread may claim now, instead of its batch; None: all."""
        me, oldest = threading.get_ident(), time.monotonic() - _REMEMBERED_SECONDS
        slow = tuple(sorted(self._list_slow()))
        with self._lock:
            self._threads.pop(me, None)
            self._quick = {name: then for name, then in self._quick.items() if then >= oldest}
            quick = self._quick.keys() - slow
            batches = self._threads.values()
            held = sum(tenants is None or not tenants.isdisjoint(slow) for tenants in batches)
            if not quick or held < self._most:
                self._threads[me] = None
                return None
        # Nothing is reserved for a tenant against its own stages.
        alone = tuple(quick) if len(quick) == 1 else ()
        return QuickOnly(alone, slow, ORDINARY_MEGAPIXELS)

    def end_claim(self) -> None:
        """Forget this thread: its claim has found nothing, or its turn ends."""
        with self._lock:
            self._threads.pop(threading.get_ident(), None)

    def begin_work(self, tasks: Collection[Task]) -> None:
        """Note the batch that this thread runs, instead of its claim."""
        quick = [task.job.tenant for task in tasks if _is_quick(task)]
        with self._lock:
            self._quick.update(dict.fromkeys(quick, time.monotonic()))
            is_quick = len(quick) == len(tasks)
            self._threads[threading.get_ident()] = frozenset(quick) if is_quick else None


def _is_quick(task: Task) -> bool:
    """Return whether a task is quick by itself, as QUICK_ROWS does."""
    return (
        task.row is not None
        and 0 < task.row.megapixels <= ORDINARY_MEGAPIXELS
        and not task.fetches_background
    )
