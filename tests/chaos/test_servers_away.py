"""Servers that are down, silent, reset, or whose answers are lost, while photos are in progress."""

import random
import time
from collections.abc import Callable

import pytest

from smart_filter_tests.proxy import Mode
from smart_filter_tests.storm import OUTAGE_SECONDS, Plan, Storm

pytestmark = pytest.mark.timeout(600)


def test_broker_outage_loses_nothing(storm_stack: Storm) -> None:
    job_ids = storm_stack.submit()

    storm_stack.ride_out(storm_stack.outage("broker", Mode.RESET, at=0.5, seconds=5))

    assert storm_stack.damage(job_ids) == []
    assert set(storm_stack.attempts(job_ids)) == {1}


def test_silent_broker_delays_no_submission(storm_stack: Storm) -> None:
    storm_stack.turn("broker", Mode.SWALLOW)
    started_at = time.monotonic()
    job_ids = storm_stack.submit()
    submitting_seconds = time.monotonic() - started_at

    storm_stack.ride_out([(5, lambda: storm_stack.turn("broker", Mode.PASS))])

    assert storm_stack.damage(job_ids) == []
    assert submitting_seconds / len(job_ids) < 1


def test_storage_outage_uses_no_attempt(storm_stack: Storm) -> None:
    job_ids = storm_stack.submit()

    storm_stack.ride_out(storm_stack.outage("storage", Mode.RESET, at=0.2, seconds=OUTAGE_SECONDS))

    assert storm_stack.damage(job_ids) == []
    assert set(storm_stack.attempts(job_ids)) == {1}
    assert storm_stack.count("releases > 0") > 0


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


def restarted_database(storm: Storm, chance: random.Random) -> Plan:
    return [(chance.uniform(0.2, 3), lambda: storm.running.stack.restart("postgres"))]


def database_whose_answers_are_lost(storm: Storm, chance: random.Random) -> Plan:
    storm.proxies["database"].chance = chance
    return storm.outage("database", Mode.LOSE, at=0.1, seconds=6)


@pytest.mark.parametrize(
    "trouble",
    [forgetful_broker, restarted_database, database_whose_answers_are_lost],
    ids=lambda trouble: trouble.__name__.replace("_", " "),
)
def test_server_fault_loses_nothing(
    storm_stack: Storm, chance: random.Random, trouble: Callable[[Storm, random.Random], Plan]
) -> None:
    job_ids = storm_stack.submit()

    storm_stack.ride_out(trouble(storm_stack, chance))

    assert storm_stack.damage(job_ids) == []
