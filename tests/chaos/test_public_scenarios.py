"""The faults and pressures of a public harness for job queues on PostgreSQL, by its names.

Source: https://github.com/hardbyte/postgresql-job-queue-benchmarking, docs/method.md.
`benchmarks.public_scenarios` measures how the service recovers from them.
"""

import functools
import random
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from smart_filter_tests import pressure
from smart_filter_tests.bench import Bench
from smart_filter_tests.storm import PHOTOS, WORKERS, Plan, Storm

pytestmark = pytest.mark.timeout(600)
VICTIM = WORKERS[0]


def chaos_crash_recovery(storm: Storm, chance: random.Random) -> Plan:
    return [(chance.uniform(0.5, 2), lambda: storm.running.stack.kill(VICTIM))]


def chaos_repeated_kills(storm: Storm, chance: random.Random) -> Plan:
    first = chance.random()
    return [(first + 1.5 * turn, lambda: storm.running.stack.kill(VICTIM)) for turn in range(4)]


def chaos_postgres_restart(storm: Storm, chance: random.Random) -> Plan:
    return [(chance.uniform(0.5, 2), lambda: storm.running.stack.restart("postgres"))]


def chaos_pg_backend_kill(storm: Storm, chance: random.Random) -> Plan:
    del chance
    end_one = functools.partial(pressure.end_connections, storm.bench, most=1)
    return [(0.2 * number, end_one) for number in range(25)]


@pytest.mark.parametrize(
    "scenario",
    [
        chaos_crash_recovery,
        chaos_repeated_kills,
        chaos_postgres_restart,
        chaos_pg_backend_kill,
    ],
    ids=lambda scenario: scenario.__name__,
)
def test_chaos_loses_nothing(
    storm_stack: Storm, chance: random.Random, scenario: Callable[[Storm, random.Random], Plan]
) -> None:
    job_ids = storm_stack.submit()

    storm_stack.ride_out(scenario(storm_stack, chance))

    assert storm_stack.damage(job_ids) == []


def test_chaos_pool_exhaustion_loses_nothing(storm_stack: Storm) -> None:
    job_ids = storm_stack.submit()

    with pressure.exhausted_connections(storm_stack.bench) as granted:
        storm_stack.wait_seconds(6)
    storm_stack.ride_out([])

    assert granted > 0
    assert storm_stack.damage(job_ids) == []


@pytest.mark.parametrize(
    "pressing",
    [
        pytest.param(pressure.idle_transaction, id="idle_in_tx_saturation"),
        pytest.param(pressure.active_readers, id="active_readers"),
    ],
)
def test_worker_stops_in_order_under_pressure(
    long_lease_storm: Storm, pressing: Callable[[Bench], AbstractContextManager[None]]
) -> None:
    with pressing(long_lease_storm.bench):
        job_ids = long_lease_storm.submit()
        long_lease_storm.ride_out([(1, lambda: stop_in_order(long_lease_storm))])

        assert long_lease_storm.damage(job_ids) == []
        assert set(long_lease_storm.attempts(job_ids)) == {1}


@pytest.mark.parametrize(
    "burst",
    [
        pytest.param(PHOTOS * 3 // 2, id="sustained_high_load"),
        pytest.param(PHOTOS * 4, id="event_delivery_burst"),
    ],
)
def test_worker_stops_in_order_behind_a_backlog(long_lease_storm: Storm, burst: int) -> None:
    job_ids = long_lease_storm.submit(burst)

    long_lease_storm.ride_out([(1, lambda: stop_in_order(long_lease_storm))])

    assert long_lease_storm.damage(job_ids) == []
    assert set(long_lease_storm.attempts(job_ids)) == {1}


def stop_in_order(storm: Storm) -> None:
    stack = storm.running.stack
    pid = stack.pid(VICTIM)
    stack.send(VICTIM, signal.SIGTERM)
    storm.running.until(lambda: stack.pid(VICTIM) != pid)
