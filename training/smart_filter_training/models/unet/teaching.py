"""Label photos with a strong model of the catalog, so that a small network can learn from it."""

import hashlib
import json
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.errors import Conflict, SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_training.evaluation import dataset_files
from smart_filter_training.evaluation.model_process import ModelProcess
from smart_filter_training.evaluation.prepare_stage import open_prepare_stage
from smart_filter_training.models.unet.pairs import IMAGES, MASKS
from smart_filter_workers import images
from smart_filter_workers.models import catalog
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Segmentation, Srgb8

# In the folder of the pairs: the teacher, and the digests of the photos.
PROVENANCE: Final = "taught.json"


def teach(photos: Path, into: Path, *, teacher: str, weights: Path) -> None:
    """Cut people out of a folder's photos with a model; write photos and soft mattes as pairs.

    teacher: the name of a segmentation model; weights: its weights folder.  Existing pairs of the
    same photos by the same teacher are reused, so a killed run resumes.
    Raises FolderUnreadable, SetupFailed when the model is unknown or does not load, and Conflict
    when the folder holds another teacher's pairs.
    """
    provenance = _describe_teacher(teacher)
    done = _read_digests(into, provenance)
    paths = dataset_files.list_pictures(photos)
    with (
        open_prepare_stage(weights, turning=False) as prepare,
        ModelProcess(TaskName.SEGMENTATION, teacher, weights) as process,
    ):
        for path in paths:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            if done.get(path.stem) == digest:
                continue
            prepared = prepare(dataset_files.read_photo(path))
            segmented = process.ask(prepared).answer
            assert isinstance(segmented, Segmentation)  # the result of that stage
            _write_pair(into, path.stem, prepared.proxy_srgb, segmented.matte)
            done[path.stem] = digest
            _write_provenance(into, provenance, done)


def _describe_teacher(teacher: str) -> dict[str, object]:
    """Return the facts of a teacher for the provenance.  Raises SetupFailed."""
    cards = catalog.discover_models().cards
    by_name = {card.name: card for card in cards if card.task == TaskName.SEGMENTATION}
    if teacher not in by_name:
        raise SetupFailed(f"teacher={teacher}: expected one of {', '.join(sorted(by_name))}")
    card: ModelCard = by_name[teacher]
    return {
        "teacher": card.name,
        "version": card.version,
        "weights": {file.name: file.sha256 for file in card.weights},
        "license": card.license,
        "data_terms": card.data_terms,
    }


def _read_digests(into: Path, provenance: dict[str, object]) -> dict[str, str]:
    """Return the digests of the photos with a matte, by name.  Raises Conflict."""
    document = into / PROVENANCE
    if not document.exists():
        return {}
    stored = dataset_files.read_json(document)
    if not isinstance(stored, dict) or {**stored, "photos": None} != {**provenance, "photos": None}:
        raise Conflict(f"{into} holds another teacher's mattes: name another folder as taught")
    return dict(stored["photos"])


def _write_pair(into: Path, name: str, srgb: Srgb8, matte: Matte8) -> None:
    size = (srgb.shape[1], srgb.shape[0])
    resized = np.asarray(cv2.resize(matte, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    for folder, values in ((IMAGES, srgb), (MASKS, resized)):
        (into / folder).mkdir(parents=True, exist_ok=True)
        (into / folder / f"{name}.png").write_bytes(images.encode_png(values).content)


def _write_provenance(into: Path, provenance: dict[str, object], done: dict[str, str]) -> None:
    partial = into / f"{PROVENANCE}.partial"
    text = json.dumps({**provenance, "photos": done}, indent=2)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(into / PROVENANCE)
