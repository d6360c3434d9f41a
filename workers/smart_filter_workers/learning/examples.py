"""What corrections teach: a matte as people corrected it, or labelled faces, as small files.

Models look at proxies, so that what they learn from is kept at a proxy's size: nothing of a photo
that no model would see. Of a portrait it was 365 kB with its matte, and 89 kB a labelled face.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.cards import TaskName
from smart_filter_shared.rating import SmileLevel
from smart_filter_workers import images
from smart_filter_workers.networks.coordinates import to_proxy
from smart_filter_workers.networks.squares import Square
from smart_filter_workers.results import Drawn, Face, Faces, Prepared, Segmented
from smart_filter_workers.stages.composite import correcting
from smart_filter_workers.stages.composite.tidying import tidied

# A face, and as much around it as any model may want to see.
FACE_SIDE_PX: Final = 192
FACE_SIDE_IN_EYES: Final = 4.5
FACES: Final = "faces.npz"
PHOTO: Final = "photo.jpg"
MASK: Final = "mask.png"
UNKNOWN: Final = -1
LEVELS: Final = tuple(SmileLevel)
# As good as the photo was, for all that a model can tell.
_QUALITY: Final = 95


@dataclass(frozen=True, slots=True)
class WantedOfMatte:
    """What of a job a corrected matte is made from."""

    prepared: Prepared
    segmented: Segmented
    faces: Faces | None
    drawn: tuple[Drawn, ...]


@dataclass(frozen=True, slots=True)
class WantedOfFaces:
    """What of a job labelled faces are cut from."""

    prepared: Prepared
    faces: Faces


@dataclass(frozen=True, slots=True)
class Made:
    """Files by name, and how many examples of what they hold."""

    task: TaskName
    files: Mapping[str, bytes]
    counts: Mapping[str, int]


def of_matte(wanted: WantedOfMatte) -> list[Made]:
    """Return a photo's proxy and its matte as people corrected it, 255 people."""
    faces = wanted.prepared.proposals if wanted.faces is None else wanted.faces.faces
    # As whoever corrected it saw it.
    seen = tidied(wanted.segmented, wanted.prepared, faces)
    corrected = correcting.drawn_over(seen, wanted.drawn, wanted.prepared)
    photo = images.encode_jpeg(wanted.prepared.proxy_srgb, quality=_QUALITY)
    mask = images.encode_png(corrected.matte)
    files = {PHOTO: photo.content, MASK: mask.content}
    return [Made(TaskName.SEGMENTATION, files, {"mattes": 1})]


def of_faces(wanted: WantedOfFaces, label: Mapping[str, Any]) -> list[Made]:
    """Return labelled faces, for each task of which a label says something.

    The archive `faces.npz` has arrays of one row a face: `faces` (n, 192, 192, 3) uint8 sRGB,
    turned upright by the eyes; `landmarks` (n, 5, 2) float32 in its pixels, as of `Face`;
    `number` of the face in its photo; `smile`, an index of LEVELS; `open` (n, 2) of the right
    eye and the left; -1: nobody has said.
    """
    found = wanted.faces.faces
    said = [face for face in label["faces"] if face["number"] <= len(found)]
    made = []
    for task, teaches in ((TaskName.SMILE, _of_smile), (TaskName.EYES, _of_eyes)):
        rows = [face for face in said if teaches(face)]
        if rows:
            counts: dict[str, int] = {}
            for what in (one for face in rows for one in teaches(face)):
                counts[what] = counts.get(what, 0) + 1
            made.append(Made(task, {FACES: _archive(wanted, found, rows)}, counts))
    return made


def _of_smile(face: Mapping[str, Any]) -> list[str]:
    return [] if face.get("smile") is None else [face["smile"]]


def _of_eyes(face: Mapping[str, Any]) -> list[str]:
    eyes = (face.get("right_open"), face.get("left_open"))
    return ["open" if one else "closed" for one in eyes if one is not None]


def _archive(
    wanted: WantedOfFaces, found: Sequence[Face], rows: Sequence[Mapping[str, Any]]
) -> bytes:
    crops, landmarks = [], []
    for row in rows:
        face = to_proxy(found[row["number"] - 1], wanted.prepared)
        points = np.array(face.landmarks, np.float32)
        square = _around(points)
        cut = square.cut(wanted.prepared.proxy_srgb, FACE_SIDE_PX)
        crops.append(np.rint(cut * 255).astype(np.uint8))
        landmarks.append(square.to_cut(points, FACE_SIDE_PX))
    eyes = [[_answer(row.get(eye)) for eye in ("right_open", "left_open")] for row in rows]
    buffer = io.BytesIO()
    pack(
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


def pack(stream: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as a compressed `.npz` archive."""
    # numpy's types take a name that is not known for its own keyword, which is a flag.
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def _around(points: NDArray[np.float32]) -> Square:
    """Return the square around a face, by its landmarks, (5, 2) float32 as of `Face`."""
    right, left, _, right_mouth, left_mouth = (points[place].astype(float) for place in range(5))
    eyes, mouth = (right + left) / 2, (right_mouth + left_mouth) / 2
    # A turned head has its eyes close to each other, and its mouth as far below as ever.
    size = max(float(np.linalg.norm(left - right)), float(np.linalg.norm(mouth - eyes)), 1.0)
    angle = math.atan2(float(left[1] - right[1]), float(left[0] - right[0]))
    x, y = (eyes + mouth) / 2
    return Square((float(x), float(y)), FACE_SIDE_IN_EYES * size, angle)


def _level(smile: str | None) -> int:
    return UNKNOWN if smile is None else LEVELS.index(SmileLevel(smile))


def _answer(is_open: bool | None) -> int:  # noqa: FBT001 - JSON's true, false and null
    return UNKNOWN if is_open is None else int(is_open)
