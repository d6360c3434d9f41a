"""COCO JSON: pictures, categories, and boxes with outlines as polygons or run lengths.

Source: the data format page of the COCO data set, object detection.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeAlias

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_training.annotations import numbers, outlines, places
from smart_filter_training.annotations.marks import Mark, Marked, Polygons, Runs, Sheet, shown
from smart_filter_training.annotations.numbers import Misdrawn
from smart_filter_training.annotations.places import NoSuchPicture
from smart_filter_training.checks import Finding

# As JSON has it.
Told: TypeAlias = Mapping[str, object]
_LISTS: Final = ("images", "annotations", "categories")


def read(path: Path, folder: Path, *, labels: Collection[str] = ()) -> Sheet:
    """Read a file of annotations.

    folder: where its pictures lie; labels: which marks are read, in lower case, () for all.
    Raises FolderUnreadable when it is no COCO JSON at all; what else is wrong is a finding.
    """
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise FolderUnreadable(f"{path} cannot be read: {error}") from error
    if not isinstance(told, dict) or not all(isinstance(told.get(one), list) for one in _LISTS):
        raise FolderUnreadable(f"{path} is no COCO JSON: it needs lists {', '.join(_LISTS)}")
    found = _Reading(path, folder)
    found.take_categories(told["categories"])
    found.take_pictures(told["images"])
    found.take_annotations(told["annotations"], labels)
    return found.sheet()


@dataclass(slots=True)
class _Reading:
    """What of a file has been read so far."""

    path: Path
    folder: Path
    findings: list[Finding] = field(default_factory=list)
    # By their id in the file.
    labels: dict[int, str] = field(default_factory=dict)
    pictures: dict[int, Marked] = field(default_factory=dict)
    marks: dict[int, list[Mark]] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)

    def find(self, what: str, remedy: str, *, where: str = "") -> None:
        """Note something wrong with the file, or with one of its pictures."""
        self.findings.append(Finding(shown(where) or self.path.name, what, remedy))

    def entries(self, told: list[object], what: str) -> Iterator[tuple[int, Told]]:
        """Yield the entries of a list that have an id of their own."""
        seen = Counter(one.get("id") for one in told if isinstance(one, dict) and _has_id(one))
        for id_, count in seen.items():
            if count > 1:
                self.find(f"{what} {id_} stands there {count} times", "give each its own id")
        taken = set()
        for index, one in enumerate(told):
            if not isinstance(one, dict) or not _has_id(one):
                self.find(f"{what} number {index} has no whole number as its id", "give it one")
            elif one["id"] not in taken:
                taken.add(one["id"])
                yield one["id"], one

    def take_categories(self, told: list[object]) -> None:
        """Read what the labels are called."""
        for id_, one in self.entries(told, "category"):
            name = one.get("name")
            if isinstance(name, str) and name.strip():
                self.labels[id_] = name.strip().casefold()
            else:
                self.find(f"category {id_} has no name", "name it")

    def take_pictures(self, told: list[object]) -> None:
        """Read which pictures there are."""
        names: set[str] = set()
        for id_, one in self.entries(told, "picture"):
            name, width, height = one.get("file_name"), one.get("width"), one.get("height")
            self.refused.add(id_)
            if not isinstance(name, str) or not name:
                self.find(f"picture {id_} has no file_name", "name its file")
            elif name in names:
                self.find("stands there as two pictures", "join them", where=name)
            elif not numbers.is_side(width) or not numbers.is_side(height):
                self.find(
                    "has a width or height that is no number of pixels", "say both", where=name
                )
            else:
                self._take_picture(id_, name, width, height)
            names.add(str(name))

    def _take_picture(self, id_: int, name: str, width: int, height: int) -> None:
        try:
            path = places.find(name, self.path, self.folder)
        except NoSuchPicture as error:
            self.find(str(error), f"put it there, or take it out of {self.path.name}", where=name)
            return
        self.refused.remove(id_)
        self.pictures[id_] = Marked(path, width, height, ())
        self.marks[id_] = []

    def take_annotations(self, told: list[object], labels: Collection[str]) -> None:
        """Read what is marked."""
        wanted = {id_ for id_, name in self.labels.items() if not labels or name in labels}
        for id_, one in self.entries(told, "annotation"):
            picture, category = one.get("image_id"), one.get("category_id")
            if not isinstance(category, int) or category not in self.labels:
                self.find(f"annotation {id_} is of no category that is listed", "correct it")
            elif not isinstance(picture, int) or picture not in self.marks:
                # What is wrong with a picture was said once.
                if not isinstance(picture, int) or picture not in self.refused:
                    self.find(f"annotation {id_} is of no picture that is listed", "correct it")
            elif category in wanted:
                self._take_mark(id_, one, self.pictures[picture], self.marks[picture])

    def _take_mark(self, id_: int, one: Told, picture: Marked, marks: list[Mark]) -> None:
        label = self.labels[_whole(one["category_id"])]
        try:
            marks.append(_mark(one, label, picture))
        except Misdrawn as error:
            what = f"annotation {id_}: {error}"
            self.find(what, "correct it or take it out", where=picture.path.name)

    def sheet(self) -> Sheet:
        """Return what was read."""
        pictures = tuple(
            replace(picture, marks=tuple(self.marks[id_])) for id_, picture in self.pictures.items()
        )
        return Sheet(self.path, pictures, tuple(self.labels.values()), tuple(self.findings))


def _mark(one: Told, label: str, picture: Marked) -> Mark:
    width, height = picture.width, picture.height
    told = one.get("bbox")
    if not isinstance(told, list) or len(told) != 4 or not all(map(numbers.is_finite, told)):  # noqa: PLR2004 - a box
        raise Misdrawn("its bbox is not four numbers")
    left, top, across, down = (float(value) for value in told)
    box = numbers.box_within((left, top, left + across, top + down), width, height)
    is_crowd = one.get("iscrowd") == 1
    return Mark(label, box, _outline(one.get("segmentation"), width, height), is_crowd)


def _outline(told: object, width: int, height: int) -> Polygons | Runs | None:
    if told is None or told == []:
        return None
    if isinstance(told, dict):
        if told.get("size") != [height, width]:
            raise Misdrawn(f"its run lengths are of another size than {width}×{height}")
        return outlines.runs(told.get("counts"), width, height)
    if not isinstance(told, list):
        raise Misdrawn("its outline is neither polygons nor run lengths")
    return tuple(numbers.points_within(numbers.points(one), width, height) for one in told)


def _has_id(one: Told) -> bool:
    return type(one.get("id")) is int


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value
