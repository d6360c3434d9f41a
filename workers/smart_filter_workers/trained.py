"""Trained weights: fetched by their digest, and laid over the weights folder for one model.

A model's `load` is given a folder. Of trained weights it is an overlay: links to all that lies in
the weights folder, but for the one file that the model learns. So no model knows of versions.

    <weights>/.trained/<digest>               the file, fetched once a machine
    <weights>/.trained/<digest>.over/         the overlay, made of links
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from smart_filter_shared.cards import ModelCard
from smart_filter_shared.errors import ObjectMissing, SetupFailed
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_workers import weights

FOLDER: Final = ".trained"


class TrainedWeights:
    """The trained weights of models, as far as this machine needs them; safe for threads.

    folder: the weights folder.  store: where the files lie; None where there are no servers.
    """

    def __init__(self, folder: Path, store: ObjectStore | None) -> None:
        self._folder = folder
        self._store = store

    def folder_of(self, card: ModelCard, digest: str) -> Path:
        """Return a folder to load a model from with other weights than its own, all verified.

        digest: of the file in place of the one that the card learns.
        Raises SetupFailed, and StorageUnavailable.
        """
        if not card.learns:
            raise SetupFailed(f"{card.task} {card.name} has no weights that are trained here")
        file = self._file(digest)
        over = overlay(self._folder, card.learns, file)
        weights.verify(over, card.with_weights(digest))
        return over

    def keep(self, content: bytes) -> str:
        """Put a file of weights on this machine; return its digest."""
        digest = hashlib.sha256(content).hexdigest()
        place = self._folder / FOLDER / digest
        place.parent.mkdir(parents=True, exist_ok=True)
        with weights.scratch_folder(place.parent, "pull") as scratch:
            partial = scratch / "partial"
            partial.write_bytes(content)
            weights.put(partial, place)
        return digest

    def _file(self, digest: str) -> Path:
        """Return the file as it lies on this machine, fetched when it is not there or not whole."""
        place = self._folder / FOLDER / digest
        if place.is_file() and _digest_of(place) == digest:
            return place
        if self._store is None:
            raise SetupFailed(f"weights {digest} are not on this machine")
        try:
            content = self._store.get(keys.weights(digest))
        except ObjectMissing as error:
            raise SetupFailed(f"weights {digest} are in storage no more") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise SetupFailed(f"weights {digest} are other bytes in storage: register them again")
        self.keep(content)
        return place


def overlay(folder: Path, name: str, file: Path) -> Path:
    """Return a folder like `folder`, but with `file` under `name`; made, or brought up to date.

    name: a path below the folder.  Whoever makes it at the same time makes the same links.
    """
    over = folder / FOLDER / f"{file.name}.over"
    here, there = folder, over
    for part in PurePosixPath(name).parts:
        there.mkdir(parents=True, exist_ok=True)
        if here.is_dir():
            for one in here.iterdir():
                if one.name not in {part, FOLDER}:
                    _link(there / one.name, one)
        here, there = here / part, there / part
    _link(there, file)
    return over


def _link(link: Path, target: Path) -> None:
    # Relative, so that the folder may be moved, or mounted elsewhere.
    text = os.path.relpath(target, link.parent)
    if link.is_symlink() and str(link.readlink()) == text:
        return
    if link.is_symlink():
        link.unlink(missing_ok=True)
    with suppress(FileExistsError):
        link.symlink_to(text)


def _digest_of(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
