"""The turns of a worker: its threads, and the poll of the database that starts turns.

A worker finds ready work from the database alone. About once a second, or half as often next to an
idle worker that looks for the same, it looks whether anything is ready in its capabilities, and
starts a turn in each of its free threads if so. A ring starts a
turn at once, in the same threads. So a broker only makes workers faster.
"""

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, ParamSpec

from sqlalchemy import Engine

from smart_filter_shared.queue import heads
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_workers.runtime import runner
from smart_filter_workers.runtime.context import WorkerContext

Given = ParamSpec("Given")

# A stage that one worker looks for waits half of it on average, and at most a tenth more than it.
POLL_SECONDS: Final = 1.1
# Next to other idle workers. Of two, one looks every 1.1 s, so a stage waits 0.7 s on average; the
# last of many stages that become ready at once waits that pause at most (benchmarks/polling.py).
SHARED_POLL_SECONDS: Final = 2.2
# Empty polls in a row, about ten seconds, after which a worker returns memory to the system: after
# photos of 4 MP that is 270 of 690 MB. The next photo takes these pages again, in 0.1 s.
IDLE_POLLS: Final = 9
# Share of the pause, so that the polls of many workers do not fall together.
_SPREAD: Final = 0.1


class Turns:
    """The threads of a process that run turns, at most `threads` at a time; safe for threads.

    engine: the connections that polls use.  give_back: called once when the worker becomes idle.
    """

    def __init__(
        self,
        context: WorkerContext,
        engine: Engine,
        threads: int,
        give_back: Callable[[], None] = lambda: None,
    ) -> None:
        self._context = context
        self._give_back = give_back
        self._threads = threads
        self._idle_polls = 0  # in a row, since the last turn
        self._poll = heads.ReadyPoll(engine)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="Turn")
        self._free = threads
        self._lock = threading.Lock()
        self._steps = SupervisedLoop("turn", every_seconds=0.0, most_failures=None)

    @property
    def threads(self) -> int:
        """The number of threads that have run a turn."""
        return len(self._executor._threads)  # noqa: SLF001 - as Celery's own pool counts them

    @property
    def pause_seconds(self) -> float:
        """The time between two polls."""
        return SHARED_POLL_SECONDS if self._context.heartbeat.has_peer else POLL_SECONDS

    def submit(
        self, function: Callable[Given, None], *args: Given.args, **options: Given.kwargs
    ) -> "Future[None]":
        """Call a function that takes a turn, in a thread, as soon as one is free."""
        future = self._executor.submit(function, *args, **options)
        with self._lock:
            self._free -= 1
            self._idle_polls = 0
        future.add_done_callback(self._release)
        return future

    def take(self) -> None:
        """Run a turn in this thread; its errors are logged and end here."""
        with self._steps.step():
            runner.run_turn(self._context)

    def look(self) -> int:
        """Start a turn in each free thread if anything is ready; return how many were started.

        One query without a transaction, on a connection that is held.
        Raises DatabaseUnavailable.
        """
        with self._lock:
            free = max(0, self._free)
        served = self._context.serving.capabilities
        if not free or not served or self._context.draining.is_set():
            return 0
        if not self._poll.is_any_ready(served):
            self._context.heartbeat.note_empty_poll()
            self._idle_polls += free == self._threads
            if self._idle_polls == IDLE_POLLS:
                self._give_back()
            return 0
        for _ in range(free):
            self.submit(self.take)
        return free

    def run(self, stopping: threading.Event) -> None:
        """Look about once a second until `stopping` is set.

        Raises the last of too many errors in a row.
        """
        looks = SupervisedLoop("poll", every_seconds=POLL_SECONDS)
        while not stopping.wait(
            draw_pause(looks.pause_seconds if looks.is_failing else self.pause_seconds)
        ):
            with looks.step():
                self.look()

    def close(self) -> None:
        """Wait until the turns under way have ended; turns that wait for a thread are dropped."""
        self._executor.shutdown(cancel_futures=True)
        self._poll.close()

    def _release(self, _: "Future[None]") -> None:
        with self._lock:
            self._free += 1


def draw_pause(seconds: float) -> float:
    """Return the seconds until the next poll, about `seconds`."""
    return seconds * random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 - spreads load only
