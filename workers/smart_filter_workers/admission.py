"""Lets a foreign file of weights in: looked at, run once, put in place, its digest pinned.

Nothing here runs what a file says: ONNX and Keras files are read as data, and a file that
would have other files read is refused. detectron2 has an admission of its own, beside it.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers import admitted, catalogue, foreign_file, probing, weights
from smart_filter_workers.admitted import Admitted
from smart_filter_workers.networks import handling
from smart_filter_workers.stages.segmentation.models import unet

# What each kind's files are called.
SUFFIXES: Final = {"onnx": ".onnx", "yolo": ".onnx", "unet": ".keras"}
ENTRY_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def let_in(
    folder: Path, source: Path, file: Admitted, *, limit_seconds: float = probing.LIMIT_SECONDS
) -> Admitted:
    """Copy a file of weights into the weights folder and onto its list; return how it is listed.

    file: what is known of it; its name is given by its digest.
    limit_seconds: how long it may take to be looked at and run once.
    Raises SetupFailed when its digest is another, it is not what its kind reads, it does not
    run, or its entry is another file's.
    """
    _check_entry(folder, file)
    _check_handling(file)
    ensure_runs_here(file.kind)
    folder.mkdir(parents=True, exist_ok=True)
    listed = replace(file, name=f"{file.kind}/{file.sha256}{SUFFIXES[file.kind]}")
    with weights.scratch_folder(folder, "admit") as scratch:
        copy = scratch / listed.name
        copy.parent.mkdir(parents=True)
        if foreign_file.copy(source, copy) != file.sha256:
            raise SetupFailed(f"{source} was changed while it was read")
        probing.ensure_works(scratch, listed, limit_seconds=limit_seconds)
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


def _check_handling(file: Admitted) -> None:
    if file.kind == unet.KIND:
        return  # the file itself may say its size
    try:
        handling.read(file.handling)
    except ValueError as error:
        raise SetupFailed(f"how to use it cannot be read: {error}") from error
