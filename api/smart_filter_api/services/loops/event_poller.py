"""Wake requests that wait for jobs: one poll of the database serves all waiters of the process.

While requests wait, one task polls for new events and wakes the waiters concerned. The cost of a
poll depends on the number of events, not of waiters: two thousand waiters load the database no
more than twenty.

Workers announce the jobs that have succeeded (`end_listener.py`). While all waiters wait for ends
and announcements arrive, polls are rare: they find the other ends, and lost announcements.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio

from smart_filter_shared.ids import JobId
from smart_filter_shared.queue.events import JobChanges
from smart_filter_shared.supervision import SupervisedLoop

# Poll interval, which bounds the delay that it adds for each waiter.
_POLL_SECONDS = 0.03
# Additional pause while ends are announced. A poll costs as much as reading a job: at 33 polls a
# second, eight waiting clients used 8 % of a core here and 2 % in the database.
_ANNOUNCED_PAUSE_SECONDS = 0.5
# Longest pause between failing polls. Each failure wakes all watches, whose requests then read the
# job themselves.
_MAX_PAUSE_SECONDS = 5.0

PollEvents = Callable[[str | None], Awaitable[JobChanges]]


class JobWatch:
    """One waiter for a job; for one task."""

    def __init__(self, *, ends_only: bool) -> None:
        self.ends_only = ends_only
        self._woken = anyio.Event()
        self._ended = anyio.Event()

    def wake(self, *, ends: bool = False) -> None:
        """Let `woken` return; ends: whether an event was an end."""
        self._woken.set()
        if ends:
            self._ended.set()

    async def rest_until(self, time: float) -> None:
        """Wait until a time of the event loop's clock, or the end."""
        with anyio.move_on_at(time):
            await self._ended.wait()

    async def woken(self) -> None:
        """Wait until an event may have happened since the start or the last return."""
        await self._woken.wait()
        self._woken = anyio.Event()


class EventPoller:
    """All watches of one process; for one event loop.

    poll: reads the changes of jobs since a horizon from the database.
    """

    def __init__(self, poll: PollEvents) -> None:
        self._poll = poll
        self._watches: defaultdict[JobId, set[JobWatch]] = defaultdict(set)
        self._first_read = anyio.Event()
        self._followers = 0  # watches that wait for more than ends
        self.wakes = 0  # times that watches were woken, or began when there were none
        self.are_waits_over = False  # whether no request may wait any longer
        self._are_ends_announced = False
        self._hurried = anyio.Event()
        self._looks = SupervisedLoop(
            "news", every_seconds=_POLL_SECONDS, longest_pause_seconds=_MAX_PAUSE_SECONDS
        )

    @contextmanager
    def watch(self, job_id: JobId, *, ends_only: bool = False) -> Iterator[JobWatch]:
        """Watch a job; each event committed from now on wakes the watch.

        ends_only: wake only when the job ends.  Spurious wakes are possible: read the job, then
        wait again.
        """
        if not self._watches:
            self.wakes += 1  # events were not counted without watches
        watch = JobWatch(ends_only=ends_only)
        self._watches[job_id].add(watch)
        self._first_read.set()
        if not ends_only:
            self._followers += 1
            self._hurried.set()
        try:
            yield watch
        finally:
            self._followers -= not ends_only
            self._watches[job_id].discard(watch)
            if not self._watches[job_id]:
                del self._watches[job_id]

    def expect_announcements(self, are_expected: bool) -> None:  # noqa: FBT001 - a state
        """Poll less often while the ends of jobs are announced, else as before."""
        self._are_ends_announced = are_expected
        self._hurried.set()

    def announce(self, job_id: JobId) -> None:
        """Wake the watches of a job that has ended."""
        self.wakes += 1
        for watch in self._watches.get(job_id, ()):
            watch.wake(ends=True)

    def end_waits(self) -> None:
        """Let requests answer with what they know: the server stops."""
        self.are_waits_over = True
        self._wake_all(ends=True)

    async def run(self) -> None:
        """Poll while there are watches, until canceled.

        Raises the last error when too many unexpected ones follow each other.
        """
        while True:
            await self._first_read.wait()
            await self._poll_while_watched()
            self._first_read = anyio.Event()

    async def _poll_while_watched(self) -> None:
        horizon: str | None = None
        while True:
            # Before the first poll too: most jobs end within the pause and need no poll.
            await self._pause()
            if not self._watches:
                return
            with self._looks.step():
                news = await self._poll(horizon)
                if news.is_first:
                    # The first poll misses events committed since the first watch started.
                    self._wake_all()
                self.wakes += bool(news.jobs)
                for job_id, ends in news.jobs.items():
                    for watch in self._watches.get(job_id, ()):
                        if ends or not watch.ends_only:
                            watch.wake(ends=ends)
                horizon = news.horizon
            if self._looks.is_failing:
                # Each waiter then reads its job, which reports the error to its client.
                self._wake_all()
                # A server that crashed may have lost commits and reuse their ids.
                horizon = None

    async def _pause(self) -> None:
        await anyio.sleep(self._looks.pause_seconds)
        self._hurried = anyio.Event()
        if self._are_ends_announced and not self._followers:
            with anyio.move_on_after(_ANNOUNCED_PAUSE_SECONDS):
                await self._hurried.wait()

    def _wake_all(self, *, ends: bool = False) -> None:
        self.wakes += 1
        for watches in self._watches.values():
            for watch in watches:
                watch.wake(ends=ends)
