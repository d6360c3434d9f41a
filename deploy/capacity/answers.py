"""What the simulation answers, kept in `answers.json` for docs/capacity.md and its figures."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from capacity import sizing
from capacity.autoscale import MOST_WORKERS, ROWS_PER_WORKER, Rule, spike
from capacity.fleet import GPU, Figures
from capacity.kept import lines
from capacity.sizing import Fleet, Plan

FILE: Final = Path(__file__).parent / "answers.json"
RATES: Final = (10.0, 100.0, 5000.0)
# What is shown of one kind is shown of this one.
KIND: Final = "L4"
SPIKE_RATE, SPIKE_TIMES = 10.0, 10.0
LOADS: Final = (0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
BUSIEST: Final = (0.95, 0.8, sizing.BUSY_SERVER, 0.4)
_NO_BOUND: Final = 1000
_MOMENTS: Final = 3  # every so many is kept
_FIRST_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Curve:
    """p95 against the load, of workers that were sized for `rate` photos a second in one cell.

    points: load of the busiest pool (0 to 1), p50 and p95 in seconds.
    """

    rate: float
    points: Sequence[tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Crowd:
    """What a spike met under a rule.

    first_p95, last_p95: of the photos of its first and last five minutes; over: when its queue
    was gone, since it began; all in seconds.  moments: seconds since it began,
    ready rows, GPUs.
    """

    rule: Rule
    first_p95: float
    last_p95: float
    over: float
    most: int
    hours: float
    moments: Sequence[tuple[float, int, int]]


@dataclass(frozen=True, slots=True)
class Answers:
    """All of it.  digest: of the figures that it was made of.

    plans: by rate, then by kind; cells: of the greatest rate in more and more cells.
    """

    digest: str
    plans: Sequence[Plan]
    cells: Sequence[Plan]
    curves: Sequence[Curve]
    crowds: Sequence[Crowd]


def find(figures: Figures) -> Answers:
    """Simulate all of it: some minutes."""
    return Answers(
        digest=figures.digest,
        plans=[sizing.plan(figures, kind, rate) for rate in RATES for kind in figures.kinds],
        cells=[sizing.plan(figures, KIND, RATES[-1], cells=cells) for cells in _cells(figures)],
        curves=[_curve(figures, rate) for rate in (*RATES[:-1], _of_a_cell(figures))],
        crowds=[_crowd(figures, rule) for rule in _rules(figures)],
    )


def keep(answers: Answers) -> None:
    """Write answers to their file."""
    told = (
        f'"digest":"{answers.digest}"',
        f'"plans":{lines(answers.plans)}',
        f'"cells":{lines(answers.cells)}',
        f'"curves":{lines(answers.curves)}',
        f'"crowds":{lines(answers.crowds)}',
    )
    FILE.write_text("{" + ",\n".join(told) + "}\n")


def read() -> Answers:
    """Return the answers that were kept last."""
    kept = json.loads(FILE.read_text())
    return Answers(
        digest=kept["digest"],
        plans=[_plan(one) for one in kept["plans"]],
        cells=[_plan(one) for one in kept["cells"]],
        curves=[Curve(**one) for one in kept["curves"]],
        crowds=[Crowd(**{**one, "rule": Rule(**one["rule"])}) for one in kept["crowds"]],
    )


def _cells(figures: Figures) -> Iterator[int]:
    bears = min(figures.saturation.values())
    for busiest in BUSIEST:
        yield math.ceil(RATES[-1] / (bears * busiest))


def _of_a_cell(figures: Figures) -> float:
    return RATES[-1] / sizing.fleet(figures, KIND, RATES[-1]).cells


def _curve(figures: Figures, rate: float) -> Curve:
    workers = sizing.needed(figures, KIND, rate)
    cell, most = figures.system(KIND, workers), sizing.most(figures, KIND, workers)
    points = []
    for load in LOADS:
        outcome = sizing.try_out(cell, load * most)
        points.append((load, outcome.percentile(50), outcome.percentile(95)))
    return Curve(rate, points)


def _rules(figures: Figures) -> Iterator[Rule]:
    before, crowded = (
        sizing.needed(figures, KIND, rate)[GPU] for rate in (SPIKE_RATE, SPIKE_RATE * SPIKE_TIMES)
    )
    yield Rule(ROWS_PER_WORKER, before, MOST_WORKERS)
    yield Rule(ROWS_PER_WORKER, before, crowded)
    yield Rule(ROWS_PER_WORKER, before, 2 * crowded)
    yield Rule(ROWS_PER_WORKER, before, _NO_BOUND)
    yield Rule(10 * ROWS_PER_WORKER, before, 2 * crowded)
    yield Rule(ROWS_PER_WORKER, crowded, crowded)


def _crowd(figures: Figures, rule: Rule) -> Crowd:
    seen = spike(figures, KIND, rule, rate=SPIKE_RATE, times=SPIKE_TIMES)
    return Crowd(
        rule=rule,
        first_p95=seen.p95(since=seen.begins, until=seen.begins + _FIRST_SECONDS),
        last_p95=seen.p95(since=seen.ends - _FIRST_SECONDS, until=seen.ends),
        over=seen.over_seconds,
        most=seen.most_gpus,
        hours=seen.gpu_hours,
        moments=[(one.at - seen.begins, one.waiting, one.gpus) for one in seen.moments[::_MOMENTS]],
    )


def _plan(kept: dict[str, Any]) -> Plan:
    return Plan(**{**kept, "fleet": Fleet(**kept["fleet"])})
