"""How many cells, GPUs and cores a load needs, how long photos take then, and what it costs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from capacity.fleet import GETS, PUTS, Figures
from capacity.simulation import simulate

# How busy workers are in the mean, and the busiest shared server of a cell at most: what is
# busier makes photos wait whenever more arrive than usual.
BUSY_WORKERS: Final = 0.7
BUSY_SERVER: Final = 0.6
_PHOTOS: Final = 3000
_WARM_UP_SECONDS: Final = 10.0
_LEAST_SECONDS: Final = 5.0
_SECONDS_PER_HOUR: Final = 3600
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load needs.

    rate: photos a second.  gpus, cores: of all cells.  p50, p95: how long photos take, in seconds.
    busy: how much of each server is used, 0 to 1.  monthly: dollars by what they are for.
    """

    kind: str
    rate: float
    cells: int
    gpus: int
    cores: int
    p50: float
    p95: float
    busy: Mapping[str, float]
    monthly: Mapping[str, float]
    photos_per_month: float

    @property
    def dollars(self) -> float:
        """All of a month."""
        return sum(self.monthly.values())

    @property
    def dollars_per_million(self) -> float:
        """What a million photos cost."""
        return self.dollars / self.photos_per_month * _MILLION


def plan(figures: Figures, kind: str, rate: float) -> Plan:
    """Return what so many photos a second need with GPUs of one kind.

    A cell is as large as its busiest shared server allows; all cells are alike.
    """
    cells = math.ceil(rate / (BUSY_SERVER * min(figures.saturation.values())))
    each = rate / cells
    gpus = math.ceil(each * figures.gpu_seconds(kind) / BUSY_WORKERS)
    cores = math.ceil(each * figures.core_seconds / BUSY_WORKERS)
    outcome = simulate(
        figures.system(kind, cores=cores, gpus=gpus),
        each,
        seconds=max(_LEAST_SECONDS, _PHOTOS / each),
        warm_up=_WARM_UP_SECONDS,
    )
    return Plan(
        kind=kind,
        rate=rate,
        cells=cells,
        gpus=gpus * cells,
        cores=cores * cells,
        p50=outcome.percentile(50),
        p95=outcome.percentile(95),
        busy=outcome.busy,
        photos_per_month=rate * figures.prices["hours_per_month"] * _SECONDS_PER_HOUR,
        monthly=_monthly(figures, kind, rate, gpus=gpus * cells, cores=cores * cells, cells=cells),
    )


def _monthly(
    figures: Figures, kind: str, rate: float, *, gpus: int, cores: int, cells: int
) -> dict[str, float]:
    prices, hours = figures.prices, figures.prices["hours_per_month"]
    photos = rate * hours * _SECONDS_PER_HOUR
    storage = prices["storage"]
    per_million = figures.puts * storage["million_puts"] + figures.gets * storage["million_gets"]
    days = hours / 24
    return {
        "GPUs": gpus * hours * prices["gpu_hour"][kind],
        "cores": cores * hours * prices["core_hour"]["worker"],
        "database": cells
        * figures.measured["database"]["cores"]
        * hours
        * prices["core_hour"]["database"],
        f"storage: {PUTS}, {GETS}": photos / _MILLION * per_million,
        "storage: kept": photos * storage["kept_gigabyte_days"] / days * storage["gigabyte_month"],
    }
