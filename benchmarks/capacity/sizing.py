"""Compute the cells, GPUs and cores for a load, the duration of its photos, and its cost."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.capacity.fleet import CPU, GPU, Figures
from benchmarks.capacity.simulation import Outcome, simulate
from benchmarks.capacity.system import System

# The mean load of workers, and the highest load of a cell's busiest shared server: above them,
# photos wait whenever more arrive than usual.
BUSY_WORKERS: Final = 0.7
BUSY_SERVER: Final = 0.6
_PHOTOS: Final = 3000
_WARM_UP_SECONDS: Final = 10.0
_MIN_SECONDS: Final = 5.0
_SECONDS_PER_HOUR: Final = 3600
_HOURS_PER_DAY: Final = 24
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Fleet:
    """The machines of all cells together.  cores: of workers; api_cores: of the API."""

    kind: str
    cells: int
    gpus: int
    cores: int
    api_cores: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The fleet for a load, with its latency and cost.

    rate: photos a second.  p50, p95: the duration of photos, in seconds.
    busy: the load of each server and pool, 0 to 1.  monthly: dollars by purpose.
    """

    rate: float
    fleet: Fleet
    p50: float
    p95: float
    busy: Mapping[str, float]
    monthly: Mapping[str, float]
    dollars_per_million: float


def size_fleet(figures: Figures, kind: str, rate: float) -> Fleet:
    """Return the fleet for a rate, in photos a second, with GPUs of one kind.

    Cells are as few as keep the busiest shared server of each within `BUSY_SERVER`. All are alike.
    """
    cells = math.ceil(rate / (BUSY_SERVER * min(figures.saturation(kind).values())))
    workers = count_workers(figures, kind, rate / cells)
    api_cores = math.ceil(rate / cells * figures.api_seconds / BUSY_WORKERS)
    return Fleet(
        kind=kind,
        cells=cells,
        gpus=cells * workers.get(GPU, 0),
        cores=cells * workers[CPU] * figures.cores_per_worker,
        api_cores=cells * api_cores,
    )


def count_workers(figures: Figures, kind: str, rate: float) -> dict[str, int]:
    """Return how many workers of each pool one cell needs for a rate, in photos a second.

    Their threads, and the cores or GPUs, are then busy for `BUSY_WORKERS` of the time.
    """
    return {
        name: math.ceil(rate * seconds / BUSY_WORKERS)
        for name, seconds in _worker_seconds(figures, kind).items()
    }


def max_rate(figures: Figures, kind: str, workers: Mapping[str, int]) -> float:
    """Return the photos a second that saturate these workers."""
    return min(workers[name] / seconds for name, seconds in _worker_seconds(figures, kind).items())


def _worker_seconds(figures: Figures, kind: str) -> dict[str, float]:
    """Return the seconds that one photo keeps one worker of each pool busy."""
    system = figures.system(kind, {CPU: 1, GPU: 1})
    seconds = {}
    for name, pool in system.pools.items():
        stages = [stage for stage in system.stages if stage.pool == name]
        computing = sum(stage.forward_seconds for stage in stages) / pool.slots
        holding = sum(stage.alone_seconds for stage in stages) / pool.threads
        seconds[name] = max(computing, holding)
    return seconds


def make_plan(figures: Figures, kind: str, rate: float) -> Plan:
    """Return the fleet for a rate, in photos a second, with its latency and cost."""
    fleet = size_fleet(figures, kind, rate)
    outcome = simulate_load(build_system(figures, fleet), rate / fleet.cells)
    dollars = monthly_cost(figures, fleet, rate)
    return Plan(
        rate=rate,
        fleet=fleet,
        p50=outcome.percentile(50),
        p95=outcome.percentile(95),
        busy=outcome.busy,
        monthly=dollars,
        dollars_per_million=sum(dollars.values()) / _photos_per_month(figures, rate) * _MILLION,
    )


def build_system(figures: Figures, fleet: Fleet) -> System:
    """Return one cell of a fleet."""
    each = fleet.cells * figures.cores_per_worker
    return figures.system(fleet.kind, {GPU: fleet.gpus // fleet.cells, CPU: fleet.cores // each})


def simulate_load(cell: System, rate: float) -> Outcome:
    """Simulate one cell at a rate, in photos a second, for some thousands of photos."""
    seconds = max(_MIN_SECONDS, _PHOTOS / rate)
    return simulate(cell, rate, seconds=seconds, warm_up=_WARM_UP_SECONDS)


def monthly_cost(figures: Figures, fleet: Fleet, rate: float) -> dict[str, float]:
    """Return the dollars of a month at a rate, in photos a second, by purpose."""
    prices, hours = figures.prices, figures.prices["hours_per_month"]
    millions = _photos_per_month(figures, rate) / _MILLION
    storage = prices["storage"]
    load = figures.load(fleet.kind)
    requests = load.puts * storage["million_puts"] + load.gets * storage["million_gets"]
    kept_gigabytes = millions * _MILLION * storage["kept_gigabyte_days"] * _HOURS_PER_DAY / hours
    database_cores = fleet.cells * figures.measured["database_server"]["cores"]
    return {
        "GPUs": fleet.gpus * hours * prices["gpu_hour"].get(fleet.kind, 0.0),
        "cores": (fleet.cores + fleet.api_cores) * hours * prices["core_hour"]["worker"],
        "database": database_cores * hours * prices["core_hour"]["database"],
        "storage: requests": millions * requests,
        "storage: what is kept": kept_gigabytes * storage["gigabyte_month"],
    }


def _photos_per_month(figures: Figures, rate: float) -> float:
    return rate * float(figures.prices["hours_per_month"]) * _SECONDS_PER_HOUR
