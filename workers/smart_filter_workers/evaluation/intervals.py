"""How sure a figure is: drawn again and again from the photos that there are.

Source: Efron & Tibshirani 1993, "An introduction to the bootstrap", chapter 13, percentiles.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Numbers (N, K) and weights (N,) to figures by name.
Figures: TypeAlias = Callable[[Floats, Floats], Mapping[str, float]]

DRAWS: Final = 1000
PERCENT: Final = (2.5, 97.5)
SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of all photos, and between what it lies in 95 of 100 draws of as many photos."""

    value: float
    low: float
    high: float


def figures(numbers: Floats, compute: Figures) -> dict[str, Figure]:
    """Return each figure of the photos with its interval.

    numbers: (N, K) float64, a row for each photo.
    """
    whole = compute(numbers, np.ones(len(numbers)))
    drawn = _drawn(numbers, compute)
    return {name: _figure(value, drawn[name]) for name, value in whole.items()}


def differences(numbers: Floats, others: Floats, compute: Figures) -> dict[str, Figure]:
    """Return by how much each figure of `numbers` is above that of `others`.

    Rows of both are the same photos; both are drawn alike, so that what makes a photo hard for
    either does not blur how they compare.
    """
    ones = np.ones(len(numbers))
    first, second = compute(numbers, ones), compute(others, ones)
    drawn, compared = _drawn(numbers, compute), _drawn(others, compute)
    return {
        name: _figure(value - second[name], drawn[name] - compared[name])
        for name, value in first.items()
    }


def _drawn(numbers: Floats, compute: Figures) -> dict[str, Floats]:
    count = len(numbers)
    drawing = np.random.default_rng(SEED)
    rows = [
        compute(numbers, drawing.multinomial(count, np.full(count, 1 / count)).astype(np.float64))
        for _ in range(DRAWS)
    ]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _figure(value: float, drawn: Floats) -> Figure:
    told = drawn[np.isfinite(drawn)]
    if not len(told):
        return Figure(value, float("nan"), float("nan"))
    low, high = np.percentile(told, PERCENT)
    return Figure(value, float(low), float(high))
