"""How many cells, GPUs and cores a load needs, how long photos take then, and what it costs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from capacity.fleet import CPU, GPU, Figures
from capacity.simulation import Outcome, simulate
from capacity.system import System

# How busy workers are in the mean, and the busiest shared server of a cell at most: what is
# busier makes photos wait whenever more arrive than usual.
BUSY_WORKERS: Final = 0.7
BUSY_SERVER: Final = 0.6
_PHOTOS: Final = 3000
_WARM_UP_SECONDS: Final = 10.0
_LEAST_SECONDS: Final = 5.0
_SECONDS_PER_HOUR: Final = 3600
_HOURS_PER_DAY: Final = 24
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Fleet:
    """What stands ready, in all cells together.  cores: of workers; api_cores: of the API."""

    kind: str
    cells: int
    gpus: int
    cores: int
    api_cores: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load needs.

    rate: photos a second.  p50, p95: how long photos take, in seconds.
    busy: how much of each server and pool is used, 0 to 1.  monthly: dollars by what they are for.
    """

    rate: float
    fleet: Fleet
    p50: float
    p95: float
    busy: Mapping[str, float]
    monthly: Mapping[str, float]
    dollars_per_million: float


def fleet(figures: Figures, kind: str, rate: float, *, cells: int | None = None) -> Fleet:
    """Return what so many photos a second need with GPUs of one kind.

    cells: how many; without, as few as leave the busiest shared server of each within
    `BUSY_SERVER`. All cells are alike.
    """
    if cells is None:
        cells = math.ceil(rate / (BUSY_SERVER * min(figures.saturation.values())))
    workers = needed(figures, kind, rate / cells)
    api_cores = math.ceil(rate / cells * figures.api_seconds / BUSY_WORKERS)
    return Fleet(
        kind=kind,
        cells=cells,
        gpus=cells * workers[GPU],
        cores=cells * workers[CPU] * figures.cores_per_worker,
        api_cores=cells * api_cores,
    )


def needed(figures: Figures, kind: str, rate: float) -> dict[str, int]:
    """Return how many workers of each pool one cell needs for so many photos a second.

    As many as keep threads, and what they compute on, busy for `BUSY_WORKERS` of the time.
    """
    return {
        name: math.ceil(rate * seconds / BUSY_WORKERS)
        for name, seconds in _worker_seconds(figures, kind).items()
    }


def most(figures: Figures, kind: str, workers: Mapping[str, int]) -> float:
    """Return how many photos a second so many workers of each pool can do at the very most."""
    return min(workers[name] / one for name, one in _worker_seconds(figures, kind).items())


def _worker_seconds(figures: Figures, kind: str) -> dict[str, float]:
    """Return for how long one photo keeps one worker of each pool busy, in seconds."""
    system = figures.system(kind, {CPU: 1, GPU: 1})
    found = {}
    for name, pool in system.pools.items():
        stages = [stage for stage in system.stages if stage.pool == name]
        computing = sum(stage.forward_seconds for stage in stages) / pool.slots
        holding = sum(stage.alone_seconds for stage in stages) / pool.threads
        found[name] = max(computing, holding)
    return found


def plan(figures: Figures, kind: str, rate: float, *, cells: int | None = None) -> Plan:
    """Return what so many photos a second need, and what comes of it."""
    stands = fleet(figures, kind, rate, cells=cells)
    outcome = try_out(system(figures, stands), rate / stands.cells)
    dollars = monthly(figures, stands, rate)
    return Plan(
        rate=rate,
        fleet=stands,
        p50=outcome.percentile(50),
        p95=outcome.percentile(95),
        busy=outcome.busy,
        monthly=dollars,
        dollars_per_million=sum(dollars.values()) / _photos_per_month(figures, rate) * _MILLION,
    )


def system(figures: Figures, stands: Fleet) -> System:
    """Return one cell of what stands ready."""
    each = stands.cells * figures.cores_per_worker
    return figures.system(
        stands.kind, {GPU: stands.gpus // stands.cells, CPU: stands.cores // each}
    )


def try_out(cell: System, rate: float) -> Outcome:
    """Let so many photos a second come to one cell, some thousands in all."""
    seconds = max(_LEAST_SECONDS, _PHOTOS / rate)
    return simulate(cell, rate, seconds=seconds, warm_up=_WARM_UP_SECONDS)


def monthly(figures: Figures, stands: Fleet, rate: float) -> dict[str, float]:
    """Return what a month costs in dollars, by what it is for; so many photos a second come."""
    prices, hours = figures.prices, figures.prices["hours_per_month"]
    millions = _photos_per_month(figures, rate) / _MILLION
    storage = prices["storage"]
    requests = figures.puts * storage["million_puts"] + figures.gets * storage["million_gets"]
    kept_gigabytes = millions * _MILLION * storage["kept_gigabyte_days"] * _HOURS_PER_DAY / hours
    database_cores = stands.cells * figures.measured["database_server"]["cores"]
    return {
        "GPUs": stands.gpus * hours * prices["gpu_hour"][stands.kind],
        "cores": (stands.cores + stands.api_cores) * hours * prices["core_hour"]["worker"],
        "database": database_cores * hours * prices["core_hour"]["database"],
        "storage: requests": millions * requests,
        "storage: what is kept": kept_gigabytes * storage["gigabyte_month"],
    }


def _photos_per_month(figures: Figures, rate: float) -> float:
    return rate * float(figures.prices["hours_per_month"]) * _SECONDS_PER_HOUR
