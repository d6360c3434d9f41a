"""Products of parameters: a covering subset runs in `make test`, the rest in `make test-slow`."""

from collections.abc import Sequence
from itertools import combinations, product
from typing import Any

import pytest
from _pytest.mark import ParameterSet


def covering(*axes: Sequence[Any]) -> list[ParameterSet]:
    """Return every combination of the axes' values, for `pytest.mark.parametrize`.

    Those that are not marked `slow` hold every pair of values of two axes, because most faults need
    at most two values to show (Kuhn, Wallace, Gallo: Software Fault Interactions and Implications
    for Software Testing, 2004). Chosen greedily; takes three axes or more, as two leave nothing to
    mark.
    """
    combinations_of_places = list(product(*(range(len(axis)) for axis in axes)))
    pairs = {places: set(combinations(enumerate(places), 2)) for places in combinations_of_places}
    missing = set().union(*pairs.values())
    chosen: set[tuple[int, ...]] = set()
    while missing:
        best = max(combinations_of_places, key=lambda places: len(pairs[places] & missing))
        chosen.add(best)
        missing -= pairs[best]
    return [
        pytest.param(
            *(axis[place] for axis, place in zip(axes, places, strict=True)),
            marks=[] if places in chosen else [pytest.mark.slow],
        )
        for places in combinations_of_places
    ]
