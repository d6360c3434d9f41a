"""Servers that are down, silent, reset, or whose answers are lost, while photos are in progress."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import urlsplit

import pytest

from smart_filter_deploy.embedded.addresses import LOOPBACK
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import broker_faults
from smart_filter_tests.outages import wait_until
from smart_filter_tests.pressure import end_connections
from smart_filter_tests.proxy import Mode, Proxy
from smart_filter_tests.storm import WORKERS, Plan, Storm
from smart_filter_tests.webhook_receiver import a_receiver

pytestmark = pytest.mark.timeout(600)
_FEW = 4  # photos, where only the way to the workers matters


def test_broker_outage_loses_nothing(storm_stack: Storm) -> None:
    job_ids = storm_stack.submit()

    storm_stack.ride_out(storm_stack.outage("broker", Mode.RESET, at=0.5, seconds=5))

    assert storm_stack.damage(job_ids) == []
    assert set(storm_stack.attempts(job_ids)) == {1}


@contextmanager
def stopped(storm: Storm) -> Iterator[None]:
    storm.turn("broker", Mode.RESET)
    try:
        yield
    finally:
        storm.turn("broker", Mode.PASS)


@contextmanager
def read_only(storm: Storm) -> Iterator[None]:
    with broker_faults.read_only(storm.running.broker):
        yield


@contextmanager
def full(storm: Storm) -> Iterator[None]:
    with broker_faults.full(storm.running.broker):
        yield


@contextmanager
def with_another_password(storm: Storm) -> Iterator[None]:
    with broker_faults.another_password(storm.running.broker):
        storm.turn("broker", Mode.PASS)  # connections end
        yield


@pytest.mark.parametrize(
    "trouble",
    [stopped, read_only, full, with_another_password],
    ids=lambda trouble: trouble.__name__.replace("_", " "),
)
def test_photos_end_while_the_broker_takes_no_rings(
    storm_stack: Storm, trouble: Callable[[Storm], AbstractContextManager[None]]
) -> None:
    workers = [storm_stack.running.stack.pid(worker) for worker in WORKERS]

    with trouble(storm_stack):
        job_ids = storm_stack.submit(_FEW)
        storm_stack.ride_out([])
        standing = storm_stack.running.operators.get("/readyz").json()

    assert storm_stack.damage(job_ids) == []
    assert standing["degraded"] == ["broker"]
    assert [storm_stack.running.stack.pid(worker) for worker in WORKERS] == workers


def test_silent_broker_delays_no_submission(storm_stack: Storm) -> None:
    storm_stack.turn("broker", Mode.SWALLOW)
    started_at = time.monotonic()
    job_ids = storm_stack.submit()
    submitting_seconds = time.monotonic() - started_at

    storm_stack.ride_out([(5, lambda: storm_stack.turn("broker", Mode.PASS))])

    assert storm_stack.damage(job_ids) == []
    assert submitting_seconds / len(job_ids) < 1


def test_storage_outage_uses_no_attempt(storm_stack: Storm) -> None:
    # However fast the workers are, pictures are left to write.
    with storm_stack.holding_back(StageName.COMPOSITE):
        job_ids = storm_stack.submit()
        storm_stack.turn("storage", Mode.RESET)
    # The record of an ended job does not keep its releases.
    wait_until(lambda: storm_stack.count("releases > 0") > 0)

    storm_stack.ride_out([(0, lambda: storm_stack.turn("storage", Mode.PASS))])

    assert storm_stack.damage(job_ids) == []
    assert set(storm_stack.attempts(job_ids)) == {1}


def test_duplicate_messages_cause_no_duplicate_work(
    storm_stack: Storm, chance: random.Random
) -> None:
    broker = storm_stack.running.broker
    repeated: set[bytes] = set()

    def repeat() -> None:
        for queue in broker.scan_iter("smart_filter.*", _type="list"):
            for message in set(broker.lrange(queue, 0, -1)) - repeated:
                repeated.add(message)
                broker.lpush(queue, message)

    job_ids = storm_stack.submit()

    storm_stack.ride_out([(chance.uniform(0, 3), repeat) for _ in range(10)])

    assert storm_stack.damage(job_ids) == []
    assert set(storm_stack.attempts(job_ids)) == {1}


def forgetful_broker(storm: Storm, chance: random.Random) -> Plan:
    return [(chance.uniform(0, 3), storm.running.broker.flushdb) for _ in range(10)]


def late_broker(storm: Storm, chance: random.Random) -> Plan:
    del chance
    return storm.outage("broker", Mode.SLOW, at=0, seconds=6)


def restarted_database(storm: Storm, chance: random.Random) -> Plan:
    return [(chance.uniform(0.2, 3), lambda: storm.running.stack.restart("postgres"))]


def database_whose_answers_are_lost(storm: Storm, chance: random.Random) -> Plan:
    storm.proxies["database"].chance = chance
    return storm.outage("database", Mode.LOSE, at=0.1, seconds=6)


def database_away(storm: Storm, chance: random.Random) -> Plan:
    return storm.outage("database", Mode.RESET, at=chance.uniform(0.1, 1), seconds=6)


def database_that_ends_connections(storm: Storm, chance: random.Random) -> Plan:
    return [(chance.uniform(0, 4), lambda: end_connections(storm.bench)) for _ in range(10)]


def storage_that_fails(storm: Storm, chance: random.Random) -> Plan:
    storm.proxies["storage"].chance = chance
    return storm.outage("storage", Mode.FAIL, at=0, seconds=8)


def slow_storage(storm: Storm, chance: random.Random) -> Plan:
    del chance
    return storm.outage("storage", Mode.SLOW, at=0, seconds=8)


def silent_broker(storm: Storm, chance: random.Random) -> Plan:
    return storm.silence("broker", at=chance.uniform(0.1, 2))


def silent_database(storm: Storm, chance: random.Random) -> Plan:
    return storm.silence("database", at=chance.uniform(0.1, 2))


def silent_storage(storm: Storm, chance: random.Random) -> Plan:
    return storm.silence("storage", at=chance.uniform(0.1, 2))


def database_that_swallows(storm: Storm, chance: random.Random) -> Plan:
    return storm.outage("database", Mode.SWALLOW, at=chance.uniform(0.1, 1), seconds=6)


@pytest.mark.parametrize(
    "trouble",
    [
        forgetful_broker,
        late_broker,
        restarted_database,
        database_whose_answers_are_lost,
        database_away,
        database_that_ends_connections,
        storage_that_fails,
        slow_storage,
        silent_broker,
        silent_database,
        silent_storage,
        database_that_swallows,
    ],
    ids=lambda trouble: trouble.__name__.replace("_", " "),
)
def test_server_fault_loses_nothing(
    storm_stack: Storm, chance: random.Random, trouble: Callable[[Storm, random.Random], Plan]
) -> None:
    job_ids = storm_stack.submit()

    storm_stack.ride_out(trouble(storm_stack, chance))

    assert storm_stack.damage(job_ids) == []


def test_servers_that_fall_silent_while_all_is_idle_stop_nothing(storm_stack: Storm) -> None:
    for proxy in storm_stack.proxies.values():
        proxy.freeze()
    storm_stack.await_submissions()

    job_ids = storm_stack.submit()
    storm_stack.ride_out([])

    assert storm_stack.damage(job_ids) == []


def await_deliveries(storm: Storm, job_ids: Sequence[str], condition: str, least: int) -> None:
    storm.running.until(lambda: storm.deliveries(job_ids, condition) >= least)


def test_receiver_that_freezes_delays_only_its_own_deliveries(storm_stack: Storm) -> None:
    with a_receiver() as frozen, a_receiver() as other:
        address = urlsplit(frozen.url)
        assert address.hostname is not None
        assert address.port is not None
        with Proxy(address.hostname, address.port) as proxy:
            proxy.mode = Mode.SWALLOW  # it accepts connections, and forwards nothing
            url = address._replace(netloc=f"{LOOPBACK}:{proxy.port}").geturl()
            waiting = storm_stack.submit(_FEW, webhook_url=url)
            going = storm_stack.submit(_FEW, webhook_url=other.url)

            # Deliveries to the other receiver do not wait for the frozen one.
            await_deliveries(storm_stack, going, "state = 'succeeded'", _FEW)
            assert frozen.got == []
            await_deliveries(storm_stack, waiting, "state = 'waiting' AND attempt = 1", 1)
            proxy.mode = Mode.PASS
            await_deliveries(storm_stack, waiting, "state = 'succeeded'", _FEW)

    assert storm_stack.damage([*waiting, *going]) == []
    assert storm_stack.deliveries(going, "attempt > 1") == 0
    assert len({request.headers["webhook-id"] for request in frozen.got}) == _FEW


def test_missing_and_damaged_objects_are_made_again(
    storm_stack: Storm, chance: random.Random
) -> None:
    # Else a worker runs all stages of a job at once, and nothing reads what they stored.
    with storm_stack.holding_back(StageName.COMPOSITE):
        job_ids = storm_stack.submit()
        storm_stack.running.until(lambda: storm_stack.spoil(chance) > 0)

    storm_stack.ride_out([(10, lambda: storm_stack.spoil(chance))])

    assert storm_stack.damage(job_ids) == []
