"""The simulation of capacity, against what queueing theory says, and what must always hold."""

import math
import random

import pytest
import simpy

from capacity.simulation import Running, replay, simulate
from capacity.system import Draw, Pool, Stage, System, Visit, exponential, fixed


def one_stage(pool: Pool, draw: Draw = fixed, **stage: float) -> System:
    return System(stages=(Stage(name="one", pool="all", **stage),), pools={"all": pool}, draw=draw)


def ended(system: System, *arrivals: float) -> list[float]:
    """Return when photos end that arrive at these seconds."""
    return sorted(photo.ended for photo in replay(system, list(arrivals)))


def waits_of_many(rate: float, service_rate: float, threads: int) -> float:
    """Return the mean seconds in M/M/c.  Source: Erlang C; Kleinrock 1975, Queueing Systems I."""
    offered = rate / service_rate
    full = offered**threads / math.factorial(threads) / (1 - offered / threads)
    fewer = sum(offered**count / math.factorial(count) for count in range(threads))
    return full / (fewer + full) / (threads * service_rate - rate) + 1 / service_rate


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize(("threads", "rate"), [(1, 0.6), (3, 2.1)])
def test_exponential_stages_wait_as_erlang_says(threads: int, rate: float) -> None:
    system = one_stage(Pool(threads), exponential, photo_seconds=1.0)

    outcome = simulate(system, rate, seconds=3_000 / rate, warm_up=200, seed=3)

    seconds = mean([photo.seconds for photo in outcome.photos])
    # Of 3,000 photos at this load the mean itself is known to about a twentieth.
    assert seconds == pytest.approx(waits_of_many(rate, 1.0, threads), rel=0.1)
    assert outcome.busy["all"] == pytest.approx(rate / threads, rel=0.05)


def test_fixed_stages_wait_half_as_long() -> None:
    system = one_stage(Pool(1), photo_seconds=1.0)

    outcome = simulate(system, 0.7, seconds=5_000, warm_up=200, seed=3)

    # M/D/1. Source: Pollaczek–Khinchine.
    expected = 1 + 0.7 / (2 * (1 - 0.7))
    assert mean([photo.seconds for photo in outcome.photos]) == pytest.approx(expected, rel=0.1)


def test_way_takes_as_long_as_its_longest_path() -> None:
    system = System(
        stages=(
            Stage(name="first", pool="all", photo_seconds=1.0),
            Stage(name="long", pool="all", needs=("first",), photo_seconds=3.0),
            Stage(name="short", pool="all", needs=("first",), photo_seconds=1.0),
            Stage(name="last", pool="all", needs=("long", "short"), photo_seconds=0.5),
        ),
        pools={"all": Pool(8)},
    )

    outcome = simulate(system, 0.01, seconds=2_000, seed=3)

    assert {round(photo.seconds, 6) for photo in outcome.photos} == {4.5}


def test_batches_carry_more_than_single_photos() -> None:
    systems = [
        one_stage(Pool(1, batch_size=size), batch_seconds=1.0, photo_seconds=0.1) for size in (1, 8)
    ]

    rates = [simulate(system, 20, seconds=200, warm_up=50).rate for system in systems]

    assert rates == pytest.approx([1 / 1.1, 8 / 1.8], rel=0.02)


def test_shared_server_bounds_all_pools() -> None:
    database = (Visit("database", 0.1),)
    system = System(
        stages=(Stage(name="one", pool="all", complete=database),),
        pools={"all": Pool(100)},
        servers={"database": 2},
    )

    outcome = simulate(system, 50, seconds=100, warm_up=20)

    assert outcome.rate == pytest.approx(2 / 0.1, rel=0.02)
    assert outcome.busy["database"] == pytest.approx(1.0, rel=0.02)


def test_resting_worker_is_rung_before_a_busy_one() -> None:
    system = one_stage(Pool(2, threads=2), forward_seconds=1.0)

    assert ended(system, 0.0, 0.0, 0.0, 0.0) == [1.0, 1.0, 2.0, 2.0]


def test_only_a_worker_that_has_rested_needs_to_be_woken() -> None:
    system = one_stage(Pool(1, wake_seconds=0.5), batch_seconds=1.0)

    assert ended(system, 0.0, 0.0, 10.0) == [1.5, 2.5, 11.5]


def test_photos_that_come_while_a_worker_wakes_are_in_its_batch() -> None:
    system = one_stage(Pool(1, batch_size=2, wake_seconds=0.5), batch_seconds=1.0)

    assert ended(system, 0.0, 0.25, 0.25) == [1.5, 1.5, 2.5]


@pytest.mark.parametrize("seed", range(5))
def test_as_many_photos_end_as_arrive(seed: int) -> None:
    chance = random.Random(seed)
    arrivals = sorted(chance.uniform(0, 20) for _ in range(100))
    server = (Visit("shared", 0.01),)
    system = System(
        stages=(
            Stage(name="first", pool="a", photo_seconds=0.1, claim=server),
            Stage(name="left", pool="a", needs=("first",), forward_seconds=0.2, store=server),
            Stage(name="right", pool="b", needs=("first",), batch_seconds=0.3, load=server),
            Stage(name="last", pool="b", needs=("left", "right"), complete=server),
        ),
        pools={"a": Pool(2, threads=3), "b": Pool(1, threads=2, batch_size=4)},
        servers={"shared": 1},
        draw=exponential,
    )

    photos = replay(system, arrivals, seed=seed)

    assert sorted(photo.arrived for photo in photos) == arrivals
    assert all(photo.seconds > 0 for photo in photos)


def test_workers_that_go_lose_nothing() -> None:
    pool = Pool(4, threads=2, batch_size=2, wake_seconds=0.1)
    environment = simpy.Environment()
    running = Running(environment, one_stage(pool, forward_seconds=1.0), seed=1)
    environment.process(running.arrive_at([0.3 * number for number in range(60)]))

    for until, gone in ((3.05, 2), (6.05, 1)):
        environment.run(until=until)
        running.pools["all"].remove(gone)
    environment.run()

    assert len(running.through) == running.arrived == 60


def test_new_worker_takes_the_waiting_photos() -> None:
    environment = simpy.Environment()
    running = Running(environment, one_stage(Pool(0), forward_seconds=1.0), seed=1)
    environment.process(running.arrive_at([0.0, 0.0]))
    environment.run(until=5)

    running.add(running.pools["all"], 1)
    environment.run()

    assert [photo.ended for photo in running.through] == [6.0, 7.0]
