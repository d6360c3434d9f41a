"""Face: detected boxes compared with boxes drawn by people."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_shared.results import Faces
from smart_filter_training.evaluation import dataset_files, drawing, metrics
from smart_filter_training.evaluation.base import Cell, Metric, PreparePhoto, Score
from smart_filter_workers.networks.coordinates import Box
from smart_filter_workers.results import Doubles, PreparedPhoto
from smart_filter_workers.stages.face import stage
from smart_filter_workers.stages.face.models.base import FaceDetector

# A low limit, because boxes are drawn in several styles, around the face or the head.
SAME_FACE_IOU: Final = 0.4
HOW: Final = (
    "images/X.jpg and boxes.json. A face is found when boxes overlap by an IoU of 0.4; boxes"
    " are matched in order of their scores, the best first. A match with a box marked ignore is not"
    " counted. Precision and recall are over all faces together, and intervals over photos."
)
METRICS: Final = (
    Metric("precision", "precision"),
    Metric("recall", "recall"),
    Metric("f1", "F1"),
)
LOOKS: Final = 1


@dataclass(frozen=True, slots=True)
class Example:
    """A photo, its faces, and faces that are not counted."""

    name: str
    photo: Path
    size: tuple[int, int]
    faces: tuple[Box, ...]
    ignored: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class _MatchedBoxes:
    right: list[Box]
    wrong: list[Box]
    missed: list[Box]


def examples(folder: Path) -> list[Example]:
    """Return the photos that boxes.json names.  Raises FolderUnreadable."""
    path = folder / "boxes.json"
    entries = dataset_files.read_json(path)
    if not isinstance(entries, dict) or not entries:
        raise FolderUnreadable(f"{path} names no photos")
    return [_example(folder / "images" / name, entries[name]) for name in sorted(entries)]


def question(example: Example, prepare: PreparePhoto) -> PreparedPhoto:
    """Return the prepared photo.  Raises FolderUnreadable when its size is wrong."""
    prepared = prepare(dataset_files.read_photo(example.photo))
    if (prepared.width, prepared.height) != example.size:
        raise FolderUnreadable(
            f"{example.photo} is {prepared.width}×{prepared.height} pixels, its boxes need"
            f" {example.size[0]}×{example.size[1]}"
        )
    return prepared


def answer(model: object, question: PreparedPhoto) -> Faces:
    """Run the stage as a worker does."""
    (faces,) = stage.run({"face": cast("FaceDetector", model)}, [stage.Inputs(question)])
    return faces


def score(example: Example, answer: Faces) -> Score:
    """Match the boxes."""
    judged = _match_boxes(example, answer)
    right, wrong, missed = len(judged.right), len(judged.wrong), len(judged.missed)
    return Score(
        photo=example.name,
        group=dataset_files.group_prefix(example.name),
        numbers=(right, wrong, missed),
        badness=wrong + missed,
        summary=f"{right} found · {missed} missed · {wrong} false",
    )


def figures(numbers: Doubles, weights: Doubles) -> Mapping[str, float]:
    """Return precision, recall and F1 of all faces."""
    right, wrong, missed = (float(total) for total in weights @ numbers)
    values = metrics.precision_recall_f1(right, wrong, missed)
    return dict(zip((metric.name for metric in METRICS), values, strict=True))


def confusion(numbers: Doubles) -> None:
    """Return None: there are no classes."""
    del numbers


def cells(example: Example, answer: Faces) -> tuple[Cell, Cell, Cell, Cell]:
    """Return the photo, the marked boxes, the found ones, and the errors."""
    srgb = dataset_files.read_photo(example.photo).srgb
    judged = _match_boxes(example, answer)
    truth = drawing.draw_boxes(srgb, {drawing.CORRECT: example.faces, drawing.DIM: example.ignored})
    answered = drawing.draw_boxes(srgb, {drawing.CORRECT: _boxes(answer)})
    errors = {
        drawing.CORRECT: judged.right,
        drawing.FALSE_POSITIVE: judged.wrong,
        drawing.FALSE_NEGATIVE: judged.missed,
    }
    return srgb, truth, answered, drawing.draw_boxes(srgb, errors)


def _match_boxes(example: Example, answer: Faces) -> _MatchedBoxes:
    boxes = _boxes(answer)
    matches = metrics.match_boxes(boxes, example.faces, least=SAME_FACE_IOU)
    others = [box for box, face in zip(boxes, matches, strict=True) if face is None]
    excused = metrics.match_boxes(others, example.ignored, least=SAME_FACE_IOU)
    return _MatchedBoxes(
        right=[box for box, face in zip(boxes, matches, strict=True) if face is not None],
        wrong=[box for box, face in zip(others, excused, strict=True) if face is None],
        missed=[box for index, box in enumerate(example.faces) if index not in matches],
    )


def _boxes(answer: Faces) -> list[Box]:
    best_first = sorted(answer.faces, key=lambda face: face.score, reverse=True)
    return [
        (left, top, left + width, top + height)
        for left, top, width, height in (face.box for face in best_first)
    ]


def _example(photo: Path, entry: object) -> Example:
    try:
        # The JSON is parsed here; an invalid entry raises one of the errors below.
        marked = [
            (
                (box["x"], box["y"], box["x"] + box["w"], box["y"] + box["h"]),
                bool(box.get("ignore")),
            )
            for box in entry["boxes"]  # type: ignore[index]  # JSON, see above
        ]
        size = (int(entry["width"]), int(entry["height"]))  # type: ignore[index]  # the same
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FolderUnreadable(f"boxes.json, {photo.name}: invalid entry ({error})") from error
    return Example(
        name=photo.name,
        photo=photo,
        size=size,
        faces=tuple(box for box, ignore in marked if not ignore),
        ignored=tuple(box for box, ignore in marked if ignore),
    )
