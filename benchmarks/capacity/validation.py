"""Read and write the comparisons of simulation and running system (`benchmarks.validation`)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.capacity.json_lines import to_json_lines

FILE: Final = Path(__file__).parent / "validation.json"
_P95: Final = 95


@dataclass(frozen=True, slots=True)
class LatencyFigures:
    """Jobs a second, and percentiles 1 to 99 of the duration of jobs, in seconds."""

    rate: float
    percentiles: Sequence[float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One load of one fleet.

    load: the load of its busiest pool, 0 to 1 and more.  seen: measured; foretold: simulated.
    others_p95: p95 of simulations with other random arrivals, rising: the variation of one run.
    """

    fleet: str
    load: float
    jobs: int
    seen: LatencyFigures
    foretold: LatencyFigures
    others_p95: Sequence[float]

    @property
    def rate_off_percent(self) -> float:
        """By how much the simulated rate exceeds the measured one."""
        return 100 * (self.foretold.rate / self.seen.rate - 1)

    @property
    def p95_off_percent(self) -> float:
        """By how much the simulated p95 exceeds the measured one."""
        return 100 * (self.foretold.percentiles[_P95 - 1] / self.seen.percentiles[_P95 - 1] - 1)


def read_comparisons() -> list[Comparison]:
    """Return the stored comparisons of every fleet."""
    return [
        Comparison(**{**load, **{key: LatencyFigures(**load[key]) for key in ("seen", "foretold")}})
        for load in json.loads(FILE.read_text())
    ]


def write_comparison(fleet: str, compared: Sequence[Comparison]) -> None:
    """Store the comparisons of a fleet in place of its previous ones."""
    before = read_comparisons() if FILE.exists() else []
    kept = [*(row for row in before if row.fleet != fleet), *compared]
    kept.sort(key=lambda row: (row.fleet, row.load))
    FILE.write_text(to_json_lines(kept) + "\n")
