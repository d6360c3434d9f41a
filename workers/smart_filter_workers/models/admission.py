"""Admit a foreign file of weights, so that models of this machine load it.

    named ─▶ fetched ─▶ checked ─▶ probed ─▶ installed ─▶ listed ─▶ loaded
    (upstream, or a path)  (digest)   (child)     (move)  (allowlist)

A file that fails at any step leaves nothing behind. No code in a file is executed: ONNX and Keras
files are read as data, and a file that refers to other files is refused. Files of detectron2 take
the same steps in an admission module of their own.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.models import catalog, probe
from smart_filter_workers.networks.detectron2 import admission as detectron2_admission
from smart_filter_workers.networks.detectron2 import predictor_cache
from smart_filter_workers.networks.runtimes import network_input
from smart_filter_workers.stages.segmentation.models import unet
from smart_filter_workers.weights import allowlist, files
from smart_filter_workers.weights.allowlist import AdmittedFile

# The file name suffix of each kind.
SUFFIXES: Final = {"onnx": ".onnx", "yolo": ".onnx", "unet": ".keras"}
ENTRY_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def admit_file(
    folder: Path, source: Path, file: AdmittedFile, *, limit_seconds: float = probe.LIMIT_SECONDS
) -> AdmittedFile:
    """Copy a file of weights into the weights folder and onto its list; return its list entry.

    file: what is known about the file; the final name is made from its digest.
    limit_seconds: time limit to inspect it and run it once; not for files of detectron2.
    Raises SetupFailed when the digest differs, when its kind cannot read it, when it does not
    run, or when another file has its entry.
    """
    if file.kind in predictor_cache.KINDS:
        return _admit_for_detectron2(folder, source, file)
    _check_entry(folder, file)
    _check_handling(file)
    ensure_runs_here(file.kind)
    listed = replace(file, name=f"{file.kind}/{file.sha256}{SUFFIXES[file.kind]}")
    with files.scratch_folder(folder) as scratch:
        copy = scratch / listed.name
        copy.parent.mkdir(parents=True)
        if files.copy_file(source, copy) != file.sha256:
            raise SetupFailed(f"{source} was changed while it was read")
        probe.ensure_works(scratch, listed, limit_seconds=limit_seconds)
        files.move_into_place(copy, folder / listed.name)
    allowlist.add(folder, listed)
    return listed


def ensure_runs_here(kind: str) -> None:
    """Raise SetupFailed, with the remedy, when the model of a kind of weights cannot run here."""
    model = predictor_cache.WEIGHTS_KIND if kind == predictor_cache.CONFIG_KIND else kind
    for card in catalog.discover_models().cards:
        lacking = catalog.missing_packages(card) if card.name == model else None
        if lacking is not None:
            raise SetupFailed(lacking)


def _admit_for_detectron2(folder: Path, source: Path, file: AdmittedFile) -> AdmittedFile:
    ensure_runs_here(file.kind)
    if file.kind == predictor_cache.CONFIG_KIND:
        return detectron2_admission.admit_config(source, folder, names=file.classes)
    return detectron2_admission.admit_weights(
        source,
        folder,
        config=file.config,
        names=file.classes,
        kind=file.kind,
        source=file.source,
        license=file.license,
        data_terms=file.data_terms,
        commercial=file.commercial,
    )


def _check_entry(folder: Path, file: AdmittedFile) -> None:
    if file.kind not in SUFFIXES:
        raise SetupFailed(f"{file.kind!r} is not a kind of weights: {', '.join(SUFFIXES)}")
    if not ENTRY_NAME.fullmatch(file.entry):
        raise SetupFailed(f"{file.entry!r} is no name: lower-case letters, digits and . _ -")
    for other in allowlist.read_allowlist(folder):
        if other.kind != file.kind:
            continue
        if other.entry == file.entry and other.sha256 != file.sha256:
            raise SetupFailed(
                f"{file.entry} is already the name of another file: results under one name must"
                " not change, choose another with --name"
            )
        if other.entry == file.entry and not network_input.are_equivalent(
            other.handling, file.handling
        ):
            raise SetupFailed(
                f"{file.entry} already has another handling: results under one name must not"
                f" change; `smart-filter models remove {file.kind}/{file.entry}` first"
            )
        if other.entry != file.entry and other.sha256 == file.sha256:
            raise SetupFailed(f"this file is already listed as {other.kind} {other.entry}")


def _check_handling(file: AdmittedFile) -> None:
    if file.kind == unet.KIND:
        return  # the file itself may state its size
    try:
        network_input.parse(file.handling)
    except ValueError as error:
        raise SetupFailed(f"its handling cannot be read: {error}") from error
