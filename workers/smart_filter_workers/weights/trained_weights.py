"""Fetch trained weights by their digest, and overlay them on the weights folder for one model.

A model's `load` takes a folder. For trained weights this is an overlay: links to everything in
the weights folder, except for the one file that the model learns. So no model handles versions.

    <weights>/.trained/<digest>               the file, fetched once a machine
    <weights>/.trained/<digest>.over/         the overlay, made of links
"""

import hashlib
import os
from pathlib import Path, PurePosixPath
from typing import Final

from smart_filter_shared.catalog.model_card import ModelCard, WeightsFile
from smart_filter_shared.errors import ObjectMissing, SetupFailed
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_workers.weights import files

FOLDER: Final = ".trained"
# Of one file of weights, which is held in memory; the largest of the model zoo has 1.1 GB.
MAX_WEIGHTS_BYTES: Final = 1_500_000_000


class TrainedWeights:
    """The trained weights that this machine needs; safe for threads.

    folder: the weights folder.  store: where the files are kept; None if there is no storage.
    """

    def __init__(self, folder: Path, store: ObjectStore | None) -> None:
        self._folder = folder
        self._store = store

    def folder_of(self, card: ModelCard, digest: str) -> Path:
        """Return a folder from which a model loads with trained weights, all files verified.

        digest: of the file that replaces the one that the card learns.
        Raises SetupFailed, and StorageUnavailable.
        """
        if not card.learns:
            raise SetupFailed(f"{card.task} {card.name} has no weights that are trained here")
        file = self._file(digest)
        over = make_overlay(self._folder, card.learns, file)
        files.verify(over, card.with_weights(digest))
        return over

    def keep(self, content: bytes) -> str:
        """Put a file of weights on this machine; return its digest."""
        digest = hashlib.sha256(content).hexdigest()
        files.write_file(self._folder / FOLDER, digest, content)
        return digest

    def _file(self, digest: str) -> Path:
        """Return the file on this machine; fetch it if it is missing or damaged."""
        place = self._folder / FOLDER / digest
        if files.find_fault(place.parent, WeightsFile(digest, digest)) is None:
            return place
        if self._store is None:
            raise SetupFailed(f"weights {digest} are not on this machine")
        try:
            content = self._store.get(keys.weights(digest), most=MAX_WEIGHTS_BYTES)
        except ObjectMissing as error:
            raise SetupFailed(f"weights {digest} are no longer in storage") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise SetupFailed(f"weights {digest} differ in storage: register them again")
        self.keep(content)
        return place


def make_overlay(folder: Path, name: str, file: Path) -> Path:
    """Make or update a folder like `folder`, but with `file` under `name`; return it.

    name: a path below the folder.  Concurrent calls make the same links.
    """
    over = folder / FOLDER / f"{file.name}.over"
    here, there = folder, over
    for part in PurePosixPath(name).parts:
        there.mkdir(parents=True, exist_ok=True)
        if here.is_dir():
            for entry in here.iterdir():
                if entry.name not in {part, FOLDER}:
                    _link(there / entry.name, entry)
        here, there = here / part, there / part
    _link(there, file)
    return over


def _link(link: Path, target: Path) -> None:
    # Relative, so that the folder can be moved or mounted elsewhere.
    text = os.path.relpath(target, link.parent)
    try:
        link.symlink_to(text)
    except FileExistsError:
        if link.is_symlink() and str(link.readlink()) != text:
            # Replaced, not removed: other processes read through it, or make the same link.
            with files.scratch_folder(link.parent) as scratch:
                (scratch / link.name).symlink_to(text)
                (scratch / link.name).replace(link)
