import re
import statistics
from pathlib import Path

import pytest
import yaml
from benchmarks.capacity import answers, autoscale, fleet, page
from benchmarks.capacity.simulation import simulate
from benchmarks.capacity.system import Pool, Stage, System

FIGURES = fleet.read_figures()
CHART = Path(__file__).parents[3] / "deploy" / "kubernetes"


def test_photos_wait_as_the_formula_of_fixed_times_says() -> None:
    stage = Stage(name="one", pool="all", photo_seconds=1.0)
    system = System(stages=(stage,), pools={"all": Pool(1)})

    outcome = simulate(system, 0.7, seconds=5_000, warm_up=200, seed=3)

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
    assert answers.read_answers().digest == FIGURES.digest, "run `python -m benchmarks.capacity`"


def test_page_contains_the_tables_of_the_answers() -> None:
    text = page.PAGE.read_text()

    shown = page.render_page(text, FIGURES, answers.read_answers())

    assert shown == text, "run `python -m benchmarks.capacity --tables-only`"
