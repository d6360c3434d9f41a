"""Share one read of the database among all requests that follow the same thing."""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import anyio

from smart_filter_shared.lru_dict import LruDict

# Things read at a time; a batch of a thousand items takes a megabyte.
_MOST: Final = 64

Value = TypeVar("Value")


@dataclass(slots=True)
class _SharedRead:
    """The last value of one thing, and how many events were known when its read began."""

    reading: anyio.Lock = field(default_factory=anyio.Lock)
    known: int = -1
    value: Any = None  # of the type that its key's readers return


class SharedReads:
    """The last values that the followers of this process have read; for one event loop.

    count_events: the number of times that events have woken followers so far.
    """

    def __init__(self, count_events: Callable[[], int]) -> None:
        self._count_events = count_events
        self._reads: LruDict[Hashable, _SharedRead] = LruDict(_MOST)

    async def get(self, key: Hashable, read: Callable[[], Awaitable[Value]]) -> Value:
        """Return what a read returned that knew every event known now.

        Raises the errors of `read`, which are not shared.
        """
        needed = self._count_events()
        shared = self._reads.get(key)
        if shared is None:
            shared = _SharedRead()
            self._reads.put(key, shared)
        async with shared.reading:
            if shared.known < needed:
                known = self._count_events()
                shared.value = await read()
                shared.known = known
            value: Value = shared.value
            return value
