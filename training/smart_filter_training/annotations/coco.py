"""Read COCO JSON: pictures, categories, and boxes with outlines as polygons or run lengths.

Source: the data format page of the COCO data set, object detection.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeAlias

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_training.annotations import marks, outlines, pictures
from smart_filter_training.annotations.marks import (
    AnnotatedPicture,
    AnnotationFile,
    InvalidMark,
    Mark,
    Polygons,
    Runs,
)
from smart_filter_training.annotations.pictures import PictureMissing
from smart_filter_training.preflight import Finding

# A JSON object.
Entry: TypeAlias = Mapping[str, object]
_LISTS: Final = ("images", "annotations", "categories")


def read_annotations(path: Path, folder: Path, *, labels: Collection[str] = ()) -> AnnotationFile:
    """Read an annotation file.

    folder: holds the pictures; labels: which marks are read, in lower case, () for all.
    Raises FolderUnreadable when the file is not COCO JSON; other problems are findings.
    """
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise FolderUnreadable(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict) or not all(
        isinstance(document.get(name), list) for name in _LISTS
    ):
        raise FolderUnreadable(f"{path} is not COCO JSON: it needs lists {', '.join(_LISTS)}")
    reader = _Reader(path, folder)
    reader.read_categories(document["categories"])
    reader.read_pictures(document["images"])
    reader.read_annotations(document["annotations"], labels)
    return reader.to_file()


@dataclass(slots=True)
class _Reader:
    """The content of a file, read list by list; dictionaries are by the ids in the file."""

    path: Path
    folder: Path
    findings: list[Finding] = field(default_factory=list)
    labels: dict[int, str] = field(default_factory=dict)
    pictures: dict[int, AnnotatedPicture] = field(default_factory=dict)
    marks: dict[int, list[Mark]] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)

    def add_finding(self, what: str, remedy: str, *, where: str = "") -> None:
        """Add a problem of the file, or of one of its pictures."""
        self.findings.append(Finding(marks.escape(where) or self.path.name, what, remedy))

    def entries(self, values: list[object], what: str) -> Iterator[tuple[int, Entry]]:
        """Yield the entries of a list that have a unique id."""
        counts = Counter(row.get("id") for row in values if isinstance(row, dict) and _has_id(row))
        for id_, count in counts.items():
            if count > 1:
                self.add_finding(f"{what} {id_} occurs {count} times", "give each its own id")
        seen = set()
        for index, entry in enumerate(values):
            if not isinstance(entry, dict) or not _has_id(entry):
                self.add_finding(
                    f"{what} number {index} has no whole number as its id", "give it one"
                )
            elif entry["id"] not in seen:
                seen.add(entry["id"])
                yield entry["id"], entry

    def read_categories(self, values: list[object]) -> None:
        """Read the names of the labels."""
        for id_, entry in self.entries(values, "category"):
            name = entry.get("name")
            if isinstance(name, str) and name.strip():
                self.labels[id_] = name.strip().casefold()
            else:
                self.add_finding(f"category {id_} has no name", "name it")

    def read_pictures(self, values: list[object]) -> None:
        """Read the list of pictures."""
        names: set[str] = set()
        for id_, entry in self.entries(values, "picture"):
            name, width, height = entry.get("file_name"), entry.get("width"), entry.get("height")
            self.refused.add(id_)
            if not isinstance(name, str) or not name:
                self.add_finding(f"picture {id_} has no file_name", "name its file")
            elif name in names:
                self.add_finding("occurs as two pictures", "join them", where=name)
            elif not marks.is_side(width) or not marks.is_side(height):
                self.add_finding(
                    "has a width or height that is not a number of pixels", "add both", where=name
                )
            else:
                self._read_picture(id_, name, width, height)
            names.add(str(name))

    def _read_picture(self, id_: int, name: str, width: int, height: int) -> None:
        try:
            path = pictures.find(name, self.path, self.folder)
        except PictureMissing as error:
            remedy = f"put it there, or take it out of {self.path.name}"
            self.add_finding(str(error), remedy, where=name)
            return
        self.refused.remove(id_)
        self.pictures[id_] = AnnotatedPicture(path, width, height, ())
        self.marks[id_] = []

    def read_annotations(self, values: list[object], labels: Collection[str]) -> None:
        """Read the marks."""
        wanted = {id_ for id_, name in self.labels.items() if not labels or name in labels}
        for id_, entry in self.entries(values, "annotation"):
            picture, category = entry.get("image_id"), entry.get("category_id")
            if not isinstance(category, int) or category not in self.labels:
                self.add_finding(f"annotation {id_} has no listed category", "correct it")
            elif not isinstance(picture, int) or picture not in self.marks:
                # A refused picture has a finding already.
                if not isinstance(picture, int) or picture not in self.refused:
                    self.add_finding(f"annotation {id_} has no listed picture", "correct it")
            elif category in wanted:
                self._read_mark(id_, entry, category, picture)

    def _read_mark(self, id_: int, entry: Entry, category: int, picture_id: int) -> None:
        picture = self.pictures[picture_id]
        try:
            mark = _parse_mark(entry, self.labels[category], picture.width, picture.height)
        except InvalidMark as error:
            what = f"annotation {id_}: {error}"
            self.add_finding(what, "correct it or take it out", where=picture.path.name)
            return
        self.marks[picture_id].append(mark)

    def to_file(self) -> AnnotationFile:
        """Return the content of the file."""
        drawn = tuple(
            replace(picture, marks=tuple(self.marks[id_])) for id_, picture in self.pictures.items()
        )
        return AnnotationFile(self.path, drawn, tuple(self.labels.values()), tuple(self.findings))


def _parse_mark(entry: Entry, label: str, width: int, height: int) -> Mark:
    values = entry.get("bbox")
    if (
        not isinstance(values, list)
        or len(values) != 4  # noqa: PLR2004 - a box
        or not all(map(marks.is_finite, values))
    ):
        raise InvalidMark("its bbox is not four numbers")
    left, top, across, down = (float(value) for value in values)
    box = marks.clip_box((left, top, left + across, top + down), width, height)
    is_crowd = entry.get("iscrowd") == 1
    return Mark(label, box, _parse_outline(entry.get("segmentation"), width, height), is_crowd)


def _parse_outline(value: object, width: int, height: int) -> Polygons | Runs | None:
    if value is None or value == []:
        return None
    if isinstance(value, dict):
        if value.get("size") != [height, width]:
            raise InvalidMark(f"its run lengths have another size than {width}×{height}")
        return outlines.parse_runs(value.get("counts"), width, height)
    if not isinstance(value, list):
        raise InvalidMark("its outline is neither polygons nor run lengths")
    return tuple(marks.clip_polygon(marks.to_polygon(part), width, height) for part in value)


def _has_id(entry: Entry) -> bool:
    return type(entry.get("id")) is int
