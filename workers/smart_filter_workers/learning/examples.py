"""Make training examples of corrections: a corrected matte, or labeled faces, as small files.

Models see proxies, so examples are stored at the size of a proxy and hold nothing of a photo that
no model would see. A portrait with its matte took 365 kB, a labeled face 89 kB.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.results import Face, Faces
from smart_filter_workers import images
from smart_filter_workers.networks.coordinates import Square, to_proxy
from smart_filter_workers.results import MatteDrawing, PreparedPhoto, Segmentation
from smart_filter_workers.stages.composite import apply_corrections
from smart_filter_workers.stages.composite.cleanup import clean_matte

# Side of a face's crop, with as much around the face as any model may need.
FACE_SIDE_PX: Final = 192
FACE_SIDE_PER_EYE_DISTANCE: Final = 4.5
FACES_FILE: Final = "faces.npz"
PHOTO_FILE: Final = "photo.jpg"
MASK_FILE: Final = "mask.png"
UNLABELED: Final = -1
LEVELS: Final = tuple(SmileLevel)
# JPEG quality: models see no difference from the photo.
_QUALITY: Final = 95


@dataclass(frozen=True, slots=True)
class MatteInputs:
    """The parts of a job from which a corrected matte is made."""

    prepared: PreparedPhoto
    segmented: Segmentation
    faces: Faces | None
    drawn: tuple[MatteDrawing, ...]


@dataclass(frozen=True, slots=True)
class FaceInputs:
    """The parts of a job from which labeled faces are cut."""

    prepared: PreparedPhoto
    faces: Faces


@dataclass(frozen=True, slots=True)
class ExampleFiles:
    """Files by name, and the number of examples in them by label."""

    task: TaskName
    files: Mapping[str, bytes]
    counts: Mapping[str, int]


def from_matte(wanted: MatteInputs) -> list[ExampleFiles]:
    """Return a photo's proxy and its corrected matte, 255 people."""
    faces = wanted.prepared.proposals if wanted.faces is None else wanted.faces.faces
    # The matte as it was shown to the person who corrected it.
    seen = clean_matte(wanted.segmented, wanted.prepared, faces)
    corrected = apply_corrections.draw_over_matte(
        seen, wanted.drawn, wanted.prepared, wanted.segmented.matte
    )
    photo = images.encode_jpeg(wanted.prepared.proxy_srgb, quality=_QUALITY)
    mask = images.encode_png(corrected.matte)
    files = {PHOTO_FILE: photo.content, MASK_FILE: mask.content}
    return [ExampleFiles(TaskName.SEGMENTATION, files, {"mattes": 1})]


def from_faces(wanted: FaceInputs, label: Mapping[str, Any]) -> list[ExampleFiles]:
    """Return labeled faces, for each task that has a label.

    The archive `faces.npz` has arrays with one row per face: `faces` (n, 192, 192, 3) uint8 sRGB,
    turned upright by the eyes; `landmarks` (n, 5, 2) float32 in its pixels, as in `Face`;
    `number` of the face in its photo; `smile`, an index of LEVELS; `open` (n, 2), of the right
    eye and the left; -1: no label.
    """
    faces = wanted.faces.faces
    labeled = [face for face in label["faces"] if face["number"] <= len(faces)]
    made = []
    for task, teaches in ((TaskName.SMILE, _smile_labels), (TaskName.EYES, _eye_labels)):
        rows = [face for face in labeled if teaches(face)]
        if rows:
            counts: dict[str, int] = {}
            for what in (taught for face in rows for taught in teaches(face)):
                counts[what] = counts.get(what, 0) + 1
            made.append(ExampleFiles(task, {FACES_FILE: _archive(wanted, faces, rows)}, counts))
    return made


def _smile_labels(face: Mapping[str, Any]) -> list[str]:
    return [] if face.get("smile") is None else [face["smile"]]


def _eye_labels(face: Mapping[str, Any]) -> list[str]:
    eyes = (face.get("right_open"), face.get("left_open"))
    return ["open" if is_open else "closed" for is_open in eyes if is_open is not None]


def _archive(wanted: FaceInputs, faces: Sequence[Face], rows: Sequence[Mapping[str, Any]]) -> bytes:
    crops, landmarks = [], []
    for row in rows:
        face = to_proxy(faces[row["number"] - 1], wanted.prepared)
        points = np.array(face.landmarks, np.float32)
        square = _face_square(points)
        cut = square.cut(wanted.prepared.proxy_srgb, FACE_SIDE_PX)
        crops.append(np.rint(cut * 255).astype(np.uint8))
        landmarks.append(square.to_cut(points, FACE_SIDE_PX))
    eyes = [[_answer(row.get(eye)) for eye in ("right_open", "left_open")] for row in rows]
    buffer = io.BytesIO()
    write_npz(
        buffer,
        {
            "faces": np.stack(crops),
            "landmarks": np.stack(landmarks).astype(np.float32),
            "number": np.array([row["number"] for row in rows], np.int16),
            "smile": np.array([_level(row.get("smile")) for row in rows], np.int8),
            "open": np.array(eyes, np.int8),
        },
    )
    return buffer.getvalue()


def write_npz(stream: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as a compressed `.npz` archive."""
    # numpy's types take an unknown name for its own keyword argument, which is a flag.
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def _face_square(points: NDArray[np.float32]) -> Square:
    """Return the square around a face, by its landmarks, (5, 2) float32 as in `Face`."""
    right, left, _, right_mouth, left_mouth = (points[place].astype(float) for place in range(5))
    eyes, mouth = (right + left) / 2, (right_mouth + left_mouth) / 2
    # In a turned head the eyes are close together, but the mouth is as far below as ever.
    size = max(float(np.linalg.norm(left - right)), float(np.linalg.norm(mouth - eyes)), 1.0)
    angle = math.atan2(float(left[1] - right[1]), float(left[0] - right[0]))
    x, y = (eyes + mouth) / 2
    return Square((float(x), float(y)), FACE_SIDE_PER_EYE_DISTANCE * size, angle)


def _level(smile: str | None) -> int:
    return UNLABELED if smile is None else LEVELS.index(SmileLevel(smile))


def _answer(is_open: bool | None) -> int:  # noqa: FBT001 - JSON's true, false and null
    return UNLABELED if is_open is None else int(is_open)
