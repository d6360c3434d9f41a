"""Which rings a worker takes off the broker: those for what it serves, and none while it rests.

A ring that a resting worker took would wake nobody until the next sweep.
"""

from collections.abc import Iterable
from typing import Any

from smart_filter_shared.doorbell import queue_of
from smart_filter_shared.ids import Capability
from smart_filter_workers.serving import Serving


class Listening:
    """Follows whether a process rests; Celery's worker is told of changes in its own thread."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._queues: tuple[str, ...] = ()
        self._worker: Any = None  # Celery ships no types

    def begin(self, worker: Any, served: Iterable[Capability]) -> None:  # noqa: ANN401 - as above
        """Know the worker of Celery that takes the rings from now on, and for what."""
        self._queues = tuple(queue_of(one) for one in served)
        self._worker = worker

    def follow(self) -> None:
        """Take rings again, or no more; from any thread."""
        consumer = getattr(self._worker, "consumer", None)
        if consumer is not None:
            consumer.call_soon(self._follow, consumer)

    def _follow(self, consumer: Any) -> None:  # noqa: ANN401 - as above
        if consumer.task_consumer is None:  # not connected: its first ring comes back to this
            return
        change = consumer.cancel_task_queue if self._serving.resting else consumer.add_task_queue
        for queue in self._queues:
            change(queue)
