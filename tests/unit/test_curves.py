"""Curves of measurements, without reading or drawing any."""

from typing import Any

import make_curves
import pytest
from make_curves import Axis


def told(*points: tuple[str, float | None, float]) -> dict[str, Any]:
    """What a benchmark tells: names, places and medians."""
    return {"figures": [{"name": name, "at": at, "median": it} for name, at, it in points]}


def test_curve_goes_from_left_to_right_and_leaves_out_the_others() -> None:
    measured = told(("one", 4, 40.0), ("other", 1, 1.0), ("one", 1, 10.0), ("one", None, 7.0))

    points = make_curves.curve(measured, "one")

    assert points == [(1, 10.0), (4, 40.0)]


def test_curve_that_was_not_measured_is_named() -> None:
    with pytest.raises(KeyError, match="no curve named 'two'"):
        make_curves.curve(told(("one", 1, 10.0)), "two")


def test_efficiency_is_of_as_many_times_the_first() -> None:
    assert make_curves.efficiencies([(1, 5.0), (4, 18.0)]) == [1.0, 0.9]


@pytest.mark.parametrize(("value", "place"), [(1, 0.0), (2, 0.5), (4, 1.0)])
def test_equal_ratios_are_equally_far_on_a_logarithmic_axis(value: float, place: float) -> None:
    assert Axis((1, 2, 4), "processes").place(value) == place


def test_equal_differences_are_equally_far_on_another() -> None:
    assert Axis((0, 500, 1000), "stages", is_logarithmic=False).place(250) == 0.25
