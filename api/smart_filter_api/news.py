"""Waiting for jobs: one look at the database serves all who wait in this process.

While anybody waits, one task asks every few hundredths of a second what has happened since
the last time, and wakes those whom it concerns. What a look costs follows what happens, not
how many wait: two thousand waiting cost the database no more than twenty.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio

from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.events import News
from smart_filter_shared.supervision import SupervisedLoop

# What it adds at most to what each of them waits for.
_LOOK_SECONDS = 0.03
# Between looks that fail: each wakes all watches, whose requests ask for the job themselves.
_LONGEST_PAUSE_SECONDS = 5.0

Look = Callable[[str | None], Awaitable[News]]


class Watch:
    """Somebody who waits for a job; for one task."""

    def __init__(self, *, ends_only: bool) -> None:
        self.ends_only = ends_only
        self._woken = anyio.Event()

    def wake(self) -> None:
        """Let `woken` return."""
        self._woken.set()

    async def woken(self) -> None:
        """Return when something may have happened since the watch began, or this last returned."""
        await self._woken.wait()
        self._woken = anyio.Event()


class Watching:
    """All watches of one process; for one event loop.

    look: asks the database what has happened since a horizon.
    """

    def __init__(self, look: Look) -> None:
        self._look = look
        self._watches: defaultdict[JobId, set[Watch]] = defaultdict(set)
        self._begun = anyio.Event()
        self._scope = anyio.CancelScope()
        self._looks = SupervisedLoop(
            "news", every_seconds=_LOOK_SECONDS, longest_pause_seconds=_LONGEST_PAUSE_SECONDS
        )

    @contextmanager
    def of(self, job_id: JobId, *, ends_only: bool = False) -> Iterator[Watch]:
        """Watch a job; whatever is committed from now on wakes the watch.

        ends_only: only its end does.  A watch may be woken for nothing: look, then wait again.
        """
        watch = Watch(ends_only=ends_only)
        self._watches[job_id].add(watch)
        self._begun.set()
        try:
            yield watch
        finally:
            self._watches[job_id].discard(watch)
            if not self._watches[job_id]:
                del self._watches[job_id]

    def end(self) -> None:
        """Let `run` return; nobody is woken any more."""
        self._scope.cancel()

    async def run(self) -> None:
        """Look for as long as anybody watches, until the end.

        Raises the last of too many defects in a row.
        """
        with self._scope:
            while True:
                await self._begun.wait()
                await self._run_while_watched()
                self._begun = anyio.Event()

    async def _run_while_watched(self) -> None:
        horizon: str | None = None
        while self._watches:
            with self._looks.step():
                news = await self._look(horizon)
                if news.is_first:
                    # What was committed between the first watch and this first look is not in it.
                    self._wake_all()
                for job_id, ends in news.jobs.items():
                    for watch in self._watches.get(job_id, ()):
                        if ends or not watch.ends_only:
                            watch.wake()
                horizon = news.horizon
            if self._looks.is_failing:
                # The request for the job that follows tells the client what is wrong.
                self._wake_all()
                # A server that crashed may have lost commits and give their ids again.
                horizon = None
            await anyio.sleep(self._looks.pause_seconds)

    def _wake_all(self) -> None:
        for watches in self._watches.values():
            for watch in watches:
                watch.wake()
