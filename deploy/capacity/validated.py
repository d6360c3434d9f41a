"""What the running system did and what was foretold of it, as `benchmarks.validation` kept it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from capacity.kept import lines

FILE: Final = Path(__file__).parent / "validated.json"
_P95: Final = 95


@dataclass(frozen=True, slots=True)
class Told:
    """Jobs a second, and percentiles 1 to 99 of how long jobs took, in seconds."""

    rate: float
    percentiles: Sequence[float]


@dataclass(frozen=True, slots=True)
class Compared:
    """One load of one fleet.

    load: of what its busiest pool can do, 0 to 1 and more.  others_p95: p95 of simulations whose
    jobs came at other random times, rising: how much chance there is in one run.
    """

    fleet: str
    load: float
    jobs: int
    seen: Told
    foretold: Told
    others_p95: Sequence[float]

    @property
    def rate_off_percent(self) -> float:
        """By how much more was foretold than was seen."""
        return 100 * (self.foretold.rate / self.seen.rate - 1)

    @property
    def p95_off_percent(self) -> float:
        """By how much more was foretold than was seen."""
        return 100 * (self.foretold.percentiles[_P95 - 1] / self.seen.percentiles[_P95 - 1] - 1)


def read() -> list[Compared]:
    """Return what was kept last of every fleet."""
    return [
        Compared(**{**one, **{key: Told(**one[key]) for key in ("seen", "foretold")}})
        for one in json.loads(FILE.read_text())
    ]


def keep(fleet: str, compared: Sequence[Compared]) -> None:
    """Keep what came of a fleet, in place of what was kept of it before."""
    before = read() if FILE.exists() else []
    kept = [*(one for one in before if one.fleet != fleet), *compared]
    kept.sort(key=lambda one: (one.fleet, one.load))
    FILE.write_text(lines(kept) + "\n")
