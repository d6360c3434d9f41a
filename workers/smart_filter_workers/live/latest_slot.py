"""A slot for one frame: a newer frame replaces the one that waits."""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReceivedFrame:
    """A received frame.

    number: the client's; content: the file; at: when it was received, in seconds of the event
    loop's clock; filmed_at: in seconds of the recording's own clock, or `at`.
    """

    number: int
    content: bytes
    at: float
    filmed_at: float


class LatestSlot:
    """Holds at most one frame; for one event loop."""

    def __init__(self) -> None:
        self._waiting: ReceivedFrame | None = None
        self._is_there = asyncio.Event()
        self.dropped = 0

    def put(self, arrived: ReceivedFrame) -> bool:
        """Store a frame; return whether it replaced one that was waiting."""
        drops = self._waiting is not None
        self.dropped += drops
        self._waiting = arrived
        self._is_there.set()
        return drops

    async def take(self) -> ReceivedFrame:
        """Wait for a frame, and return the newest."""
        await self._is_there.wait()
        self._is_there.clear()
        arrived, self._waiting = self._waiting, None
        if arrived is None:
            raise RuntimeError("a frame was announced, but the slot is empty")
        return arrived
