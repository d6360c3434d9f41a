"""Rings on a real broker, and on one that is down."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import anyio
import anyio.to_thread
import pytest
import redis
from celery.utils.log import get_logger
from kombu import Connection, Queue
from kombu.message import Message
from pydantic import SecretStr

from smart_filter_api.services.loops import EndListener, EventPoller
from smart_filter_shared.config import NO_BROKER
from smart_filter_shared.config.settings import BrokerSettings
from smart_filter_shared.doorbell import Doorbell, queue_name
from smart_filter_shared.ids import JobId
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.events import JobChanges
from smart_filter_tests import broker_faults
from smart_filter_tests.bench import Bench, capability
from smart_filter_tests.patience import PATIENCE_SECONDS
from smart_filter_tests.proxy import Mode, Proxy, before_broker
from smart_filter_workers.runtime.bells.listener import TRANSPORT_OPTIONS, NoAckTransport

FACE = capability(StageName.FACE)
THREADS = 2
_log = get_logger("celery.worker.request")


@dataclass(slots=True)
class Away:
    """A doorbell behind a proxy, with a clock that the test advances.

    impatient: another, for a broker that never answers.
    """

    doorbell: Doorbell
    impatient: Doorbell
    proxy: Proxy
    seconds: float = 100.0


@pytest.fixture
def away(bench: Bench) -> Iterator[Away]:
    with before_broker(bench.settings.broker) as (proxy, settings):
        doorbell, impatient = (
            Doorbell(settings, clock=lambda: away.seconds, wait_seconds=seconds)
            for seconds in (PATIENCE_SECONDS, 0.1)
        )
        away = Away(doorbell, impatient, proxy)
        yield away
        doorbell.close()
        impatient.close()


def test_ring_reaches_the_queue_of_its_capability(bench: Bench) -> None:
    assert bench.doorbell.find_fault() is None
    assert bench.doorbell.ring([FACE] * 2)

    assert bench.rings(StageName.FACE) == 2


@pytest.mark.parametrize("trouble", [broker_faults.read_only, broker_faults.full])
def test_broker_that_takes_no_writes_has_a_fault(
    bench: Bench, trouble: Callable[[redis.Redis], AbstractContextManager[None]]
) -> None:
    with trouble(bench.broker):
        assert bench.broker.ping()
        assert bench.doorbell.find_fault() is not None

    assert bench.doorbell.find_fault() is None


def test_nothing_rings_without_a_broker() -> None:
    doorbell = Doorbell(BrokerSettings(url=SecretStr(NO_BROKER)))

    doorbell.announce_ends([JobId(uuid.uuid4())])

    assert (doorbell.find_fault(), doorbell.ring([FACE])) == (None, False)


@pytest.mark.parametrize("mode", [Mode.RESET, Mode.SWALLOW])
def test_unreachable_broker_raises_nothing(away: Away, mode: Mode) -> None:
    away.proxy.mode = mode

    away.impatient.announce_ends([JobId(uuid.uuid4())])
    away.seconds += 2
    assert not away.impatient.ring([FACE])
    assert away.impatient.find_fault() is not None


def test_broker_is_not_called_for_a_second_after_a_failure(away: Away) -> None:
    away.proxy.mode = Mode.RESET
    away.doorbell.ring([FACE])
    away.proxy.mode = Mode.PASS

    away.seconds += 0.9
    assert not away.doorbell.ring([FACE])
    away.seconds += 0.2
    assert away.doorbell.ring([FACE])


async def no_news(_: str | None) -> JobChanges:
    return JobChanges("1", {})


@pytest.mark.parametrize("breaks", [Proxy.cut, Proxy.freeze])
def test_announced_end_wakes_a_watch_also_after_an_outage(
    bench: Bench, breaks: Callable[[Proxy], None]
) -> None:
    job_id = JobId(uuid.uuid4())

    async def wake_twice() -> None:
        with before_broker(bench.settings.broker) as (proxy, settings):
            watching = EventPoller(no_news)
            listener = EndListener(settings, watching, silent_seconds=0.5)

            async def announce_often() -> None:
                while True:
                    await anyio.to_thread.run_sync(bench.doorbell.announce_ends, [job_id])
                    await anyio.sleep(0.01)

            with anyio.fail_after(60), watching.watch(job_id, ends_only=True) as watch:
                async with anyio.create_task_group() as group:
                    group.start_soon(listener.run)
                    group.start_soon(announce_often)
                    await watch.woken()
                    breaks(proxy)
                    await watch.woken()
                    await watch.woken()
                    group.cancel_scope.cancel()
            await listener.close()

    anyio.run(wake_twice)


class Ear:
    """Takes as many rings as there are threads, as a worker's main thread does."""

    def __init__(self, connection: Connection, proxy: Proxy) -> None:
        self.connection = connection
        self.proxy = proxy
        self.held: list[Message] = []
        channel = connection.default_channel
        channel.basic_qos(0, THREADS, False)
        consumer = connection.Consumer([Queue(queue_name(FACE), routing_key=queue_name(FACE))])
        consumer.on_message = self.held.append
        consumer.consume()

    def listen(self) -> None:
        """Take rings until all threads are busy."""
        while len(self.held) < THREADS:
            self.connection.drain_events(timeout=60)

    def answer(self) -> None:
        for message in self.held:
            message.ack_log_error(_log, self.connection.connection_errors)
        self.held.clear()


@pytest.fixture
def ear(bench: Bench) -> Iterator[Ear]:
    with before_broker(bench.settings.broker) as (proxy, settings):
        connection = Connection(
            settings.address,
            transport=NoAckTransport,
            transport_options={**TRANSPORT_OPTIONS, "socket_timeout": 1, "max_retries": 0},
        )
        with connection:
            yield Ear(connection, proxy)


def test_rings_answered_to_a_silent_broker_make_room_for_others(bench: Bench, ear: Ear) -> None:
    bench.doorbell.ring([FACE] * 2 * THREADS)
    ear.listen()

    ear.proxy.mode = Mode.SWALLOW
    ear.answer()
    ear.proxy.mode = Mode.PASS
    ear.listen()

    assert len(ear.held) == THREADS
    assert bench.rings(StageName.FACE) == 0


def test_unanswered_rings_are_not_put_back_when_the_connection_ends(bench: Bench, ear: Ear) -> None:
    bench.doorbell.ring([FACE] * THREADS)
    ear.listen()

    ear.connection.close()

    assert bench.rings(StageName.FACE) == 0
    assert bench.broker.keys("unacked*") == []
