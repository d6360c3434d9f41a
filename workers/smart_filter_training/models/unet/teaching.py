"""A strong model of the catalogue labels photos, so that a small network can learn from it."""

import hashlib
import json
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_shared.errors import Conflict, SetupFailed
from smart_filter_training.models.unet.pairs import IMAGES, MASKS
from smart_filter_workers import catalogue, images
from smart_filter_workers.evaluation import folders
from smart_filter_workers.evaluation.preparing import prepared_by
from smart_filter_workers.evaluation.subject import Subject
from smart_filter_workers.results import Matte8, Segmented, Srgb8

# Beside the pairs: who made the mattes, of which photos.
PROVENANCE: Final = "taught.json"


def teach(photos: Path, into: Path, *, teacher: str, weights: Path) -> None:
    """Have a model cut people out of a folder's photos; keep photos and soft mattes as pairs.

    teacher: any model of segmentation by its name; weights: its weights folder.  What another
    run has made of the same photos by the same teacher is kept; a killed run goes on.
    Raises FolderUnreadable, SetupFailed when there is no such model or it does not load, and
    Conflict when the folder holds another teacher's pairs.
    """
    asked = _of(teacher)
    done = _done(into, asked)
    found = folders.pictures(photos)
    with (
        prepared_by(weights, turning=False) as prepare,
        Subject(TaskName.SEGMENTATION, teacher, weights) as subject,
    ):
        for path in found:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            if done.get(path.stem) == digest:
                continue
            prepared = prepare(folders.photo(path))
            segmented = subject.ask(prepared).answer
            assert isinstance(segmented, Segmented)  # what that stage answers
            _keep(into, path.stem, prepared.proxy_srgb, segmented.matte)
            done[path.stem] = digest
            _note(into, asked, done)


def _of(teacher: str) -> dict[str, object]:
    """Return who a teacher is, as provenance keeps it."""
    cards = catalogue.find().cards
    known = {card.name: card for card in cards if card.task == TaskName.SEGMENTATION}
    if teacher not in known:
        raise SetupFailed(f"teacher={teacher} is none of {', '.join(sorted(known))}")
    card: ModelCard = known[teacher]
    return {
        "teacher": card.name,
        "version": card.version,
        "weights": {file.name: file.sha256 for file in card.weights},
        "licence": card.licence,
        "data_terms": card.data_terms,
    }


def _done(into: Path, asked: dict[str, object]) -> dict[str, str]:
    """Return the digests of the photos that are labelled already, by name."""
    document = into / PROVENANCE
    if not document.exists():
        return {}
    kept = folders.document(document)
    if not isinstance(kept, dict) or {**kept, "photos": None} != {**asked, "photos": None}:
        raise Conflict(f"{into} holds another teacher's mattes: name another folder as taught")
    return dict(kept["photos"])


def _keep(into: Path, name: str, srgb: Srgb8, matte: Matte8) -> None:
    size = (srgb.shape[1], srgb.shape[0])
    whole = np.asarray(cv2.resize(matte, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    for folder, values in ((IMAGES, srgb), (MASKS, whole)):
        (into / folder).mkdir(parents=True, exist_ok=True)
        (into / folder / f"{name}.png").write_bytes(images.encode_png(values).content)


def _note(into: Path, asked: dict[str, object], done: dict[str, str]) -> None:
    partial = into / f"{PROVENANCE}.partial"
    partial.write_text(json.dumps({**asked, "photos": done}, indent=2) + "\n", encoding="utf-8")
    partial.replace(into / PROVENANCE)
