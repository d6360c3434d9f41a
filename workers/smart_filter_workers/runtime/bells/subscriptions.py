"""The Celery queues that a worker consumes: the queues of the capabilities that it serves now.

A ring that a worker took for another capability, for example while it rests, would wake no
other worker.
"""

from typing import Any

from smart_filter_shared.doorbell import queue_name
from smart_filter_shared.ids import Capability
from smart_filter_workers.runtime.capabilities import ServedCapabilities


class QueueSubscriptions:
    """Keeps the subscribed queues in step with what a process serves."""

    def __init__(self, serving: ServedCapabilities) -> None:
        self._serving = serving
        self._subscribed: tuple[Capability, ...] = ()
        self._worker: Any = None  # Celery ships no types

    def begin(self, worker: Any, subscribed: tuple[Capability, ...]) -> None:  # noqa: ANN401 - as above
        """Remember the Celery worker that consumes the queues, and those it starts with."""
        self._subscribed = subscribed
        self._worker = worker

    def follow(self) -> None:
        """Subscribe to the queues of the served capabilities only; from any thread.

        The change is made in the thread of the Celery worker.
        """
        consumer = getattr(self._worker, "consumer", None)
        if consumer is not None and self._serving.capabilities != self._subscribed:
            consumer.call_soon(self._follow, consumer)

    def _follow(self, consumer: Any) -> None:  # noqa: ANN401 - as above
        if consumer.task_consumer is None:  # not connected; `follow` is called again
            return
        served = self._serving.capabilities
        queues = consumer.app.amqp.queues
        for capability in {*self._subscribed, *served}:
            name = queue_name(capability)
            if capability not in served:
                consumer.cancel_task_queue(name)
                continue
            if name not in queues:
                queues.add(name, routing_key=name)
            consumer.add_task_queue(name)
        self._subscribed = served
