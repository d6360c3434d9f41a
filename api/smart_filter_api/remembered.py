"""Answers that may be a moment old: many ask, one goes and looks."""

import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

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
