"""Lets a foreign file of weights in: looked at, run once, put in place, its digest pinned.

Nothing here runs what a file says: ONNX and Keras files are read as data, and a file that
would have other files read is refused. detectron2 has an admission of its own, beside it.
"""

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import file_digest
from pathlib import Path
from typing import Final, cast

import numpy as np

from smart_filter_shared.cards import ENTRY, TaskName
from smart_filter_shared.errors import ModelNotLoaded, SetupFailed
from smart_filter_workers import admitted, catalogue, weights
from smart_filter_workers.admitted import Admitted
from smart_filter_workers.catalogue import ModelFile
from smart_filter_workers.networks import handling, keras_network, onnx_session
from smart_filter_workers.results import Prepared, Srgb8
from smart_filter_workers.stages.segmentation.models.base import Segmenter

# What each kind's files are called.
SUFFIXES: Final = {"onnx": ".onnx", "yolo": ".onnx", "unet": ".keras"}
ENTRY_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PROBE_SIZE: Final = (120, 160)


def let_in(folder: Path, source: Path, file: Admitted) -> Admitted:
    """Copy a file of weights into the weights folder and onto its list; return how it is listed.

    file: what is known of it; its name is given by its digest.
    Raises SetupFailed when its digest is another, it is not what its kind reads, it does not
    run, or its entry is another file's.
    """
    _check_entry(folder, file)
    ensure_runs_here(file.kind)
    folder.mkdir(parents=True, exist_ok=True)
    listed = replace(file, name=f"{file.kind}/{file.sha256}{SUFFIXES[file.kind]}")
    # Beside its destination, because only within one file system is a move one step.
    with tempfile.TemporaryDirectory(prefix=".admit-", dir=folder) as scratch:
        copy = Path(scratch) / listed.name
        copy.parent.mkdir(parents=True)
        shutil.copyfile(source, copy)
        if sha256_of(copy) != file.sha256:
            raise SetupFailed(f"{source} was changed while it was read")
        _check(Path(scratch), listed)
        weights.put(copy, folder / listed.name)
    admitted.add(folder, listed)
    return listed


def ensure_runs_here(kind: str) -> None:
    """Raise SetupFailed, with the remedy, when whoever reads a kind of weights cannot run here."""
    cards = [card for card in catalogue.find().cards if card.name == kind]
    for card in cards:
        lacking = catalogue.lacking_packages(card)
        if lacking is not None:
            raise SetupFailed(lacking)


def sha256_of(path: Path) -> str:
    """Return a file's digest as lower-case hex.  Raises SetupFailed when it cannot be read."""
    try:
        with path.open("rb") as content:
            return file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise SetupFailed(f"{path} cannot be read: {error.strerror}") from error


def _check_entry(folder: Path, file: Admitted) -> None:
    if file.kind not in SUFFIXES:
        raise SetupFailed(f"{file.kind!r} is no kind of weights: {', '.join(SUFFIXES)}")
    if not ENTRY_NAME.fullmatch(file.entry):
        raise SetupFailed(f"{file.entry!r} is no name: lower-case letters, digits and . _ -")
    for other in admitted.read(folder):
        if other.kind != file.kind:
            continue
        if other.entry == file.entry and other.sha256 != file.sha256:
            raise SetupFailed(
                f"{file.entry} is another file's name by now: results under one name must not"
                " change, choose another with --name"
            )
        if other.entry == file.entry and not handling.are_alike(other.handling, file.handling):
            raise SetupFailed(
                f"{file.entry} is used in another way by now: results under one name must not"
                f" change; `smart-filter models remove {file.kind}/{file.entry}` first"
            )
        if other.entry != file.entry and other.sha256 == file.sha256:
            raise SetupFailed(f"this file is {other.kind} {other.entry} already")


def _check(folder: Path, file: Admitted) -> None:
    """Look at a file that lies in a folder of its own, and run it on a small picture."""
    content = (folder / file.name).read_bytes()
    if file.kind == "unet":
        keras_network.check(content)
    else:
        onnx_session.check(content)
    admitted.add(folder, file)
    _probe(folder, file)


def _probe(folder: Path, file: Admitted) -> None:
    """Run the only entry of a folder.  Raises SetupFailed when that gives no matte."""
    model = catalogue.find().files[TaskName.SEGMENTATION, file.kind]
    srgb = _gradient()
    height, width = srgb.shape[:2]
    prepared = Prepared(width, height, format="png", proxy_srgb=srgb, proposals=())
    try:
        (people,) = _loaded(model, folder, file.entry)([prepared])
    except ModelNotLoaded as error:
        raise SetupFailed(str(error)) from error
    except Exception as error:
        # A framework may raise anything about a file that is not what it was said to be.
        raise SetupFailed(f"it does not run as told ({type(error).__name__}: {error})") from error
    if people.matte.shape != (height, width):
        raise SetupFailed(f"its matte is {people.matte.shape}, expected {(height, width)}")


def _loaded(file: ModelFile, folder: Path, entry: str) -> Segmenter:
    parameters = file.CARD.completed({ENTRY: entry})
    model = cast("Callable[..., list[object]]", file.load(folder))
    return cast("Segmenter", lambda batch: model(batch, parameters=parameters))


def _gradient() -> Srgb8:
    """Return a small picture in which no two columns are alike."""
    height, width = _PROBE_SIZE
    row = np.linspace(0, 255, width).astype(np.uint8)
    return np.repeat(np.stack([row, row[::-1], row], axis=1)[np.newaxis], height, axis=0)
