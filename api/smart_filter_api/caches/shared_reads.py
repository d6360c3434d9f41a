"""Share one read of the database among all requests that follow the same thing, or read it."""

import itertools
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
from cachetools import LRUCache

Value = TypeVar("Value")


def _weigh_as_one(_: object) -> int:
    return 1


@dataclass(slots=True)
class _SharedRead:
    """The last value of one thing, and how many events were known when its read began."""

    reading: anyio.Lock = field(default_factory=anyio.Lock)
    count_before: int = -1
    value: Any = None  # of the type that its key's readers return
    weight: int = 1


class SharedReads:
    """The last values that the followers of this process have read; for one event loop.

    count_events: the number of times that events have woken followers so far.
    most: what the remembered values weigh in all; the weight of each is up to its readers.
    """

    def __init__(self, count_events: Callable[[], int], *, most: int) -> None:
        self._count_events = count_events
        self._requests = itertools.count()
        self._reads: LRUCache[Hashable, _SharedRead] = LRUCache(
            most, getsizeof=lambda shared: min(shared.weight, most)
        )

    async def get(
        self,
        key: Hashable,
        read: Callable[[], Awaitable[Value]],
        *,
        weigh: Callable[[Value], int] = _weigh_as_one,
    ) -> Value:
        """Return what a read returned that knew every event known now.

        Raises the errors of `read`, which are not shared.
        """
        return await self._get(key, read, self._count_events, weigh)

    async def get_now(self, key: Hashable, read: Callable[[], Awaitable[Value]]) -> Value:
        """Return what a read returned that began after this call, which no events need to announce.

        Of the callers that wait for a read to end, one reads for all. The value is not remembered
        for later callers.  Raises the errors of `read`, which are not shared.
        """
        key = key, "now"
        value = await self._get(key, read, self._requests.__next__, _weigh_as_one)
        shared = self._reads.get(key)
        if shared is not None and not shared.reading.locked():
            self._reads.pop(key, None)
        return value

    async def _get(
        self,
        key: Hashable,
        read: Callable[[], Awaitable[Value]],
        count: Callable[[], int],
        weigh: Callable[[Value], int],
    ) -> Value:
        needed = count()
        shared = self._reads.get(key)
        if shared is None:
            shared = _SharedRead()
            self._reads[key] = shared
        async with shared.reading:
            if shared.count_before < needed:
                started = count()
                shared.value = await read()
                shared.count_before = started
                shared.weight = weigh(shared.value)
                self._reads[key] = shared
            value: Value = shared.value
            return value
