"""Whoever waits for a job is woken by what concerns it, and all of them by one look."""

import uuid
from collections.abc import Sequence

import anyio
import pytest

from smart_filter_api.news import Watching
from smart_filter_api.waiting import preferred_seconds
from smart_filter_shared.errors import DatabaseUnavailable
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.events import News

ONE, OTHER = JobId(uuid.UUID(int=1)), JobId(uuid.UUID(int=2))


class Database:
    """Tells its news one after the other, then none; counts the looks."""

    def __init__(self, news: Sequence[dict[JobId, bool] | Exception]) -> None:
        self.news = [*news]
        self.horizons: list[str | None] = []

    async def __call__(self, horizon: str | None) -> News:
        self.horizons.append(horizon)
        told = self.news.pop(0) if horizon is not None and self.news else {}
        if isinstance(told, Exception):
            raise told
        return News(str(len(self.horizons)), told, is_first=horizon is None)


def woken(database: Database, *waiting: tuple[JobId, bool]) -> list[int]:
    """Return which of those who wait are woken by the news, the first look's waking aside.

    waiting: for each, its job, and whether only the end concerns it.
    """
    found: list[int] = []

    async def wait() -> None:
        watching = Watching(database)

        async def one(number: int, job_id: JobId, *, ends_only: bool) -> None:
            with watching.of(job_id, ends_only=ends_only) as watch:
                await watch.woken()
                await watch.woken()
                found.append(number)

        async with anyio.create_task_group() as group:
            for number, (job_id, ends_only) in enumerate(waiting):
                group.start_soon(lambda: one(number, job_id, ends_only=ends_only))  # noqa: B023
                await anyio.lowlevel.checkpoint()
            group.start_soon(watching.run)
            with anyio.fail_after(20):
                while database.news:
                    await anyio.lowlevel.checkpoint()
                for _ in range(10):
                    await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

    anyio.run(wait)
    return sorted(found)


def test_news_wake_whom_they_concern() -> None:
    database = Database([{ONE: False}])

    assert woken(database, (ONE, False), (OTHER, False)) == [0]


def test_only_an_end_wakes_who_waits_for_it() -> None:
    assert woken(Database([{ONE: False}]), (ONE, True)) == []
    assert woken(Database([{ONE: True}]), (ONE, True), (ONE, False)) == [0, 1]


def test_many_who_wait_need_no_more_looks_than_one() -> None:
    alone, crowded = Database([{ONE: True}]), Database([{ONE: True}])

    woken(alone, (ONE, True))
    woken(crowded, *[(ONE, True)] * 200)

    assert len(crowded.horizons) == len(alone.horizons)


def test_each_look_begins_where_the_last_one_ended() -> None:
    database = Database([{OTHER: True}, {OTHER: True}, {ONE: True}])

    woken(database, (ONE, True))

    assert database.horizons[:4] == [None, "1", "2", "3"]


def test_a_database_that_is_away_is_told_by_waking_everybody() -> None:
    database = Database([DatabaseUnavailable("away")])

    assert woken(database, (ONE, True), (OTHER, True)) == [0, 1]


def test_looks_begin_again_after_an_outage() -> None:
    """A server that crashed may give ids of transactions that it lost to others."""
    database = Database([DatabaseUnavailable("away"), {ONE: True}])

    async def wait() -> None:
        watching = Watching(database)
        with watching.of(ONE) as watch:
            async with anyio.create_task_group() as group:
                group.start_soon(watching.run)
                with anyio.fail_after(20):
                    while database.news:
                        await watch.woken()
                watching.end()

    anyio.run(wait)

    assert database.horizons[:4] == [None, "1", None, "3"]


def test_look_that_knows_nothing_of_before_wakes_everybody() -> None:
    async def restored(_: str | None) -> News:
        return News("1", {}, is_first=True)

    async def wait() -> None:
        watching = Watching(restored)
        with watching.of(ONE, ends_only=True) as watch:
            async with anyio.create_task_group() as group:
                group.start_soon(watching.run)
                with anyio.fail_after(20):
                    await watch.woken()
                    await watch.woken()
                watching.end()

    anyio.run(wait)


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, None),
        ("", None),
        ("respond-async", None),
        ("wait=5", 5),
        ("respond-async, wait=10", 10),
        ('WAIT = "7"; x=y, respond-async', 7),
        ("wait=0", 0),
        ("wait=3600", 60),
        ("wait=-1", None),
        ("wait=soon", None),
        ("await=5", None),
    ],
)
def test_preference_to_wait_is_read_and_bounded(prefer: str | None, seconds: int | None) -> None:
    assert preferred_seconds(prefer) == seconds
