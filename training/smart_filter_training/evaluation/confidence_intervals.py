"""Compute the confidence interval of a figure by resampling its photos (bootstrap).

Source: Efron & Tibshirani 1993, "An introduction to the bootstrap", chapter 13, percentiles.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from smart_filter_workers.results import Doubles

# Computes figures by name from numbers (N, K) and weights (N,).
ComputeFigures: TypeAlias = Callable[[Doubles, Doubles], Mapping[str, float]]

BOOTSTRAP_SAMPLES: Final = 1000
PERCENTILES: Final = (2.5, 97.5)
SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of all photos, with its 95 % interval over samples of the same size."""

    value: float
    low: float
    high: float


def compute_figures(numbers: Doubles, compute: ComputeFigures) -> dict[str, Figure]:
    """Return each figure of the photos with its interval.

    numbers: (N, K) float64, a row for each photo.
    """
    whole = compute(numbers, np.ones(len(numbers)))
    drawn = _bootstrap(numbers, compute)
    return {name: _to_figure(value, drawn[name]) for name, value in whole.items()}


def compute_differences(
    numbers: Doubles, others: Doubles, compute: ComputeFigures
) -> dict[str, Figure]:
    """Return how far each figure of `numbers` exceeds the figure of `others`, with its interval.

    Rows of both belong to the same photos, and both are resampled alike: a photo that is hard for
    both does not blur the difference.
    """
    ones = np.ones(len(numbers))
    first, second = compute(numbers, ones), compute(others, ones)
    drawn, compared = _bootstrap(numbers, compute), _bootstrap(others, compute)
    return {
        name: _to_figure(value - second[name], drawn[name] - compared[name])
        for name, value in first.items()
    }


def _bootstrap(numbers: Doubles, compute: ComputeFigures) -> dict[str, Doubles]:
    count = len(numbers)
    drawing = np.random.default_rng(SEED)
    rows = [
        compute(numbers, drawing.multinomial(count, np.full(count, 1 / count)).astype(np.float64))
        for _ in range(BOOTSTRAP_SAMPLES)
    ]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _to_figure(value: float, drawn: Doubles) -> Figure:
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return Figure(value, float("nan"), float("nan"))
    low, high = np.percentile(finite, PERCENTILES)
    return Figure(value, float(low), float(high))
