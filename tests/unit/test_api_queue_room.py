from dataclasses import dataclass

import anyio
import pytest

from smart_filter_api.queue_room import QueueRoom
from smart_filter_api.rates import Bucket, taken
from smart_filter_shared.ids import Tenant

TENANT = Tenant("tests")


@dataclass(slots=True)
class Queue:
    """A tenant's jobs, and how many times they were counted; a clock that a test sets."""

    waiting: int = 0
    counts: int = 0
    seconds: float = 0.0

    async def count(self, most: int) -> int:
        self.counts += 1
        return min(self.waiting, most)

    def room(self) -> QueueRoom:
        return QueueRoom(clock=lambda: self.seconds)

    async def admitted_to(self, room: QueueRoom, bound: int) -> bool:
        return await room.admit(TENANT, bound, self.count)

    def admitted(self, bound: int, *seconds: float) -> list[bool]:
        """Return which jobs a process admits that come at these seconds."""

        async def work() -> list[bool]:
            room, found = self.room(), []
            for self.seconds in seconds:
                found.append(await self.admitted_to(room, bound))
            return found

        return anyio.run(work)


def test_count_is_used_for_some_seconds_and_a_small_bound_left_to_exact_counts() -> None:
    queue, small = Queue(), Queue()

    assert queue.admitted(10_000, 0.0, 4.9, 5.1) == [True] * 3
    assert small.admitted(64, 0.0) == [False]
    assert (queue.counts, small.counts) == (2, 0)


def test_ten_processes_with_old_counts_stay_below_the_bound() -> None:
    queue = Queue()
    bound = 1000

    async def work() -> None:
        # In turns, so that each process counts before the others have gone on.
        open_rooms = [queue.room() for _ in range(10)]
        while open_rooms:
            admitted = [await queue.admitted_to(room, bound) for room in open_rooms]
            queue.waiting += sum(admitted)
            open_rooms = [room for room, is_in in zip(open_rooms, admitted, strict=True) if is_in]

    anyio.run(work)

    assert 890 <= queue.waiting <= bound


def test_batch_makes_the_next_job_count_again() -> None:
    queue = Queue()

    async def work() -> bool:
        room = queue.room()
        await queue.admitted_to(room, 10_000)
        queue.waiting = 9_990
        room.forget(TENANT)
        return await queue.admitted_to(room, 10_000)

    assert not anyio.run(work)


def test_bucket_holds_a_minutes_requests_and_fills_evenly() -> None:
    bucket, granted, count = None, True, 0
    while granted:
        bucket, granted = taken(bucket, 100.0, 30)
        count += granted
    empty = Bucket(tokens=0.0, at=100.0)

    assert count == 30
    assert [taken(empty, 100.0 + seconds, 30)[1] for seconds in (1.9, 2.0)] == [False, True]


@pytest.mark.parametrize("passed", [-5.0, 0.0])
def test_clock_that_does_not_rise_gives_nothing(passed: float) -> None:
    assert taken(Bucket(tokens=0.5, at=100.0), 100.0 + passed, 30) == (
        Bucket(tokens=0.5, at=100.0 + passed),
        False,
    )
