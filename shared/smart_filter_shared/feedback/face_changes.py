"""Changes of the found faces by users: faces that do not count, and faces that were missed.

A job stores the changes that apply to it as one correction of its face stage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from smart_filter_shared.pipeline import StageName
from smart_filter_shared.results import Face
from smart_filter_wire.formats import FaceBox

# Boxes that overlap at least this much (IoU) are one face: detectors differ by less, and drop of
# two faces that overlap more the less certain one.
SAME_FACE_IOU: Final = 0.5


@dataclass(frozen=True, slots=True)
class FaceChanges:
    """The faces that users removed from the found ones, and those that they added."""

    removed: tuple[FaceBox, ...] = ()
    added: tuple[FaceBox, ...] = ()

    def then(self, label: Mapping[str, Any], faces: Sequence[Face]) -> "FaceChanges":
        """Return these changes and a user's next ones.

        label: as the API receives it.  faces: those that its numbers count.
        """
        if label.get("restore"):
            return FaceChanges()
        removed = [faces[number - 1].box for number in label.get("remove") or ()]
        return FaceChanges(
            (*self.removed, *(box for box in removed if box not in self.added)),
            (
                *(box for box in self.added if box not in removed),
                *((x, y, width, height) for x, y, width, height in label.get("add") or ()),
            ),
        )

    def without_changed(self, faces: Sequence[Face]) -> list[Face]:
        """Return the detected faces that are neither removed nor at the place of an added one."""
        changed = (*self.removed, *self.added)
        return [face for face in faces if index_of_same(face.box, changed) is None]

    def as_json(self) -> dict[str, Any]:
        """Return the JSON that a job stores."""
        return {"removed": [*map(list, self.removed)], "added": [*map(list, self.added)]}


def read_face_changes(corrections: Sequence[Mapping[str, Any]]) -> FaceChanges:
    """Return the changes among a job's corrections."""
    stored = next(
        (change["label"] for change in corrections if change["stage"] == StageName.FACE), None
    )
    if stored is None:
        return FaceChanges()
    removed, added = (tuple(map(_box, stored[name])) for name in ("removed", "added"))
    return FaceChanges(removed, added)


def index_of_same(box: FaceBox, boxes: Sequence[FaceBox]) -> int | None:
    """Return the index of the box that shows the same face as `box`; None if none does."""
    overlap, index = max(
        ((iou(box, other), index) for index, other in enumerate(boxes)), default=(0.0, 0)
    )
    return index if overlap >= SAME_FACE_IOU else None


def iou(box: FaceBox, other: FaceBox) -> float:
    """Return the overlap of two boxes, 0..1: the intersection's share of the union."""
    sides = (
        min(box[axis] + box[axis + 2], other[axis] + other[axis + 2]) - max(box[axis], other[axis])
        for axis in (0, 1)
    )
    width, height = (max(0.0, side) for side in sides)
    shared = width * height
    union = box[2] * box[3] + other[2] * other[3] - shared
    return shared / union if union > 0 else 0.0


def _box(stored: Sequence[float]) -> FaceBox:
    x, y, width, height = map(float, stored)
    return x, y, width, height
