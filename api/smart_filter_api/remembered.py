"""Answers that may be a moment old: many ask, one goes and looks."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

Key = TypeVar("Key")
Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """One value, asked for again when it is older than so many seconds; for one event loop.

    clock: monotonic seconds.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._asking = anyio.Lock()
        self._known: tuple[float, Value] | None = None

    async def get(self, ask: Callable[[], Awaitable[Value]]) -> Value:
        """Return what is known, or ask; whoever comes meanwhile waits for that answer.

        Raises what asking raises; that is not remembered.
        """
        known = self._fresh()
        if known is not None:
            return known[1]
        async with self._asking:
            known = self._fresh()
            if known is None:
                known = (self._clock(), await ask())
                self._known = known
        return known[1]

    def forget(self) -> None:
        """Have the next one ask, however fresh what is known may be."""
        self._known = None

    def _fresh(self) -> tuple[float, Value] | None:
        known = self._known
        return known if known and self._clock() - known[0] < self._seconds else None


class RememberedEach(Generic[Key, Value]):
    """A value for each of many keys, as `Remembered`; those asked for longest ago are forgotten.

    most: how many keys are remembered.
    """

    def __init__(
        self, seconds: float, *, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._each: OrderedDict[Key, Remembered[Value]] = OrderedDict()

    async def get(self, key: Key, ask: Callable[[], Awaitable[Value]]) -> Value:
        """Return what is known under a key, or ask, as `Remembered.get` does."""
        remembered = self._each.pop(key, None) or Remembered(self._seconds, clock=self._clock)
        self._each[key] = remembered
        while len(self._each) > self._most:
            self._each.popitem(last=False)
        return await remembered.get(ask)

    def forget(self, key: Key) -> None:
        """Have the next one who comes with this key ask."""
        self._each.pop(key, None)

    def forget_all(self) -> None:
        """Have whoever comes next ask, with whatever key."""
        self._each.clear()
