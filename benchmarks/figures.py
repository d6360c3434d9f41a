"""Print figures, which are samples with a goal, as a table and as JSON."""

import argparse
import json
import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from rich.console import Console
from rich.table import Table

Number = TypeVar("Number", int, float)
_WIDTH = 140  # characters of the table, also in a pipe and in a narrow window


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One quantity with its measured samples.

    at: the place on the curve of all figures with this name; None: no curve.
    goal: limit of the median, at most or at least, by `kind`; None: no goal.
    """

    name: str
    unit: str
    samples: Sequence[float]
    at: float | None = None
    goal: float | None = None
    kind: Literal["at most", "at least"] = "at most"

    @property
    def median(self) -> float:
        """Return the median of the samples."""
        return statistics.median(self.samples)

    @property
    def reached(self) -> bool | None:
        """Return whether the median reaches the goal; None without a goal."""
        if self.goal is None:
            return None
        return self.median <= self.goal if self.kind == "at most" else self.median >= self.goal

    def as_json(self) -> dict[str, object]:
        """Return the figure as a JSON object."""
        low, high = quartiles(self.samples)
        return {
            "name": self.name,
            "at": self.at,
            "unit": self.unit,
            "median": round(self.median, 3),
            "quartiles": [round(low, 3), round(high, 3)],
            "range": [round(min(self.samples), 3), round(max(self.samples), 3)],
            "samples": len(self.samples),
            "goal": None if self.goal is None else {"kind": self.kind, "value": self.goal},
            "reached": self.reached,
        }


def read_number(about: str | None, name: str, default: Number) -> Number:
    """Return a benchmark's one argument, a positive number; any other ends it with its usage."""

    def number(text: str) -> Number:
        if not 0 < (value := type(default)(text)) < math.inf:
            raise ValueError
        return value

    parser = argparse.ArgumentParser(description=about)
    parser.add_argument(name, nargs="?", type=number, default=default)
    value: Number = vars(parser.parse_args())[name]
    return value


def quartiles(samples: Sequence[float]) -> tuple[float, float]:
    """Return the first and the third quartile."""
    if len(samples) == 1:
        return samples[0], samples[0]
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return low, high


def percentile(samples: Sequence[float], percent: int) -> float:
    """Return a percentile, interpolated between the two nearest samples."""
    return statistics.quantiles(samples, n=100, method="inclusive")[percent - 1]


def print_figures(figures: Sequence[Figure]) -> None:
    """Print figures as a table, then as one line of JSON."""
    console = Console(highlight=False, width=_WIDTH)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("what", "median", "quartiles", "range", "samples", "goal", ""):
        table.add_column(column, no_wrap=True)
    for figure in figures:
        goal = "" if figure.goal is None else f"{figure.kind} {figure.goal:g} {figure.unit}"
        verdict = {True: "reached", False: "MISSED", None: ""}[figure.reached]
        table.add_row(
            figure.name if figure.at is None else f"{figure.name}: {figure.at:g}",
            f"{_short(figure.median)} {figure.unit}",
            "–".join(map(_short, quartiles(figure.samples))),
            "–".join(map(_short, (min(figure.samples), max(figure.samples)))),
            str(len(figure.samples)),
            goal,
            verdict,
        )
    console.print(table)
    document = {
        "cores": os.cpu_count(),
        # A load above the number of cores means that other work made the times too long.
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "figures": [figure.as_json() for figure in figures],
    }
    print(json.dumps(document))


def _short(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"  # noqa: PLR2004 - three digits
