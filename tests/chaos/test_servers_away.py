"""Servers that go away, fall silent, forget, or whose answers are lost, with photos under way."""

import random
import time

import pytest

from smart_filter_tests.proxy import Mode
from smart_filter_tests.storm import OUTAGE_SECONDS, Storm

pytestmark = pytest.mark.timeout(600)


def test_broker_that_is_away_loses_nothing(storm_stack: Storm) -> None:
    job_ids = storm_stack.submit()

    storm_stack.ride_out(storm_stack.outage("broker", Mode.RESET, at=0.5, seconds=5))

    assert storm_stack.damage(job_ids) == []
    assert set(storm_stack.attempts(job_ids)) == {1}


def test_broker_that_swallows_everything_delays_no_submission(storm_stack: Storm) -> None:
    storm_stack.turn("broker", Mode.SWALLOW)
    started_at = time.monotonic()
    job_ids = storm_stack.submit()
    submitting_seconds = time.monotonic() - started_at

    storm_stack.ride_out([(5, lambda: storm_stack.turn("broker", Mode.PASS))])

    assert storm_stack.damage(job_ids) == []
    assert submitting_seconds / len(job_ids) < 1


def test_broker_that_forgets_loses_nothing(storm_stack: Storm, chance: random.Random) -> None:
    job_ids = storm_stack.submit()

    moments = [chance.uniform(0, 3) for _ in range(10)]
    storm_stack.ride_out([(at, storm_stack.running.broker.flushdb) for at in moments])

    assert storm_stack.damage(job_ids) == []


def test_messages_delivered_twice_do_no_work_twice(
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


def test_storage_that_fails_for_a_while_spends_no_attempt(storm_stack: Storm) -> None:
    job_ids = storm_stack.submit()

    storm_stack.ride_out(storm_stack.outage("storage", Mode.RESET, at=0.2, seconds=OUTAGE_SECONDS))

    assert storm_stack.damage(job_ids) == []
    assert set(storm_stack.attempts(job_ids)) == {1}
    assert storm_stack.count("releases > 0") > 0


def test_database_restarted_loses_nothing(storm_stack: Storm, chance: random.Random) -> None:
    job_ids = storm_stack.submit()

    restart = storm_stack.running.stack.restart
    storm_stack.ride_out([(chance.uniform(0.2, 3), lambda: restart("postgres"))])

    assert storm_stack.damage(job_ids) == []


def test_database_whose_answers_are_lost_loses_nothing(
    storm_stack: Storm, chance: random.Random
) -> None:
    job_ids = storm_stack.submit()
    storm_stack.proxies["database"].chance = chance

    storm_stack.ride_out(storm_stack.outage("database", Mode.LOSE, at=0.1, seconds=6))

    assert storm_stack.damage(job_ids) == []
