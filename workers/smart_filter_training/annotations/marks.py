"""What people marked in pictures, whichever file it was written in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_training.checks import Finding
from smart_filter_workers.networks.boxes import Box

# x, y, x, y, … in pixels of the picture, of each part of an outline.
Polygons: TypeAlias = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Runs:
    """Pixels as COCO's run lengths: how many are outside, then inside, and so on.

    counts: down the first column, then the next; they add up to the picture's pixels.
    """

    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that somebody marked.

    label: what it is, in lower case; box: left, top, right, bottom in pixels.
    outline: where it is, None when only a box was drawn.
    is_crowd: a group in which single things were not told apart: it counts neither way.
    """

    label: str
    box: Box
    outline: Polygons | Runs | None = None
    is_crowd: bool = False


@dataclass(frozen=True, slots=True)
class Marked:
    """A picture and what is marked in it.

    width, height: in pixels, as the file of annotations says.
    """

    path: Path
    width: int
    height: int
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One file of annotations.

    pictures: those that are as they must be, in the file's order, with such marks.
    labels: every label that the file knows, in its order and in lower case.
    findings: what is wrong with the others.
    """

    path: Path
    pictures: tuple[Marked, ...]
    labels: tuple[str, ...]
    findings: tuple[Finding, ...]


def shown(name: str) -> str:
    """Return a name from a foreign file as it can be printed, in one line."""
    return name if name.isprintable() else ascii(name)[1:-1]


def refuse(findings: Sequence[Finding], *, most: int = 0) -> None:
    """Raise FolderUnreadable with the first of what is wrong when that is more than `most`."""
    if len(findings) > most:
        first = findings[0]
        others = f" ({len(findings) - 1} more: `--check` lists all)" if len(findings) > 1 else ""
        raise FolderUnreadable(f"{first.where} {first.what}: {first.remedy}{others}")
