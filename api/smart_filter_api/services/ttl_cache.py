"""Caches of values with a TTL; concurrent callers share one refresh."""

import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from smart_filter_shared.lru_dict import LruDict

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
        self._known: tuple[float, Value] | None = None

    async def get(self, ask: Callable[[], Awaitable[Value]]) -> Value:
        """Return the fresh value, or call `ask`; concurrent callers wait for the same call.

        Raises the errors of `ask`, which are not cached.
        """
        known = self._get_fresh()
        if known is not None:
            return known[1]
        async with self._asking:
            known = self._get_fresh()
            if known is None:
                known = (self._clock(), await ask())
                self._known = known
        return known[1]

    def forget(self) -> None:
        """Discard the value, so that the next `get` calls `ask`."""
        self._known = None

    def _get_fresh(self) -> tuple[float, Value] | None:
        known = self._known
        return known if known and self._clock() - known[0] < self._seconds else None


class KeyedTtlCache(Generic[Key, Value]):
    """One `TtlCache` for each key, with least-recently-used eviction.

    most: maximum number of keys.
    """

    def __init__(
        self, seconds: float, *, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._each: LruDict[Key, TtlCache[Value]] = LruDict(most)

    async def get(self, key: Key, ask: Callable[[], Awaitable[Value]]) -> Value:
        """Return the fresh value of a key, or call `ask`, as `TtlCache.get` does."""
        remembered = self._each.get(key)
        if remembered is None:
            remembered = TtlCache(self._seconds, clock=self._clock)
            self._each.put(key, remembered)
        return await remembered.get(ask)

    def forget(self, key: Key) -> None:
        """Discard the value of a key."""
        self._each.drop(key)

    def forget_all(self) -> None:
        """Discard the values of all keys."""
        self._each.clear()
