"""Tasks of an API process: ring for workers, listen for announced ends, poll for changes of jobs.

One task collects pending rings and sends them in one thread, so that submissions never wait for the
broker. Rings that do not fit into the buffer are dropped; workers poll within a second.

While requests wait, one task polls for new events and wakes the waiters concerned. The cost of a
poll depends on the number of events, not of waiters: two thousand waiters load the database no
more than twenty. Workers announce the jobs that have succeeded. While all waiters wait for ends
and announcements arrive, polls are rare: they find the other ends, and lost announcements.
"""

import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import anyio
import anyio.to_thread
import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from smart_filter_shared.config.settings import BrokerSettings
from smart_filter_shared.doorbell import ENDS_CHANNEL
from smart_filter_shared.ids import Capability, JobId
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


# Buffered rings; more than this accumulate only while the broker is unavailable.
_MAX_PENDING = 1000


class QueuedDoorbell:
    """A buffer of pending rings and the task that sends them; for one event loop.

    doorbell: rings once for each entry; it may block.
    """

    def __init__(self, doorbell: Callable[[Sequence[Capability]], object]) -> None:
        self._doorbell = doorbell
        self._thread = anyio.CapacityLimiter(1)
        self._unsent = 0
        self._put, self._taken = anyio.create_memory_object_stream[Capability](_MAX_PENDING)

    def ring(self, capabilities: Iterable[Capability]) -> None:
        """Queue one ring for each entry; returns at once."""
        for capability in capabilities:
            try:
                self._put.send_nowait(capability)
            except anyio.WouldBlock:
                return
            self._unsent += 1

    @property
    def is_busy(self) -> bool:
        """Whether rings are pending or being sent."""
        return self._unsent > 0

    def end(self) -> None:
        """Let `run` return after the pending rings are sent."""
        self._put.close()

    async def run(self) -> None:
        """Send pending rings until `end` is called.

        Raises the last error when too many unexpected ones follow each other.
        """
        rings = SupervisedLoop("ringer", every_seconds=0.0)
        with self._taken:
            async for first in self._taken:
                due = [first, *self._rest()]
                # No pause after a failure: the loop only runs when there is a submission.
                with rings.step():
                    await anyio.to_thread.run_sync(self._doorbell, due, limiter=self._thread)
                self._unsent -= len(due)

    def _rest(self) -> Iterable[Capability]:
        try:
            while True:
                yield self._taken.receive_nowait()
        except (anyio.WouldBlock, anyio.EndOfStream):
            return


# Pause before the next try to connect. Until then the poller polls as if nothing were announced.
_RETRY_SECONDS: Final = 1.0
_CONNECT_SECONDS: Final = 0.5
# After so long without a message the broker is asked whether it is there, and after as long again
# without an answer the connection counts as dead. A Redis that swallows packets sends nothing.
_SILENT_SECONDS: Final = 5.0


class EndListener:
    """Passes announced ends on to the watches of the process; for one event loop.

    silent_seconds: the time without a message after which the broker is asked for one.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        watching: EventPoller,
        *,
        silent_seconds: float = _SILENT_SECONDS,
    ) -> None:
        self._is_needed = bool(settings.address)
        # Of any address without a broker: no connection is opened then.
        self._redis = redis.asyncio.Redis.from_url(
            settings.address or "redis://",
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=silent_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        self._watching = watching
        self._silent_seconds = silent_seconds

    async def run(self) -> None:
        """Listen until canceled, and connect again when the connection ends.

        Returns at once without a broker: ends are then found by frequent polls.
        Raises the last error when too many unexpected ones follow each other.
        """
        listening = SupervisedLoop("ends", every_seconds=_RETRY_SECONDS)
        while self._is_needed:
            with listening.step():
                await self._listen()
            await anyio.sleep(listening.pause_seconds)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _listen(self) -> None:
        """Listen until the connection ends, or is silent."""
        try:
            async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
                await channel.subscribe(ENDS_CHANNEL)
                self._watching.expect_announcements(True)
                is_asked = False
                while True:
                    message = await channel.get_message(timeout=self._silent_seconds)
                    if message is None:
                        if is_asked:
                            return
                        await channel.ping()
                    elif message["type"] == "message":
                        for job_id in message["data"].decode().split():
                            self._watching.announce(JobId(uuid.UUID(job_id)))
                    is_asked = message is None
        except (redis.exceptions.RedisError, OSError):
            return  # ends are then found by frequent polls
        finally:
            self._watching.expect_announcements(False)
