"""Listen for rings with Celery while a broker takes them; each ring starts a turn.

A ring is a hint, so no state of the broker may stop or end the worker. Celery runs in a thread of
its own. Its worker ends when the broker is stopped, read-only, full, or holds something else than
rings; the listener then waits until the broker accepts a write, and builds another Celery worker.
"""

import logging
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

import redis.exceptions
from celery import Celery
from celery.concurrency.base import BasePool, apply_target
from celery.concurrency.thread import ApplyResult
from celery.exceptions import SecurityWarning
from celery.worker import state
from kombu.asynchronous.hub import set_event_loop
from kombu.entity import Queue
from kombu.transport import redis as kombu_redis

from smart_filter_shared.config.settings import BrokerSettings
from smart_filter_shared.doorbell import RING_TASK, Doorbell, queue_name
from smart_filter_shared.errors import BrokerUnavailable
from smart_filter_shared.ids import Capability, WorkerId
from smart_filter_shared.supervision import StepRefused, SupervisedLoop
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.runtime.bells.stage_events import node_name
from smart_filter_workers.runtime.capabilities import ServedCapabilities
from smart_filter_workers.runtime.turns import Turns

_RETRY_SECONDS: Final = 1.0
# A Celery worker that ends sooner has met a fault that another one would meet too: back off.
_STEADY_SECONDS: Final = 10.0
# Interval of the events by which Flower and `celery events` see that a worker lives.
_HEARTBEAT_SECONDS: Final = 5.0
# Celery's event loop looks once a second whether it should stop.
_STOP_SECONDS: Final = 3.0
# How Celery's settings name the transport. Celery shows its settings to `celery inspect`, as JSON.
TRANSPORT = f"{__name__}:NoAckTransport"
TRANSPORT_OPTIONS = {"ack_emulation": False}
# What kombu and Celery raise for a message that is no JSON, or lacks a part.
_NO_RING = (ValueError, LookupError, TypeError, AttributeError)
_log = logger("bells")


class _EndedEarlyError(Exception):
    """A Celery worker ended soon after its start although the broker takes writes."""


class _TurnPool(BasePool):  # type: ignore[misc]  # Celery ships no types
    """Celery's pool of threads: the threads of the process that run turns."""

    signal_safe = False
    body_can_be_buffer = True
    turns: ClassVar[Turns]

    def on_apply(
        self,
        target: Callable[..., object],
        args: object = None,
        kwargs: object = None,
        callback: object = None,
        accept_callback: object = None,
        **_: object,
    ) -> ApplyResult:
        return ApplyResult(
            self.turns.submit(apply_target, target, args, kwargs, callback, accept_callback)
        )

    def _get_info(self) -> dict[str, object]:
        return {**super()._get_info(), "threads": self.turns.threads}


class _Channel(kombu_redis.Channel):
    do_restore = False

    def _brpop_read(self, **options: Any) -> Any:  # noqa: ANN401 - as kombu's
        try:
            return super()._brpop_read(**options)
        except _NO_RING as error:
            # It has left the queue. Raised, it would end Celery's worker.
            _log.warning("message_dropped", reason=f"{type(error).__name__}: {error}")
            return True


class NoAckTransport(kombu_redis.Transport):
    """kombu's Redis transport without acknowledgments; needs `TRANSPORT_OPTIONS` as its options.

    Workers find work without a ring, and an acknowledgment stopped them for good: when Redis does
    not answer it in time, kombu logs that and gives up, but the ring still counts against the
    prefetch limit. A standstill of 20 s cost a worker all of its threads that way. So an
    acknowledgment only forgets the ring in memory, which cannot fail. Rings that a worker holds
    when it ends, or when it loses its connection, are not put back: that would be another request
    to a broker that may not answer, and kombu writes messages that it cannot put back into files.
    """

    Channel = _Channel


class QueueSubscriptions:
    """Keeps the subscribed queues in step with what a process serves.

    A ring that a worker took for another capability, for example while it rests, would wake no
    other worker.
    """

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


class BellListener:
    """Consumes the rings for a process; each starts a turn in one of its threads.

    doorbell: tells whether the broker takes writes.  subscriptions: the queues to consume.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        doorbell: Doorbell,
        turns: Turns,
        subscriptions: QueueSubscriptions,
        *,
        worker: WorkerId,
        serving: ServedCapabilities,
        threads: int,
    ) -> None:
        self._settings = settings
        self._doorbell = doorbell
        self._turns = turns
        self._subscriptions = subscriptions
        self._worker = worker
        self._serving = serving
        self._threads = threads
        self._stopping = threading.Event()
        self._listening = SupervisedLoop("bells", every_seconds=_RETRY_SECONDS, most_failures=None)
        # A daemon: a broker that does not answer may hold it for seconds.
        self._thread = threading.Thread(target=self._run, name="Bells", daemon=True)

    def start(self) -> None:
        """Start to listen in a thread of its own, if there is a broker."""
        if self._settings.address:
            # It would report the end of the process, although only this listener starts again.
            logging.getLogger("celery.worker.consumer.consumer").addFilter(_is_no_retry_notice)
            self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._stopping.set()
        state.should_stop = 0
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._listening.step():
                self._listen()
            self._stopping.wait(self._listening.pause_seconds)

    def _listen(self) -> None:
        """Consume rings until the listener stops, or the broker fails.

        Raises BrokerUnavailable, and StepRefused, as when a queue's key holds no list.
        """
        if (fault := self._doorbell.find_fault()) is not None:
            raise BrokerUnavailable(fault)
        # Flags of the module: the end of an earlier Celery worker must not end this one.
        state.should_stop = state.should_terminate = None
        if self._stopping.is_set():
            return
        set_event_loop(None)  # else the closed one of an earlier Celery worker would be used
        worker = self._build()
        started_at = time.monotonic()
        # A step ends only by a fault: else no fault after the first would be logged.
        steady = threading.Timer(_STEADY_SECONDS, self._listening.recover)
        steady.daemon = True
        steady.start()
        reason = _run_until_end(worker)
        steady.cancel()
        if self._stopping.is_set():
            return
        if time.monotonic() - started_at < _STEADY_SECONDS and self._doorbell.find_fault() is None:
            if isinstance(reason, redis.exceptions.RedisError):
                remedy = "the broker must belong to Smart Filter; delete the keys of other programs"
                raise StepRefused(f"{reason}: {remedy}") from reason
            raise _EndedEarlyError(str(reason)) from reason
        raise BrokerUnavailable(str(reason)) from reason

    def _build(self) -> Any:  # noqa: ANN401 - Celery ships no types
        served = self._serving.able
        celery = self._open_celery(served)

        # No events: those of stages have the name of the stage.
        @celery.task(name=RING_TASK, shared=False, send_events=False)  # type: ignore[untyped-decorator]  # as above
        def ring(_capability: str) -> None:
            self._subscriptions.follow()  # a change from before the connection to the broker
            self._turns.take()

        with warnings.catch_warnings():
            # Celery warns about running as root, which containers do, because of pickled messages.
            # These messages are JSON.
            warnings.simplefilter("ignore", SecurityWarning)
            worker = celery.Worker(
                pool=type("TurnPool", (_TurnPool,), {"turns": self._turns}),
                concurrency=self._threads,
                hostname=node_name(self._worker),
                without_gossip=True,
                without_mingle=True,
                heartbeat_interval=_HEARTBEAT_SECONDS,
                ready_callback=lambda _: _log.info("bells_heard"),
                loglevel="WARNING",
                quiet=True,
            )
        self._subscriptions.begin(worker, served)
        return worker

    def _open_celery(self, served: Sequence[Capability]) -> Celery:
        celery = Celery("smart-filter-worker", set_as_current=False)
        queues = [
            Queue(queue_name(capability), routing_key=queue_name(capability))
            for capability in served
        ]
        celery.conf.update(
            broker_url=self._settings.address,
            broker_transport=TRANSPORT,
            result_backend=None,
            task_ignore_result=True,
            task_serializer="json",
            accept_content=["json"],
            task_queues=queues,
            task_default_queue=queues[0].name,
            task_create_missing_queues=False,
            # A ring counts as held until its work is done: a worker without a free thread takes
            # none.
            task_acks_late=True,
            worker_prefetch_multiplier=1,
            # The listener tries again, whatever has failed.
            broker_connection_retry=False,
            broker_connection_retry_on_startup=False,
            broker_transport_options={
                **TRANSPORT_OPTIONS,
                "socket_timeout": 5,
                "socket_connect_timeout": 2,
                "socket_keepalive": True,
                "health_check_interval": 15,
            },
            worker_cancel_long_running_tasks_on_connection_loss=False,
            worker_hijack_root_logger=False,
            worker_redirect_stdouts=False,
            worker_send_task_events=False,
        )
        return celery


def _run_until_end(worker: Any) -> BaseException | None:  # noqa: ANN401 - Celery ships no types
    """Run a Celery worker; return why it has ended."""
    reason: BaseException | None = None
    try:
        worker.blueprint.start(worker)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever ends it, the next is built
        reason = error.__cause__ or error
    # Closes the connections; the threads belong to the process and go on.
    worker.stop(exitcode=0)
    return reason


def _is_no_retry_notice(record: logging.LogRecord) -> bool:
    return "has been disabled" not in record.getMessage()
