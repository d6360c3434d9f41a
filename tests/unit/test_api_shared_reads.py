"""Followers of one thing share a read, and none is shown a state before the event that woke it."""

import anyio

from smart_filter_api.services.shared_reads import SharedReads


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
        reads = SharedReads(lambda: database.events)

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
        reads = SharedReads(lambda: database.events)

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


def test_failed_read_is_not_shared() -> None:
    async def follow() -> str:
        reads = SharedReads(lambda: 0)

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
