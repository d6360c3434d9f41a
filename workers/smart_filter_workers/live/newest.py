"""A place for one frame: a newer one takes it, so that whoever looks finds the newest."""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arrived:
    """A frame as it came.

    number: the client's; content: the file; at: seconds of the event loop's clock; filmed_at:
    seconds of the film's own clock, or `at`.
    """

    number: int
    content: bytes
    at: float
    filmed_at: float


class Newest:
    """Holds one frame at most; for one event loop."""

    def __init__(self) -> None:
        self._waiting: Arrived | None = None
        self._is_there = asyncio.Event()
        self.dropped = 0

    def put(self, arrived: Arrived) -> bool:
        """Let a frame wait; return whether one that waited already was dropped for it."""
        drops = self._waiting is not None
        self.dropped += drops
        self._waiting = arrived
        self._is_there.set()
        return drops

    async def take(self) -> Arrived:
        """Return the newest frame, as soon as there is one."""
        await self._is_there.wait()
        self._is_there.clear()
        arrived, self._waiting = self._waiting, None
        if arrived is None:
            raise RuntimeError("a frame was announced and is not there")
        return arrived
