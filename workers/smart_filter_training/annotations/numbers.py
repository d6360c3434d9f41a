"""Numbers as foreign files have them, checked before anything is made of them."""

from collections.abc import Sequence
from typing import Final, TypeGuard

from smart_filter_workers.networks.boxes import Box

# How far tools that round let a mark stick out of its picture, in pixels.
SLACK_PX: Final = 1.0
LARGEST_SIDE_PX: Final = 100_000
_LARGEST: Final = LARGEST_SIDE_PX**2


class Misdrawn(Exception):
    """A mark is none; the message says why."""


def is_finite(value: object) -> TypeGuard[float]:
    """Whether a value is a number that can be worked with."""
    # JSON's true is no number, and its NaN no finite one; integers may be too long for a float.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -_LARGEST < value < _LARGEST


def is_side(value: object) -> TypeGuard[int]:
    """Whether a value is a possible width or height in pixels."""
    return type(value) is int and 1 <= value <= LARGEST_SIDE_PX


def points(values: object) -> tuple[float, ...]:
    """Return x, y, x, y, … of an outline.  Raises Misdrawn when it is no polygon."""
    if not isinstance(values, list) or not all(is_finite(one) for one in values):
        raise Misdrawn("its outline holds what is no number")
    if len(values) < 6 or len(values) % 2:  # noqa: PLR2004 - three corners
        raise Misdrawn("its outline has no three corners")
    return tuple(float(one) for one in values)


def box_within(box: Box, width: int, height: int) -> Box:
    """Return a box cut to its picture.

    Raises Misdrawn when it is empty, or sticks out by more than SLACK_PX.
    """
    left, top, right, bottom = box
    _refuse_outside((left, top, right, bottom), width, height, "box")
    if right <= left or bottom <= top:
        raise Misdrawn("its box is empty")
    return max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)


def points_within(polygon: Sequence[float], width: int, height: int) -> tuple[float, ...]:
    """Return x, y, x, y, … cut to a picture; raises Misdrawn as `box_within`."""
    _refuse_outside(polygon, width, height, "outline")
    return tuple(
        min(max(0.0, one), float(height if index % 2 else width))
        for index, one in enumerate(polygon)
    )


def _refuse_outside(values: Sequence[float], width: int, height: int, what: str) -> None:
    across, down = values[0::2], values[1::2]
    if (
        min(*across, *down) < -SLACK_PX
        or max(across) > width + SLACK_PX
        or max(down) > height + SLACK_PX
    ):
        raise Misdrawn(f"its {what} lies outside of the picture of {width}×{height} pixels")
