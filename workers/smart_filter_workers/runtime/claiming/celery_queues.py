"""The Celery queues that a worker consumes: the queues of the capabilities that it serves now.

A ring that a worker took for another capability, for example while it rests, would wake no
other worker until the next sweep.
"""

from collections.abc import Iterable
from typing import Any

from smart_filter_shared.doorbell import queue_name
from smart_filter_shared.ids import Capability
from smart_filter_workers.runtime.capabilities import ServedCapabilities


class QueueSubscriptions:
    """Keeps the subscribed queues in step with what a process serves."""

    def __init__(self, serving: ServedCapabilities) -> None:
        self._serving = serving
        self._able: tuple[Capability, ...] = ()
        self._worker: Any = None  # Celery ships no types

    def begin(self, worker: Any, able: Iterable[Capability]) -> None:  # noqa: ANN401 - as above
        """Remember the Celery worker that consumes the queues, and all queues it may consume."""
        self._able = tuple(able)
        self._worker = worker

    def follow(self) -> None:
        """Subscribe to the queues of the served capabilities only; from any thread.

        The change is made in the thread of the Celery worker.
        """
        consumer = getattr(self._worker, "consumer", None)
        if consumer is not None:
            consumer.call_soon(self._follow, consumer)

    def _follow(self, consumer: Any) -> None:  # noqa: ANN401 - as above
        if consumer.task_consumer is None:  # not connected; the first ring calls `follow` again
            return
        served = self._serving.capabilities
        for capability in self._able:
            change = consumer.add_task_queue if capability in served else consumer.cancel_task_queue
            change(queue_name(capability))
