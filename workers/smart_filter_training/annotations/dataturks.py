"""Dataturks' JSON lines: a picture a line, its marks as shares of its width and height.

A line is `{"content": FILE-OR-ADDRESS, "annotation": [{"label": ["Face"], "points": [{"x": 0.1,
"y": 0.2}, {"x": 0.4, "y": 0.6}], "imageWidth": 640, "imageHeight": 480}]}`; `annotation` is null
in pictures where nothing is marked.  Addresses are not fetched: the file of that name counts.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_training.annotations import numbers, places
from smart_filter_training.annotations.marks import Mark, Marked, Sheet, shown
from smart_filter_training.annotations.numbers import Misdrawn
from smart_filter_training.annotations.places import NoSuchPicture
from smart_filter_training.checks import Finding

# As JSON has it.
Told: TypeAlias = Mapping[str, object]


def read(path: Path, folder: Path, *, labels: Collection[str] = ()) -> Sheet:
    """Read a file of annotations.

    folder: where its pictures lie; labels: which marks are read, in lower case, () for all.
    Raises FolderUnreadable when it cannot be opened; what else is wrong is a finding.
    """
    pictures: dict[Path, Marked] = {}
    known: dict[str, None] = {}
    findings: list[Finding] = []
    for place, line in _lines(path):
        try:
            name, marks, size = _parsed(line)
            picture = _picture(name, size, path, folder)
        except Misdrawn as error:
            findings.append(Finding(place, str(error), "correct the line or take it out"))
            continue
        if picture.path in pictures:
            findings.append(Finding(place, f"is of {shown(name)} again", "join them"))
            continue
        drawn: list[Mark] = []
        for index, one in enumerate(marks):
            try:
                drawn.extend(_marks(one, picture))
            except Misdrawn as error:
                what = f"mark {index}: {error}"
                findings.append(Finding(place, what, "correct it or take it out"))
        known.update(dict.fromkeys(mark.label for mark in drawn))
        kept = tuple(mark for mark in drawn if not labels or mark.label in labels)
        pictures[picture.path] = Marked(picture.path, picture.width, picture.height, kept)
    return Sheet(path, tuple(pictures.values()), tuple(known), tuple(findings))


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each line that is not empty, and where it stands."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path.name}, line {number}", line
    except (OSError, UnicodeDecodeError) as error:
        raise FolderUnreadable(f"{path} cannot be read: {error}") from error


def _parsed(line: str) -> tuple[str, Sequence[Told], tuple[int, int] | None]:
    """Return a picture's name, its marks, and its size where the marks tell it."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Misdrawn(f"is no JSON ({error})") from error
    content = told.get("content") if isinstance(told, dict) else None
    if not isinstance(content, str) or not content:
        raise Misdrawn("has no content, which names the picture")
    marks = told.get("annotation") or []
    if not isinstance(marks, list) or not all(isinstance(one, dict) for one in marks):
        raise Misdrawn("has an annotation that is no list of marks")
    # What a mark says may be of any type.
    sizes = [(one.get("imageWidth"), one.get("imageHeight")) for one in marks]
    if not sizes:
        return content, marks, None
    width, height = sizes[0]
    agree = all(size == sizes[0] for size in sizes)
    if not agree or not numbers.is_side(width) or not numbers.is_side(height):
        raise Misdrawn("has marks that do not agree on imageWidth and imageHeight in pixels")
    return content, marks, (width, height)


def _picture(name: str, size: tuple[int, int] | None, sheet: Path, folder: Path) -> Marked:
    try:
        path = places.find(name, sheet, folder)
    except NoSuchPicture as error:
        raise Misdrawn(f"names {shown(name)}, which {error}") from error
    if size is None:
        # Nothing is marked, so that nobody said how large it is.
        try:
            with Image.open(path) as picture:
                size = picture.size
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise Misdrawn(f"names {shown(name)}, which is no picture ({error})") from error
    return Marked(path, size[0], size[1], ())


def _marks(told: Told, picture: Marked) -> Iterator[Mark]:
    """Yield the mark of each label: Dataturks lets a shape have several."""
    labels = told.get("label")
    names = [labels] if isinstance(labels, str) else labels
    if not isinstance(names, list) or not names or not all(isinstance(one, str) for one in names):
        raise Misdrawn("it has no label")
    corners = told.get("points")
    if not isinstance(corners, list) or len(corners) < 2:  # noqa: PLR2004 - opposite corners
        raise Misdrawn("it has no two points")
    flat: list[float] = []
    for corner in corners:
        x, y = (corner.get("x"), corner.get("y")) if isinstance(corner, dict) else (None, None)
        if not numbers.is_finite(x) or not numbers.is_finite(y):
            raise Misdrawn("a point of it is not two numbers")
        flat += [x * picture.width, y * picture.height]
    across, down = flat[0::2], flat[1::2]
    box = (min(across), min(down), max(across), max(down))
    box = numbers.box_within(box, picture.width, picture.height)
    outline = None
    if told.get("shape") == "polygon":
        polygon = numbers.points(flat)
        outline = (numbers.points_within(polygon, picture.width, picture.height),)
    for name in names:
        yield Mark(str(name).strip().casefold(), box, outline)
