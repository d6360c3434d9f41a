"""The simulation of capacity against queueing theory, and the fleets that it plans."""

import math
import random
import re
from pathlib import Path

import pytest
import simpy
import yaml

from capacity import answers, autoscale, fleet, page, sizing, validated
from capacity.autoscale import Rule
from capacity.fleet import CPU, GPU
from capacity.simulation import Running, replay, simulate
from capacity.system import Draw, Pool, Stage, System, Visit, exponential, fixed


def one_stage(pool: Pool, draw: Draw = fixed, **stage: float) -> System:
    return System(stages=(Stage(name="one", pool="all", **stage),), pools={"all": pool}, draw=draw)


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


FIGURES = fleet.read()
FEW = 10  # photos
CHART = Path(__file__).parents[2] / "deploy" / "kubernetes"


def test_workers_come_once_started_keep_within_bounds_and_lose_no_photo() -> None:
    spike = autoscale.spike(
        FIGURES,
        "H100",
        Rule(8, least=0, most=3),
        rate=2,
        times=40,
        quiet_seconds=15,
        crowd_seconds=15,
        after_seconds=600,
    )

    gpus = [moment.gpus for moment in spike.moments]
    assert (min(gpus), max(gpus), gpus[-1]) == (0, 3, 1)
    # Photos come from the beginning: the first look wants a worker.
    first = next(moment.at for moment in spike.moments if moment.gpus > 0)
    assert first == autoscale.LOOK_SECONDS + FIGURES.gpu_start_seconds
    # Photos of the last second may be under way.
    assert spike.arrived - len(spike.photos) < FEW
    assert spike.moments[-1].waiting < FEW


def test_rules_are_those_of_the_chart() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    template = (CHART / "templates" / "workers.yaml").read_text()

    assert values["scaling"]["cooldownSeconds"] == autoscale.LOOK_BACK_SECONDS
    assert values["workers"]["rowsPerPod"] == autoscale.ROWS_PER_WORKER
    assert values["workers"]["maxReplicas"] == autoscale.MOST_WORKERS
    [(percent, seconds)] = re.findall(r"Percent, value: (\d+), periodSeconds: (\d+)", template)
    assert (int(percent) / 100, int(seconds)) == (
        autoscale.FEWER_SHARE,
        autoscale.FEWER_SECONDS,
    )


def test_answers_are_of_these_figures() -> None:
    assert answers.read().digest == FIGURES.digest, "run `python -m capacity`"


def test_page_has_the_tables_of_the_answers() -> None:
    text = page.PAGE.read_text()

    shown = page.page(text, FIGURES, answers.read(), validated.read())

    assert shown == text, "run `python -m capacity --tables-only`"


RATES = (0.1, 1.0, 10.0, 33.0, 100.0, 385.0, 1000.0, 5000.0)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", FIGURES.kinds)
def test_workers_are_as_busy_as_they_may_be(kind: str, rate: float) -> None:
    workers = sizing.needed(FIGURES, kind, rate)

    assert sizing.most(FIGURES, kind, workers) * sizing.BUSY_WORKERS >= rate
    fewer = {CPU: workers[CPU] - 1, GPU: workers[GPU] - 1}
    assert sizing.most(FIGURES, kind, fewer) * sizing.BUSY_WORKERS < rate


@pytest.mark.parametrize("rate", RATES)
def test_no_shared_server_of_a_cell_is_near_its_end(rate: float) -> None:
    cells = sizing.fleet(FIGURES, "L4", rate).cells

    busiest = max(rate / cells / most for most in FIGURES.saturation.values())

    assert busiest <= sizing.BUSY_SERVER
    assert cells == 1 or rate / (cells - 1) / min(FIGURES.saturation.values()) > sizing.BUSY_SERVER
