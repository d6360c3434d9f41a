"""Marks that people drew in pictures, for either file format, and checks of their numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias, TypeGuard

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_training.preflight import Finding
from smart_filter_workers.networks.coordinates import Box

# x, y, x, y, … in pixels of the picture, for each part of an outline.
Polygons: TypeAlias = tuple[tuple[float, ...], ...]

# Tools that round let a mark exceed its picture by up to this many pixels.
SLACK_PX: Final = 1.0
MAX_SIDE_PX: Final = 100_000
_MAX_NUMBER: Final = MAX_SIDE_PX**2


class InvalidMark(Exception):
    """A mark is invalid; the message says why."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Pixels as COCO's run lengths: alternating numbers of pixels outside and inside.

    counts: down the first column, then the next; their sum is the number of pixels.
    """

    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """One marked object.

    label: in lower case; box: left, top, right, bottom in pixels.
    outline: None when only a box was drawn.
    is_crowd: a group without single objects; it counts neither as right nor as wrong.
    """

    label: str
    box: Box
    outline: Polygons | Runs | None = None
    is_crowd: bool = False


@dataclass(frozen=True, slots=True)
class AnnotatedPicture:
    """A picture and its marks.

    width, height: in pixels, as in the annotation file.
    """

    path: Path
    width: int
    height: int
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class AnnotationFile:
    """The content of one annotation file.

    pictures: the valid ones with their valid marks, in the file's order.
    labels: every label in the file, in its order and in lower case.
    findings: the problems of the file.
    """

    path: Path
    pictures: tuple[AnnotatedPicture, ...]
    labels: tuple[str, ...]
    findings: tuple[Finding, ...]


def escape(name: str) -> str:
    """Return a name from a foreign file as it can be printed, in one line."""
    return name if name.isprintable() else ascii(name)[1:-1]


def refuse(findings: Sequence[Finding], *, most: int = 0) -> None:
    """Raise FolderUnreadable with the first of more than `most` findings."""
    if len(findings) > most:
        first = findings[0]
        others = f" ({len(findings) - 1} more: `--check` lists all)" if len(findings) > 1 else ""
        raise FolderUnreadable(f"{first.where} {first.what}: {first.remedy}{others}")


def is_finite(value: object) -> TypeGuard[float]:
    """Return whether a value is a finite number of a usable size."""
    # bool is a subclass of int; JSON has NaN, and integers that are too long for a float.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -_MAX_NUMBER < value < _MAX_NUMBER


def is_side(value: object) -> TypeGuard[int]:
    """Return whether a value is a possible width or height in pixels."""
    return type(value) is int and 1 <= value <= MAX_SIDE_PX


def to_polygon(values: object) -> tuple[float, ...]:
    """Return x, y, x, y, … of an outline.  Raises InvalidMark when it is not a polygon."""
    if not isinstance(values, list) or not all(is_finite(value) for value in values):
        raise InvalidMark("its outline holds a value that is not a number")
    if len(values) < 6 or len(values) % 2:  # noqa: PLR2004 - three corners
        raise InvalidMark("its outline has no three corners")
    return tuple(float(value) for value in values)


def clip_box(box: Box, width: int, height: int) -> Box:
    """Return a box clipped to its picture.

    Raises InvalidMark when it is empty, or exceeds the picture by more than SLACK_PX.
    """
    left, top, right, bottom = box
    _refuse_outside((left, top, right, bottom), width, height, "box")
    if right <= left or bottom <= top:
        raise InvalidMark("its box is empty")
    return max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)


def clip_polygon(polygon: Sequence[float], width: int, height: int) -> tuple[float, ...]:
    """Return x, y, x, y, … clipped to a picture; raises InvalidMark as `clip_box`."""
    _refuse_outside(polygon, width, height, "outline")
    return tuple(
        min(max(0.0, value), float(height if index % 2 else width))
        for index, value in enumerate(polygon)
    )


def _refuse_outside(values: Sequence[float], width: int, height: int, what: str) -> None:
    across, down = values[0::2], values[1::2]
    if (
        min(*across, *down) < -SLACK_PX
        or max(across) > width + SLACK_PX
        or max(down) > height + SLACK_PX
    ):
        raise InvalidMark(f"its {what} lies outside of the picture of {width}×{height} pixels")
