"""Make training examples of corrections: a corrected matte, or labeled faces, as small files.

Models see proxies, so examples are stored at the size of a proxy and hold nothing of a photo that
no model would see. A portrait with its matte took 365 kB, a labeled face 89 kB.

Make training examples of corrections that have consent, while their artifacts still exist.

This happens soon after the correction, because photos and results are kept for a day.
"""

import dataclasses
import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from smart_filter_shared.artifacts import retention
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.feedback import examples as feedback_examples
from smart_filter_shared.feedback.corrections import Correction
from smart_filter_shared.feedback.examples import ExampleContent, ExampleFile
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.recipe import PersonSelection
from smart_filter_shared.results import Face, Faces, PreparedFacts, read_facts
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers import images
from smart_filter_workers.artifacts.store import ArtifactStore
from smart_filter_workers.networks.coordinates import Square, to_proxy
from smart_filter_workers.results import Floats, MatteDrawing, PreparedPhoto, Segmentation
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

_TYPES: Final = {".jpg": "image/jpeg", ".png": "image/png", ".npz": "application/octet-stream"}
_log = logger("learning")


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
    mask = images.encode_png(corrected.segmented.matte)
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


def _face_square(points: Floats) -> Square:
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


class NothingToLearn(Exception):
    """A correction contains nothing that applies to other photos."""


class ExampleCollector:
    """Makes training examples of corrections; safe when several processes do the same."""

    def __init__(self, engine: Engine, store: ObjectStore, artifacts: ArtifactStore) -> None:
        self._engine = engine
        self._store = store
        self._artifacts = artifacts

    def collect(self, *, most: int) -> int:
        """Make examples of at most `most` corrections; return how many were processed.

        Raises TryAgain while servers are away: then the remaining corrections wait.
        """
        with sessions.transaction(self._engine) as connection:
            uncollected = feedback_examples.list_uncollected(connection, most=most)
            jobs = queries.get_many(connection, {example.job_id for example in uncollected})
        for correction in uncollected:
            job = jobs.get(correction.job_id)
            if job is None:
                # Mark it: only the oldest corrections are read, and this one would block others.
                self._record_miss(correction, "its job is gone")
            else:
                self._collect(job, correction)
        return len(uncollected)

    def _collect(self, job: JobRow, correction: Correction) -> None:
        try:
            made = self._made(job, correction)
        except TryAgain:
            raise
        except Exception as error:  # noqa: BLE001 - one correction does not end the thread
            # The artifacts are gone or in an unknown format: a retry would not help.
            self._record_miss(correction, f"{type(error).__name__}: {error}")
            return
        stored = [self._stored(job, correction, files) for files in made]
        prepared = read_facts(job.result(StageName.PREPARE), PreparedFacts)
        corrected = job.result(StageName(correction.stage)) or {}
        with sessions.transaction(self._engine) as connection:
            is_written = feedback_examples.write(
                connection,
                correction,
                stored,
                photo=job.photo_digest,
                fingerprint=None if prepared is None else prepared.fingerprint,
                digests=corrected.get("digests", {}),
            )
        if not is_written:
            self._discard(stored)
        _log.info("correction_collected", job=str(job.id), kept=str(is_written))

    def _record_miss(self, correction: Correction, reason: str) -> None:
        _log.warning("correction_not_collected", job=str(correction.job_id), reason=reason)
        with sessions.transaction(self._engine) as connection:
            feedback_examples.mark_uncollectable(connection, correction)

    def _discard(self, stored: Sequence[ExampleContent]) -> None:
        """Remove the stored files of a correction whose job was deleted in the meantime.

        Files that a row names stay: another process has collected the same correction.
        """
        made = [file.key for example in stored for file in example.files.values()]
        with sessions.transaction(self._engine) as connection:
            unnamed = retention.unreferenced(connection, made)
        for key in unnamed:
            self._store.remove(key)

    def _made(self, job: JobRow, correction: Correction) -> list[ExampleFiles]:
        if correction.label is not None:
            wanted = self._artifacts.load(job, FaceInputs)
            return from_faces(wanted, correction.label)
        if job.recipe.persons != PersonSelection.ALL or job.recipe.framing.roi is not None:
            # Such a matte leaves people out on purpose, which a model must not learn.
            raise NothingToLearn("the recipe selects only some of the people")
        corrected = dataclasses.replace(job, corrections=(*job.corrections, correction.as_json()))
        return from_matte(self._artifacts.load(corrected, MatteInputs))

    def _stored(self, job: JobRow, correction: Correction, made: ExampleFiles) -> ExampleContent:
        files = {}
        for name, content in made.files.items():
            key = keys.example_file(job.tenant, job.id, correction.id, made.task, name)
            media_type = _TYPES[name[name.rindex(".") :]]
            self._store.put(key, content, length=len(content), media_type=media_type)
            files[name] = ExampleFile(key, hashlib.sha256(content).hexdigest(), len(content))
        return ExampleContent(made.task, files, made.counts)
