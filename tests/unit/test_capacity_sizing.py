"""Fleets that loads need, and saturation of servers: rules that hold for any figures."""

import importlib.util
import itertools
import re

import pytest

from capacity import fleet, sizing
from capacity.fleet import CPU, GPU

FIGURES = fleet.read()
RATES = (0.1, 1.0, 10.0, 33.0, 100.0, 385.0, 1000.0, 5000.0)


@pytest.mark.parametrize("kind", FIGURES.kinds)
def test_more_photos_never_need_less(kind: str) -> None:
    stand = [sizing.fleet(FIGURES, kind, rate) for rate in RATES]

    for fewer, more in itertools.pairwise(stand):
        assert fewer.cells <= more.cells
        assert fewer.gpus <= more.gpus
        assert fewer.cores <= more.cores


@pytest.mark.parametrize("rate", RATES)
def test_faster_gpus_are_never_more(rate: float) -> None:
    by_speed = sorted(FIGURES.kinds, key=FIGURES.gpu_seconds)

    needed = [sizing.needed(FIGURES, kind, rate)[GPU] for kind in by_speed]

    assert needed == sorted(needed)


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


def test_plan_ends_as_many_photos_as_come() -> None:
    stands = sizing.fleet(FIGURES, "H100", 10)

    outcome = sizing.try_out(sizing.system(FIGURES, stands), 10)

    assert outcome.rate == pytest.approx(10, rel=0.1)
    assert outcome.busy[GPU] < sizing.BUSY_WORKERS
    assert outcome.percentile(50) < outcome.percentile(95) < 2


def test_month_costs_machines_and_storage() -> None:
    stands = sizing.Fleet("H100", cells=2, gpus=4, cores=10, api_cores=2)

    dollars = sizing.monthly(FIGURES, stands, 10)

    hours = FIGURES.prices["hours_per_month"]
    assert dollars["GPUs"] == 4 * hours * FIGURES.prices["gpu_hour"]["H100"]
    assert dollars["cores"] == 12 * hours * FIGURES.prices["core_hour"]["worker"]
    twice = sizing.monthly(FIGURES, stands, 20)
    changed = {what for what in dollars if dollars[what] != twice[what]}
    assert changed == {"storage: requests", "storage: what is kept"}


@pytest.mark.parametrize("name", sorted(FIGURES.measured))
def test_every_figure_names_its_source(name: str) -> None:
    table = FIGURES.measured[name]

    assert table["source"] in {"measured", "cited", "assumed"}
    if table["source"] == "measured":
        commands = re.findall(r"python -m (benchmarks\.\w+)", table["by"])
        assert commands
        assert all(importlib.util.find_spec(one) for one in commands)
    elif table["source"] == "cited" and name != "kinds":
        assert table["by"].startswith("https://")
