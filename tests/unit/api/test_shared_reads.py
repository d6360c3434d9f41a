"""Followers of one thing share a read, and none is shown a state before the event that woke it."""

import anyio

from smart_filter_api.caches import SharedReads


class Database:
    """Counts its reads; `events` are the events known so far."""

    def __init__(self) -> None:
        self.events = 0
        self.reads = 0
        self.is_open = anyio.Event()

    async def read(self) -> int:
        self.reads += 1
        seen = self.events
        await self.is_open.wait()
        return seen


def test_a_hundred_followers_share_one_read() -> None:
    async def follow() -> tuple[int, set[int]]:
        database, seen = Database(), set[int]()
        reads = SharedReads(lambda: database.events, most=9)

        async def follower() -> None:
            seen.add(await reads.get("batch", database.read))

        async with anyio.create_task_group() as followers:
            for _ in range(100):
                followers.start_soon(follower)
            await anyio.wait_all_tasks_blocked()
            database.is_open.set()
        return database.reads, seen

    assert anyio.run(follow) == (1, {0})


def test_read_that_began_before_an_event_is_not_shown_after_it() -> None:
    async def follow() -> list[int]:
        database, seen = Database(), list[int]()
        reads = SharedReads(lambda: database.events, most=9)

        async def follower() -> None:
            seen.append(await reads.get("batch", database.read))

        async with anyio.create_task_group() as followers:
            followers.start_soon(follower)
            await anyio.wait_all_tasks_blocked()
            database.events = 1
            followers.start_soon(follower)
            await anyio.wait_all_tasks_blocked()
            database.is_open.set()
        return seen

    assert anyio.run(follow) == [0, 1]


def test_readers_that_wait_for_a_read_share_the_next_one() -> None:
    async def read() -> tuple[int, list[int]]:
        database, seen = Database(), list[int]()
        reads = SharedReads(lambda: 0, most=9)  # no events tell of changes

        async def reader() -> None:
            seen.append(await reads.get_now("batch", database.read))

        async with anyio.create_task_group() as readers:
            readers.start_soon(reader)
            await anyio.wait_all_tasks_blocked()
            database.events = 1
            for _ in range(15):
                readers.start_soon(reader)
            await anyio.wait_all_tasks_blocked()
            database.is_open.set()
        database.events = 2
        await reader()
        return database.reads, seen

    assert anyio.run(read) == (3, [0, *[1] * 15, 2])


def test_failed_read_is_not_shared() -> None:
    async def follow() -> str:
        reads = SharedReads(lambda: 0, most=9)

        async def fail() -> str:
            raise OSError

        async def succeed() -> str:
            return "read"

        try:
            await reads.get("batch", fail)
        except OSError:
            return await reads.get("batch", succeed)
        return "not raised"

    assert anyio.run(follow) == "read"


def test_values_are_remembered_up_to_their_weight() -> None:
    async def follow() -> list[str]:
        reads, done = SharedReads(lambda: 0, most=10), list[str]()

        async def get(key: str, weight: int) -> None:
            async def read() -> bytes:
                done.append(key)
                return bytes(weight)

            await reads.get(key, read, weigh=len)

        for key, weight in (("a", 6), ("b", 4), ("a", 6), ("c", 4), ("a", 6), ("b", 4)):
            await get(key, weight)
        return done

    assert anyio.run(follow) == ["a", "b", "c", "b"]
