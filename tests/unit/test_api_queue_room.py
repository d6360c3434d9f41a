"""Far from its bound a tenant's queue is counted now and then, near it for each job."""

from dataclasses import dataclass

import anyio

from smart_filter_api.queue_room import QueueRoom
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

    def clock(self) -> float:
        return self.seconds

    def room(self) -> QueueRoom:
        return QueueRoom(clock=self.clock)

    async def admitted_to(self, room: QueueRoom, bound: int) -> bool:
        return await room.admit(TENANT, bound, self.count)


def test_many_jobs_are_admitted_by_one_count() -> None:
    queue = Queue(waiting=5000)

    async def work() -> None:
        room = queue.room()
        assert all([await queue.admitted_to(room, 10_000) for _ in range(100)])

    anyio.run(work)

    assert queue.counts == 1


def test_no_more_jobs_are_admitted_by_one_count_than_a_hundredth_of_the_bound() -> None:
    queue = Queue()

    async def work() -> None:
        room = queue.room()
        for _ in range(101):
            await queue.admitted_to(room, 10_000)

    anyio.run(work)

    assert queue.counts == 2


def test_count_is_used_for_some_seconds() -> None:
    queue = Queue()

    async def work() -> None:
        room = queue.room()
        for queue.seconds in (0.0, 4.9, 5.1):
            await queue.admitted_to(room, 10_000)

    anyio.run(work)

    assert queue.counts == 2


def test_near_the_bound_no_job_is_admitted_by_a_count() -> None:
    queue = Queue(waiting=8999)

    async def work() -> None:
        room = queue.room()
        assert [await queue.admitted_to(room, 10_000) for _ in range(2)] == [True, False]

    anyio.run(work)


def test_small_bound_is_left_to_exact_counts() -> None:
    queue = Queue()

    async def work() -> None:
        assert not await queue.admitted_to(queue.room(), 64)

    anyio.run(work)

    assert queue.counts == 0


def test_without_a_bound_nothing_is_counted() -> None:
    queue = Queue(waiting=1_000_000)

    async def work() -> None:
        assert await queue.admitted_to(queue.room(), 0)

    anyio.run(work)

    assert queue.counts == 0


def test_ten_processes_with_old_counts_stay_below_the_bound() -> None:
    queue = Queue()
    bound = 1000

    async def work() -> None:
        rooms = [queue.room() for _ in range(10)]
        # In turns, so that each process counts before the others have gone on.
        open_rooms = list(rooms)
        while open_rooms:
            admitted = [await queue.admitted_to(room, bound) for room in open_rooms]
            queue.waiting += sum(admitted)
            open_rooms = [room for room, is_in in zip(open_rooms, admitted, strict=True) if is_in]

    anyio.run(work)

    assert 890 <= queue.waiting <= bound


def test_batch_makes_the_next_job_count_again() -> None:
    queue = Queue()

    async def work() -> None:
        room = queue.room()
        await queue.admitted_to(room, 10_000)
        queue.waiting = 9_990
        room.forget(TENANT)
        assert not await queue.admitted_to(room, 10_000)

    anyio.run(work)
