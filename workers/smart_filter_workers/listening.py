"""Which rings a worker takes off the broker: those for what it serves now.

A ring for what it does not, as while it rests, would wake nobody until the next sweep.
"""

from collections.abc import Iterable
from typing import Any

from smart_filter_shared.doorbell import queue_of
from smart_filter_shared.ids import Capability
from smart_filter_workers.serving import Serving


class Listening:
    """Follows what a process serves; Celery's worker is told of changes in its own thread."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._able: tuple[Capability, ...] = ()
        self._worker: Any = None  # Celery ships no types

    def begin(self, worker: Any, able: Iterable[Capability]) -> None:  # noqa: ANN401 - as above
        """Know the worker of Celery that takes the rings from now on, and of what all."""
        self._able = tuple(able)
        self._worker = worker

    def follow(self) -> None:
        """Take the rings for what is served by now, and no others; from any thread."""
        consumer = getattr(self._worker, "consumer", None)
        if consumer is not None:
            consumer.call_soon(self._follow, consumer)

    def _follow(self, consumer: Any) -> None:  # noqa: ANN401 - as above
        if consumer.task_consumer is None:  # not connected: its first ring comes back to this
            return
        served = self._serving.capabilities
        for one in self._able:
            change = consumer.add_task_queue if one in served else consumer.cancel_task_queue
            change(queue_of(one))
