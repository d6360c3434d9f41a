"""Which rings a worker takes off the broker: those for what it serves, and none while it rests.

A ring that a resting worker took would wake nobody until the next sweep.
"""

from typing import Any, Final

from smart_filter_shared.doorbell import queue_of
from smart_filter_workers.serving import Serving


class Listening:
    """Follows what a process serves; Celery's worker is told of changes in its own thread."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._queues: Final = tuple(queue_of(one) for one in serving.capabilities)
        self._worker: Any = None  # Celery ships no types

    @property
    def queues(self) -> tuple[str, ...]:
        """All that there are for this process."""
        return self._queues

    def begin(self, worker: Any) -> None:  # noqa: ANN401 - as above
        """Know the worker of Celery that takes the rings from now on."""
        self._worker = worker

    def follow(self) -> None:
        """Take rings again, or no more; from any thread."""
        consumer = getattr(self._worker, "consumer", None)
        if consumer is not None:
            consumer.call_soon(self._follow, consumer)

    def _follow(self, consumer: Any) -> None:  # noqa: ANN401 - as above
        if consumer.task_consumer is None:  # not connected: it comes back with all its queues
            return
        change = consumer.cancel_task_queue if self._serving.resting else consumer.add_task_queue
        for queue in self._queues:
            change(queue)
