"""Simulate all loads, and store the results in `answers.json` for docs/capacity.md."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.capacity import sizing
from benchmarks.capacity.autoscale import (
    MAX_WORKERS,
    ROWS_PER_WORKER,
    Rule,
    simulate_spike,
)
from benchmarks.capacity.fleet import GPU, NO_GPU, Figures
from benchmarks.capacity.json_lines import to_json_lines
from benchmarks.capacity.sizing import Fleet, Plan

FILE: Final = Path(__file__).parent / "answers.json"
RATES: Final = (10.0, 100.0, 1000.0)
# The kind of GPU of the tables and figures that show one kind only.
KIND: Final = "L4"
SPIKE_RATE, SPIKE_TIMES = 10.0, 10.0
LOADS: Final = (0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
_UNLIMITED: Final = 1000
_MOMENTS: Final = 3  # one of three snapshots is stored
_FIRST_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Curve:
    """p95 by load, for workers that are sized for `rate` photos a second in one cell.

    points: load of the busiest pool (0 to 1), p50 and p95 in seconds.
    """

    rate: float
    points: Sequence[tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class SpikeResult:
    """The result of a spike under a scaling rule.

    first_p95, last_p95: of the photos of its first and last five minutes; over: the time from
    its start until its queue is gone; all in seconds.  most: the most GPUs; hours: GPU hours.
    moments: seconds since its start, ready rows, GPUs.
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
    """All results.  digest: of the figures that they are computed from.

    plans: by rate, then by kind.
    """

    digest: str
    plans: Sequence[Plan]
    curves: Sequence[Curve]
    crowds: Sequence[SpikeResult]


def simulate_all(figures: Figures) -> Answers:
    """Run every simulation and return the results; this takes some minutes."""
    return Answers(
        digest=figures.digest,
        plans=[
            sizing.make_plan(figures, kind, rate)
            for rate in RATES
            for kind in (NO_GPU, *figures.kinds)
        ],
        curves=[_curve(figures, rate) for rate in (*RATES[:-1], _per_cell(figures))],
        crowds=[_crowd(figures, rule) for rule in _rules(figures)],
    )


def write_answers(answers: Answers) -> None:
    """Write answers to their file."""
    parts = (
        f'"digest":"{answers.digest}"',
        f'"plans":{to_json_lines(answers.plans)}',
        f'"curves":{to_json_lines(answers.curves)}',
        f'"crowds":{to_json_lines(answers.crowds)}',
    )
    FILE.write_text("{" + ",\n".join(parts) + "}\n")


def read_answers() -> Answers:
    """Return the answers that were stored last."""
    kept = json.loads(FILE.read_text())
    return Answers(
        digest=kept["digest"],
        plans=[_plan(plan) for plan in kept["plans"]],
        curves=[Curve(**curve) for curve in kept["curves"]],
        crowds=[
            SpikeResult(**{**crowd, "rule": Rule(**crowd["rule"])}) for crowd in kept["crowds"]
        ],
    )


def _per_cell(figures: Figures) -> float:
    return RATES[-1] / sizing.size_fleet(figures, KIND, RATES[-1]).cells


def _curve(figures: Figures, rate: float) -> Curve:
    workers = sizing.count_workers(figures, KIND, rate)
    cell, most = figures.system(KIND, workers), sizing.max_rate(figures, KIND, workers)
    points = []
    for load in LOADS:
        outcome = sizing.simulate_load(cell, load * most)
        points.append((load, outcome.percentile(50), outcome.percentile(95)))
    return Curve(rate, points)


def _rules(figures: Figures) -> Iterator[Rule]:
    before, crowded = (
        sizing.count_workers(figures, KIND, rate)[GPU]
        for rate in (SPIKE_RATE, SPIKE_RATE * SPIKE_TIMES)
    )
    yield Rule(ROWS_PER_WORKER, before, MAX_WORKERS)
    yield Rule(ROWS_PER_WORKER, before, crowded)
    yield Rule(ROWS_PER_WORKER, before, 2 * crowded)
    yield Rule(ROWS_PER_WORKER, before, _UNLIMITED)
    yield Rule(10 * ROWS_PER_WORKER, before, 2 * crowded)
    yield Rule(ROWS_PER_WORKER, crowded, crowded)


def _crowd(figures: Figures, rule: Rule) -> SpikeResult:
    seen = simulate_spike(figures, KIND, rule, rate=SPIKE_RATE, times=SPIKE_TIMES)
    return SpikeResult(
        rule=rule,
        first_p95=seen.p95(since=seen.begins, until=seen.begins + _FIRST_SECONDS),
        last_p95=seen.p95(since=seen.ends - _FIRST_SECONDS, until=seen.ends),
        over=seen.over_seconds,
        most=seen.most_gpus,
        hours=seen.gpu_hours,
        moments=[
            (moment.at - seen.begins, moment.waiting, moment.gpus)
            for moment in seen.moments[::_MOMENTS]
        ],
    )


def _plan(kept: dict[str, Any]) -> Plan:
    return Plan(**{**kept, "fleet": Fleet(**kept["fleet"])})
