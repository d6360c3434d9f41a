"""Rings the doorbell beside the requests: whoever submits never waits for the broker.

One task takes all that is due and rings it in one thread. So a broker that swallows what it
is sent holds up one thread, however many photos come; what does not fit is left to the
sweeper, which rings within a second or two.
"""

from collections.abc import Callable, Iterable, Sequence

import anyio
import anyio.to_thread

from smart_filter_shared.ids import Capability
from smart_filter_shared.supervision import SupervisedLoop

# More than this only comes together while the broker is away.
_MOST_DUE = 1000


class Ringer:
    """What is due to be rung; for one event loop.

    doorbell: rings once for each entry; it may block for a while.
    """

    def __init__(self, doorbell: Callable[[Sequence[Capability]], object]) -> None:
        self._doorbell = doorbell
        self._thread = anyio.CapacityLimiter(1)
        self._put, self._taken = anyio.create_memory_object_stream[Capability](_MOST_DUE)

    def ring(self, capabilities: Iterable[Capability]) -> None:
        """Have the doorbell rung once for each entry, soon; returns at once."""
        for capability in capabilities:
            try:
                self._put.send_nowait(capability)
            except anyio.WouldBlock:
                return

    def end(self) -> None:
        """Let `run` return when all that is due has been rung."""
        self._put.close()

    async def run(self) -> None:
        """Ring what is due until the end.  Raises the last of too many defects in a row."""
        rings = SupervisedLoop("ringer", every_seconds=0.0)
        with self._taken:
            async for first in self._taken:
                due = [first, *self._rest()]
                # No pause after a failure: rings wait for submissions, and end with them.
                with rings.step():
                    await anyio.to_thread.run_sync(self._doorbell, due, limiter=self._thread)

    def _rest(self) -> Iterable[Capability]:
        try:
            while True:
                yield self._taken.receive_nowait()
        except (anyio.WouldBlock, anyio.EndOfStream):
            return
