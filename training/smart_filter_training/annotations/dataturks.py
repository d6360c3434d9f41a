"""Read Dataturks' JSON lines: a picture in each line, its marks as shares of its width and height.

A line is `{"content": FILE-OR-ADDRESS, "annotation": [{"label": ["Face"], "points": [{"x": 0.1,
"y": 0.2}, {"x": 0.4, "y": 0.6}], "imageWidth": 640, "imageHeight": 480}]}`; `annotation` is null
for a picture without marks.  Addresses are not fetched: the file of the same name is read.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_training.annotations import marks, pictures
from smart_filter_training.annotations.marks import (
    AnnotatedPicture,
    AnnotationFile,
    InvalidMark,
    Mark,
)
from smart_filter_training.annotations.pictures import PictureMissing
from smart_filter_training.preflight import Finding

# A JSON object.
Entry: TypeAlias = Mapping[str, object]


def read_annotations(path: Path, folder: Path, *, labels: Collection[str] = ()) -> AnnotationFile:
    """Read an annotation file.

    folder: holds the pictures; labels: which marks are read, in lower case, () for all.
    Raises FolderUnreadable when it cannot be opened; other problems are findings.
    """
    files: dict[Path, AnnotatedPicture] = {}
    seen: dict[str, None] = {}
    findings: list[Finding] = []
    for place, line in _read_lines(path):
        try:
            name, entries, size = _parse_line(line)
            picture = _find_picture(name, size, path, folder)
        except InvalidMark as error:
            findings.append(Finding(place, str(error), "correct the line or take it out"))
            continue
        if picture.path in files:
            findings.append(Finding(place, f"repeats {marks.escape(name)}", "join them"))
            continue
        drawn: list[Mark] = []
        for index, entry in enumerate(entries):
            try:
                drawn.extend(_parse_marks(entry, picture))
            except InvalidMark as error:
                what = f"mark {index}: {error}"
                findings.append(Finding(place, what, "correct it or take it out"))
        seen.update(dict.fromkeys(mark.label for mark in drawn))
        wanted = tuple(mark for mark in drawn if not labels or mark.label in labels)
        files[picture.path] = AnnotatedPicture(picture.path, picture.width, picture.height, wanted)
    return AnnotationFile(path, tuple(files.values()), tuple(seen), tuple(findings))


def _read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each line that is not empty, and its place."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path.name}, line {number}", line
    except (OSError, UnicodeDecodeError) as error:
        raise FolderUnreadable(f"{path} cannot be read: {error}") from error


def _parse_line(line: str) -> tuple[str, Sequence[Entry], tuple[int, int] | None]:
    """Return a picture's name, its marks, and the size that the marks have, if any."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidMark(f"is not JSON ({error})") from error
    content = document.get("content") if isinstance(document, dict) else None
    if not isinstance(content, str) or not content:
        raise InvalidMark("has no content, which names the picture")
    entries = document.get("annotation") or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidMark("has an annotation that is not a list of marks")
    # The values may have any type.
    sizes = [(entry.get("imageWidth"), entry.get("imageHeight")) for entry in entries]
    if not sizes:
        return content, entries, None
    width, height = sizes[0]
    agree = all(size == sizes[0] for size in sizes)
    if not agree or not marks.is_side(width) or not marks.is_side(height):
        raise InvalidMark("has marks that do not agree on imageWidth and imageHeight in pixels")
    return content, entries, (width, height)


def _find_picture(
    name: str, size: tuple[int, int] | None, file: Path, folder: Path
) -> AnnotatedPicture:
    try:
        path = pictures.find(name, file, folder)
    except PictureMissing as error:
        raise InvalidMark(f"names {marks.escape(name)}, which {error}") from error
    if size is None:
        # A line without marks has no size.
        try:
            with Image.open(path) as picture:
                size = picture.size
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise InvalidMark(
                f"names {marks.escape(name)}, which is not a picture ({error})"
            ) from error
    return AnnotatedPicture(path, size[0], size[1], ())


def _parse_marks(entry: Entry, picture: AnnotatedPicture) -> Iterator[Mark]:
    """Yield a mark for each label: a shape in Dataturks may have several."""
    labels = entry.get("label")
    names = [labels] if isinstance(labels, str) else labels
    if (
        not isinstance(names, list)
        or not names
        or not all(isinstance(label, str) for label in names)
    ):
        raise InvalidMark("it has no label")
    corners = entry.get("points")
    if not isinstance(corners, list) or len(corners) < 2:  # noqa: PLR2004 - opposite corners
        raise InvalidMark("it has no two points")
    flat: list[float] = []
    for corner in corners:
        x, y = (corner.get("x"), corner.get("y")) if isinstance(corner, dict) else (None, None)
        if not marks.is_finite(x) or not marks.is_finite(y):
            raise InvalidMark("one of its points is not two numbers")
        flat += [x * picture.width, y * picture.height]
    across, down = flat[0::2], flat[1::2]
    box = (min(across), min(down), max(across), max(down))
    box = marks.clip_box(box, picture.width, picture.height)
    outline = None
    if entry.get("shape") == "polygon":
        polygon = marks.to_polygon(flat)
        outline = (marks.clip_polygon(polygon, picture.width, picture.height),)
    for name in names:
        yield Mark(str(name).strip().casefold(), box, outline)
