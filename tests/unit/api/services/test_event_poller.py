import uuid
from functools import partial

import anyio
import pytest

from smart_filter_api.responses.long_poll import preferred_seconds
from smart_filter_api.services.loops import EventPoller, PollEvents
from smart_filter_shared.errors import DatabaseUnavailable
from smart_filter_shared.ids import JobId
from smart_filter_shared.queue.events import JobChanges

ONE, OTHER = JobId(uuid.UUID(int=1)), JobId(uuid.UUID(int=2))


class Database:
    """Gives its events one after the other, then none.

    looks_for_news: number of polls with events; later ones find none.
    """

    def __init__(self, *news: dict[JobId, bool] | Exception) -> None:
        self.news = [*news]
        self.horizons: list[str | None] = []
        self.looks_for_news = 0

    async def __call__(self, horizon: str | None) -> JobChanges:
        self.horizons.append(horizon)
        if horizon is None or not self.news:
            return JobChanges(str(len(self.horizons)), {}, is_first=horizon is None)
        self.looks_for_news = len(self.horizons)
        events = self.news.pop(0)
        if isinstance(events, Exception):
            raise events
        return JobChanges(str(len(self.horizons)), events, is_first=False)


def wake_watches(database: Database, *waiting: tuple[JobId, bool]) -> list[int]:
    """Return the numbers of the watches that an event wakes, apart from the first poll.

    waiting: for each, its job, and whether it waits for the end only.
    """
    woken: list[int] = []

    async def wait() -> None:
        watching = EventPoller(database)

        async def wait_twice(number: int, job_id: JobId, ends_only: bool) -> None:  # noqa: FBT001 - start_soon
            with watching.watch(job_id, ends_only=ends_only) as watch:
                await watch.woken()
                await watch.woken()
                woken.append(number)

        async with anyio.create_task_group() as group:
            for number, (job_id, ends_only) in enumerate(waiting):
                group.start_soon(wait_twice, number, job_id, ends_only)
                await anyio.lowlevel.checkpoint()
            group.start_soon(watching.run)
            with anyio.fail_after(60):
                while database.news:
                    await anyio.lowlevel.checkpoint()
                for _ in range(10):
                    await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

    anyio.run(wait)
    return sorted(woken)


async def watched(look: PollEvents, times: int) -> None:
    """Wait until a watch of a job's end has been woken `times` times."""
    watching = EventPoller(look)
    with watching.watch(ONE, ends_only=True) as watch:
        async with anyio.create_task_group() as group:
            group.start_soon(watching.run)
            with anyio.fail_after(60):
                for _ in range(times):
                    await watch.woken()
            group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("news", "waiting", "numbers"),
    [
        ({ONE: False}, [(ONE, False), (OTHER, False)], [0]),
        ({ONE: False}, [(ONE, True)], []),
        ({ONE: True}, [(ONE, True), (ONE, False)], [0, 1]),
        (DatabaseUnavailable("away"), [(ONE, True), (OTHER, True)], [0, 1]),
    ],
    ids=["of its job", "not an end", "an end", "no database"],
)
def test_event_wakes_the_watches_of_its_job(
    news: dict[JobId, bool] | Exception, waiting: list[tuple[JobId, bool]], numbers: list[int]
) -> None:
    assert wake_watches(Database(news), *waiting) == numbers


def test_polling_starts_again_after_an_outage() -> None:
    """A server that crashed may reuse ids of transactions that it lost."""
    database = Database(DatabaseUnavailable("away"), {ONE: True})

    anyio.run(watched, database, 4)  # the first poll, the outage, the next first poll, the event

    assert database.horizons[:4] == [None, "1", None, "3"]


async def end_is_noticed(database: Database, *announced: JobId, wakes: int) -> None:
    """Wait for the end of a job until its watch was woken this often."""
    watching = EventPoller(database)
    watching.expect_announcements(True)
    with watching.watch(ONE, ends_only=True) as watch:
        async with anyio.create_task_group() as group:
            group.start_soon(watching.run)
            for job in announced:
                watching.announce(job)
            with anyio.fail_after(60):
                for _ in range(wakes):
                    await watch.woken()
            group.cancel_scope.cancel()


def test_announced_end_wakes_without_a_poll() -> None:
    database = Database()

    anyio.run(partial(end_is_noticed, database, OTHER, ONE, wakes=1))

    assert database.horizons == []


def test_poll_finds_an_end_that_nothing_announced() -> None:
    database = Database({ONE: True})

    anyio.run(partial(end_is_noticed, database, wakes=2))  # the first poll, and the end

    assert database.looks_for_news == 2


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, None),
        ("respond-async, wait=10", 10),
        ('WAIT = "7"; x=y, respond-async', 7),
        ("wait=0", 0),
        ("wait=3600", 60),
        ("wait=007", 7),
        (f"wait={'9' * 10_000}", 60),
        ("wait=-1", None),
        ("await=5", None),
    ],
)
def test_prefer_wait_header_is_read_and_bounded(prefer: str | None, seconds: int | None) -> None:
    assert preferred_seconds(prefer) == seconds
