"""Caches of values with a TTL; concurrent callers share one refresh."""

import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio
from cachetools import LRUCache

Key = TypeVar("Key")
Value = TypeVar("Value")


class TtlCache(Generic[Value]):
    """One value that is refreshed when it is older than `seconds`; for one event loop.

    clock: monotonic seconds.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._asking = anyio.Lock()
        # The time at which a value was asked for, and the value.
        self._stored: tuple[float, Value] | None = None
        self._forgotten = 0

    async def get(self, ask: Callable[[], Awaitable[Value]]) -> Value:
        """Return the fresh value, or call `ask`; concurrent callers wait for the same call.

        Raises the errors of `ask`, which are not cached.
        """
        # Judged by the time at which this caller arrived: an answer that takes longer than
        # `seconds` is still fresh to all who waited for it.
        stale_until = self._clock() - self._seconds
        if self._stored is None or self._stored[0] <= stale_until:
            async with self._asking:
                if self._stored is None or self._stored[0] <= stale_until:
                    return await self._refresh(ask)
        return self._stored[1]

    def forget(self) -> None:
        """Discard the value, so that the next `get` calls `ask`."""
        self._stored = None
        self._forgotten += 1

    async def _refresh(self, ask: Callable[[], Awaitable[Value]]) -> Value:
        asked_at, forgotten = self._clock(), self._forgotten
        value = await ask()
        # A value that was asked for before `forget` may be the one to forget.
        if forgotten == self._forgotten:
            self._stored = asked_at, value
        return value


class KeyedTtlCache(Generic[Key, Value]):
    """One `TtlCache` for each key, with least-recently-used eviction.

    most: maximum number of keys.
    """

    def __init__(
        self, seconds: float, *, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._each: LRUCache[Key, TtlCache[Value]] = LRUCache(most)

    async def get(self, key: Key, ask: Callable[[], Awaitable[Value]]) -> Value:
        """Return the fresh value of a key, or call `ask`, as `TtlCache.get` does."""
        remembered = self._each.get(key)
        if remembered is None:
            remembered = TtlCache(self._seconds, clock=self._clock)
            self._each[key] = remembered
        return await remembered.get(ask)

    def forget(self, key: Key) -> None:
        """Discard the value of a key."""
        self._each.pop(key, None)

    def forget_all(self) -> None:
        """Discard the values of all keys."""
        self._each.clear()
