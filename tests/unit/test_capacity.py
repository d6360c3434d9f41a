import math
import re
import statistics
from pathlib import Path

import pytest
import yaml

from smart_filter_training.capacity import answers, autoscale, fleet, page, validation
from smart_filter_training.capacity.simulation import simulate
from smart_filter_training.capacity.system import Draw, Pool, Stage, System, exponential, fixed_time

FIGURES = fleet.read_figures()
CHART = Path(__file__).parents[2] / "deploy" / "kubernetes"


def waits_of_many(rate: float, service_rate: float, threads: int) -> float:
    """Return the mean seconds in M/M/c.  Source: Erlang C; Kleinrock 1975, Queueing Systems I."""
    offered = rate / service_rate
    full = offered**threads / math.factorial(threads) / (1 - offered / threads)
    fewer = sum(offered**count / math.factorial(count) for count in range(threads))
    return full / (fewer + full) / (threads * service_rate - rate) + 1 / service_rate


def one_stage(threads: int, draw: Draw) -> System:
    stage = Stage(name="one", pool="all", photo_seconds=1.0)
    return System(stages=(stage,), pools={"all": Pool(threads)}, draw=draw)


@pytest.mark.parametrize(("threads", "rate"), [(1, 0.6), (3, 2.1)])
def test_exponential_stages_wait_as_the_erlang_formula_says(threads: int, rate: float) -> None:
    system = one_stage(threads, exponential)

    outcome = simulate(system, rate, seconds=3_000 / rate, warm_up=200, seed=3)

    seconds = statistics.mean(photo.seconds for photo in outcome.photos)
    # Of 3,000 photos at this load the mean itself is known to about a twentieth.
    assert seconds == pytest.approx(waits_of_many(rate, 1.0, threads), rel=0.1)
    assert outcome.busy["all"] == pytest.approx(rate / threads, rel=0.05)


def test_fixed_stages_wait_half_as_long() -> None:
    outcome = simulate(one_stage(1, fixed_time), 0.7, seconds=5_000, warm_up=200, seed=3)

    # M/D/1. Source: Pollaczek–Khinchine.
    expected = 1 + 0.7 / (2 * (1 - 0.7))
    seconds = statistics.mean(photo.seconds for photo in outcome.photos)
    assert seconds == pytest.approx(expected, rel=0.1)


def test_rules_equal_those_of_the_chart() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    template = (CHART / "templates" / "workers.yaml").read_text()

    assert values["scaling"]["cooldownSeconds"] == autoscale.WINDOW_SECONDS
    assert values["workers"]["rowsPerPod"] == autoscale.ROWS_PER_WORKER
    assert values["workers"]["maxReplicas"] == autoscale.MAX_WORKERS
    [(percent, seconds)] = re.findall(r"Percent, value: (\d+), periodSeconds: (\d+)", template)
    assert (int(percent) / 100, int(seconds)) == (autoscale.FEWER_SHARE, autoscale.FEWER_SECONDS)


def test_answers_follow_from_these_figures() -> None:
    assert answers.read_answers().digest == FIGURES.digest, (
        "run `python -m smart_filter_training.capacity`"
    )


def test_page_contains_the_tables_of_the_answers() -> None:
    text = page.PAGE.read_text()

    shown = page.render_page(text, FIGURES, answers.read_answers(), validation.read_comparisons())

    assert shown == text, "run `python -m smart_filter_training.capacity --tables-only`"
