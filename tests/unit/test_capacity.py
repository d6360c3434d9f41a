"""The simulation of capacity, against what queueing theory says of queues that it knows."""

import math

import pytest

from capacity.simulation import simulate
from capacity.system import Pool, Stage, System, Visit, exponential, fixed


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
    system = System(
        stages=(Stage(name="one", pool="all", photo_seconds=1.0),),
        pools={"all": Pool(threads)},
        draw=exponential,
    )

    outcome = simulate(system, rate, seconds=4_000 / rate, warm_up=200, seed=3)

    seconds = mean([photo.seconds for photo in outcome.photos])
    # Of 4,000 photos at this load the mean itself is known to about a twentieth.
    assert seconds == pytest.approx(waits_of_many(rate, 1.0, threads), rel=0.1)
    assert outcome.busy["all"] == pytest.approx(rate / threads, rel=0.05)


def test_fixed_stages_wait_half_as_long() -> None:
    system = System(
        stages=(Stage(name="one", pool="all", photo_seconds=1.0),),
        pools={"all": Pool(1)},
        draw=fixed,
    )

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
    stage = Stage(name="one", pool="gpu", batch_seconds=1.0, photo_seconds=0.1)

    rates = [
        simulate(
            System(stages=(stage,), pools={"gpu": Pool(1, batch_size=batch_size)}), 20, seconds=200, warm_up=50
        ).rate
        for batch_size in (1, 8)
    ]

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
