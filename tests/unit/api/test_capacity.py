from dataclasses import dataclass

import anyio

from smart_filter_api.auth.rate_limit import Bucket, take_token
from smart_filter_api.limits import QueueCapacity
from smart_filter_shared.ids import Tenant

TENANT = Tenant("tests")


@dataclass(slots=True)
class Queue:
    """A tenant's jobs, and how often they were counted; a clock that a test sets."""

    waiting: int = 0
    counts: int = 0
    seconds: float = 0.0

    async def count(self, most: int) -> int:
        self.counts += 1
        return min(self.waiting, most)

    def room(self) -> QueueCapacity:
        return QueueCapacity(clock=lambda: self.seconds)

    async def admit_times(self, room: QueueCapacity, bound: int) -> bool:
        return await room.admit(TENANT, bound, self.count)

    def admitted(self, bound: int, *seconds: float) -> list[bool]:
        """Return the arrival times, in seconds, of the jobs that a process admits."""

        async def work() -> list[bool]:
            room, found = self.room(), []
            for self.seconds in seconds:
                found.append(await self.admit_times(room, bound))
            return found

        return anyio.run(work)


def test_count_is_cached_for_seconds_and_small_bounds_use_exact_counts() -> None:
    queue, small = Queue(), Queue()

    assert queue.admitted(10_000, 0.0, 4.9, 5.1) == [True] * 3
    assert small.admitted(64, 0.0) == [False]
    assert (queue.counts, small.counts) == (2, 0)


def test_ten_processes_with_stale_counts_stay_below_the_bound() -> None:
    queue = Queue()
    bound = 1000

    async def work() -> None:
        # In turns, so that each process counts before the others have gone on.
        open_rooms = [queue.room() for _ in range(10)]
        while open_rooms:
            admitted = [await queue.admit_times(room, bound) for room in open_rooms]
            queue.waiting += sum(admitted)
            open_rooms = [room for room, is_in in zip(open_rooms, admitted, strict=True) if is_in]

    anyio.run(work)

    assert 890 <= queue.waiting <= bound


def test_batch_makes_the_next_job_count_again() -> None:
    queue = Queue()

    async def work() -> bool:
        room = queue.room()
        await queue.admit_times(room, 10_000)
        queue.waiting = 9_990
        room.forget(TENANT)
        return await queue.admit_times(room, 10_000)

    assert not anyio.run(work)


def test_bucket_holds_a_minute_of_requests_and_fills_evenly() -> None:
    bucket, granted, count = None, True, 0
    while granted:
        bucket, granted = take_token(bucket, 100.0, 30)
        count += granted
    empty = Bucket(tokens=0.0, at=100.0)

    assert count == 30
    assert [take_token(empty, 100.0 + seconds, 30)[1] for seconds in (1.9, 2.0)] == [False, True]
