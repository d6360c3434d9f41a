"""Ring the doorbell in the background, so that submissions never wait for the broker.

One task collects pending rings and sends them in one thread. A broker that hangs therefore blocks
one thread, however many photos arrive. Rings that do not fit into the buffer are dropped;
workers poll within a second.
"""

from collections.abc import Callable, Iterable, Sequence

import anyio
import anyio.to_thread

from smart_filter_shared.ids import Capability
from smart_filter_shared.supervision import SupervisedLoop

# Buffered rings; more than this accumulate only while the broker is unavailable.
_MAX_PENDING = 1000


class QueuedDoorbell:
    """A buffer of pending rings and the task that sends them; for one event loop.

    doorbell: rings once for each entry; it may block.
    """

    def __init__(self, doorbell: Callable[[Sequence[Capability]], object]) -> None:
        self._doorbell = doorbell
        self._thread = anyio.CapacityLimiter(1)
        self._unsent = 0
        self._put, self._taken = anyio.create_memory_object_stream[Capability](_MAX_PENDING)

    def ring(self, capabilities: Iterable[Capability]) -> None:
        """Queue one ring for each entry; returns at once."""
        for capability in capabilities:
            try:
                self._put.send_nowait(capability)
            except anyio.WouldBlock:
                return
            self._unsent += 1

    @property
    def is_busy(self) -> bool:
        """Whether rings are pending or being sent."""
        return self._unsent > 0

    def end(self) -> None:
        """Let `run` return after the pending rings are sent."""
        self._put.close()

    async def run(self) -> None:
        """Send pending rings until `end` is called.

        Raises the last error when too many unexpected ones follow each other.
        """
        rings = SupervisedLoop("ringer", every_seconds=0.0)
        with self._taken:
            async for first in self._taken:
                due = [first, *self._rest()]
                # No pause after a failure: the loop only runs when there is a submission.
                with rings.step():
                    await anyio.to_thread.run_sync(self._doorbell, due, limiter=self._thread)
                self._unsent -= len(due)

    def _rest(self) -> Iterable[Capability]:
        try:
            while True:
                yield self._taken.receive_nowait()
        except (anyio.WouldBlock, anyio.EndOfStream):
            return
