"""Export data sets as folders, in the layouts that training and `smart-filter eval` read.

DIR/manifest.json
DIR/train, DIR/frozen:
segmentation    images/ID.jpg, masks/ID.png                   255 people
smile           smile.npz (images, name), smile_labels.csv     like FERPlus's
eyes            open/ID.png, closed/ID.png
smile, eyes     faces.npz: the faces as they are stored (examples.py), for other crops

Write manifests: the contents of a data set version and their owners, as one object.
"""

import csv
import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import ObjectMissing, SetupFailed
from smart_filter_shared.feedback import datasets
from smart_filter_shared.feedback.datasets import Dataset
from smart_filter_shared.feedback.examples import Split, TrainingExample
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.results import Face
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import MAX_OBJECT_BYTES, ObjectStore
from smart_filter_workers import images
from smart_filter_workers.learning import examples
from smart_filter_workers.networks.coordinates import Square
from smart_filter_workers.networks.faces import expression
from smart_filter_workers.results import Bytes, Floats

Archive = dict[str, NDArray[Any]]  # the arrays that examples.from_faces packs, by name

PATCH_PX: Final = 48
# Side of a patch around an eye, as a share of the distance between both eyes; as in `eval eyes`.
_EYE_SIDE: Final = 0.75
# Votes for happiness among ten raters: the middle of the range that a level stands for.
# Source: Barsoum et al. 2016 for the raters; the bins are [-1, 3, 6, 8, 10].
_HAPPY_VOTES_OF_TEN: Final[Mapping[SmileLevel, int]] = {
    SmileLevel.NONE: 0,
    SmileLevel.MILD: 5,
    SmileLevel.MODERATE: 7,
    SmileLevel.HUGE: 10,
}
_VOTES: Final = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    *("unknown", "NF"),
)


@dataclass(frozen=True, slots=True)
class ExportedDataset:
    """A version of a data set in a folder."""

    data_set: Dataset
    folder: Path


def export_dataset(
    engine: Engine, store: ObjectStore, task: TaskName, version: int, folder: Path
) -> ExportedDataset:
    """Write a version of a data set into a folder, which must be new or empty.

    Raises SetupFailed in one line, and TryAgain while servers are away.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SetupFailed(f"{folder} is not empty: name a new folder")
    with sessions.transaction(engine) as connection:
        matching = datasets.list_datasets(connection, task=task, version=version)
        items = datasets.list_examples(connection, task, version)
    if not matching:
        raise SetupFailed(
            f"there is no data set {task} {version}: see `smart-filter feedback list`"
        )
    for part in Split:
        below = folder / part
        below.mkdir(parents=True, exist_ok=True)
        of_part = [item for item in items if item.part == part]
        if task == TaskName.SEGMENTATION:
            _write_mattes(store, of_part, below)
        elif of_part:
            _write_faces(task, _faces(store, of_part), below)
    manifest = json.dumps(build_document(matching[0], items), indent=1)
    (folder / "manifest.json").write_text(manifest + "\n", encoding="utf-8")
    return ExportedDataset(matching[0], folder)


def _content(store: ObjectStore, item: TrainingExample, name: str) -> bytes:
    file = item.example.files[name]
    try:
        content = store.get(file.key, most=MAX_OBJECT_BYTES)
    except ObjectMissing as error:
        # Its job has just been deleted, so nothing may be learned from it any more.
        raise SetupFailed(f"{item.correction_id} was deleted meanwhile: export again") from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise SetupFailed(f"{file.key} has another SHA-256 than the stored file")
    return content


def _write_mattes(store: ObjectStore, items: Sequence[TrainingExample], folder: Path) -> None:
    for kind, name in (("images", examples.PHOTO_FILE), ("masks", examples.MASK_FILE)):
        (folder / kind).mkdir()
        for item in items:
            path = folder / kind / f"{item.correction_id}{Path(name).suffix}"
            path.write_bytes(_content(store, item, name))


def _faces(store: ObjectStore, items: Sequence[TrainingExample]) -> Archive:
    """Return all faces with their `name`s; a face that was labeled twice has the later label."""
    latest: dict[tuple[str, int], tuple[str, Archive]] = {}
    for item in items:
        content = _content(store, item, examples.FACES_FILE)
        with np.load(io.BytesIO(content), allow_pickle=False) as packed:
            arrays = {name: packed[name] for name in packed.files}
        for row, number in enumerate(arrays["number"].tolist()):
            example = {name: values[row] for name, values in arrays.items()}
            latest[str(item.job_id), number] = f"{item.correction_id}-{number}", example
    rows = list(latest.values())
    stacked = {name: np.stack([example[name] for _, example in rows]) for name in rows[0][1]}
    return {**stacked, "name": np.array([name for name, _ in rows])}


def _write_faces(task: TaskName, faces: Archive, folder: Path) -> None:
    with (folder / examples.FACES_FILE).open("wb") as stream:
        examples.write_npz(stream, faces)
    if task == TaskName.SMILE:
        _write_smiles(faces, folder)
    else:
        _write_eyes(faces, folder)


def _write_smiles(faces: Archive, folder: Path) -> None:
    pairs = zip(faces["faces"], faces["landmarks"], strict=True)
    # The crops that the model itself uses.
    gray = np.stack([expression.crop_face(crop, _face(points)) for crop, points in pairs])
    names = [f"{name}.png" for name in faces["name"].tolist()]
    np.savez_compressed(folder / "smile.npz", images=gray, name=np.array(names))
    with (folder / "smile_labels.csv").open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["Image name", *_VOTES, "level", "level_seed"])
        for name, smile in zip(names, faces["smile"].tolist(), strict=True):
            level = examples.LEVELS[smile]
            happy = _HAPPY_VOTES_OF_TEN[level]
            votes = {"happiness": happy, "neutral": 10 - happy}
            rows.writerow([name, *(votes.get(choice, 0) for choice in _VOTES), level, level])


def _write_eyes(faces: Archive, folder: Path) -> None:
    for kind in ("open", "closed"):
        (folder / kind).mkdir()
    for place, name in enumerate(faces["name"].tolist()):
        points = faces["landmarks"][place]
        side = _EYE_SIDE * float(np.linalg.norm(points[1] - points[0]))
        for eye, letter in enumerate("RL"):
            label = int(faces["open"][place, eye])
            if label == examples.UNLABELED or side < 1:
                continue
            x, y = points[eye].tolist()
            patch = _cut(faces["faces"][place], Square((x, y), side, _tilt(points)), PATCH_PX)
            kind = "open" if label else "closed"
            content = images.encode_png(patch).content
            (folder / kind / f"{name}_{letter}.png").write_bytes(content)


def _face(points: Floats) -> Face:
    """Return the face with these landmarks in a crop; its box is not used."""
    right_eye, left_eye, nose, right_mouth, left_mouth = ((float(x), float(y)) for x, y in points)
    side = float(examples.FACE_SIDE_PX)
    return Face((0.0, 0.0, side, side), 1.0, (right_eye, left_eye, nose, right_mouth, left_mouth))


def _tilt(points: Floats) -> float:
    across = points[1] - points[0]
    return math.atan2(float(across[1]), float(across[0]))


def _cut(picture: Bytes, square: Square, size: int) -> Bytes:
    return np.rint(square.cut(picture, size) * 255).astype(np.uint8)


def write_stale(engine: Engine, store: ObjectStore, *, most: int) -> int:
    """Write manifests that are missing, or that list deleted examples; return how many.

    Raises TryAgain while servers are away.
    """
    with sessions.transaction(engine) as connection:
        stale = datasets.list_stale(connection, most=most)
    for task, version in stale:
        write(engine, store, task, version)
    return len(stale)


def write(engine: Engine, store: ObjectStore, task: TaskName, version: int) -> None:
    """Write the current manifest of a version, unless another process does.

    No transaction is open during the upload: slow storage would hold the rows, and it would
    delay the vacuum of the whole database.
    """
    with sessions.transaction(engine) as connection:
        claimed = datasets.claim_manifest(connection, task, version)
        if claimed is None:
            return
        items = datasets.list_examples(connection, task, version)
    content = json.dumps(build_document(claimed.data_set, items), indent=1).encode()
    store.put(
        keys.manifest(task, version), content, length=len(content), media_type="application/json"
    )
    with sessions.transaction(engine) as connection:
        datasets.record_manifest(connection, claimed, hashlib.sha256(content).hexdigest())


def describe_version(data_set: Dataset) -> dict[str, Any]:
    """Return the document of a version, without its examples."""
    return {
        "task": data_set.task,
        "version": data_set.version,
        "parent": data_set.parent,
        "created_at": data_set.created_at.isoformat(),
        "items": {str(part): number for part, number in data_set.items.items()},
        "counts": {str(part): dict(counts) for part, counts in data_set.counts.items()},
        "removed": data_set.removed,
    }


def build_document(data_set: Dataset, items: list[TrainingExample]) -> dict[str, Any]:
    """Return the document of a manifest."""
    return {
        **describe_version(data_set),
        "holds": [
            {
                "id": str(item.correction_id),
                "job_id": str(item.job_id),
                "tenant": item.tenant,
                "key_id": item.provenance.get("key_id"),
                "consent": True,
                "corrected_at": item.corrected_at.isoformat(),
                "corrects": item.provenance.get("models", {}),
                "digests": item.provenance.get("digests", {}),
                "part": item.part,
                "counts": dict(item.example.counts),
                "files": {
                    name: {"key": file.key, "sha256": file.sha256, "bytes": file.bytes}
                    for name, file in item.example.files.items()
                },
            }
            for item in items
        ],
    }
