"""Admit a foreign file of weights, so that models of this machine load it.

    named ─▶ fetched ─▶ checked ─▶ probed ─▶ installed ─▶ listed ─▶ loaded
    (upstream, or a path)  (digest)   (child)     (move)  (allowlist)

A file that fails at any step leaves nothing behind. No code in a file is executed: ONNX and Keras
files are read as data, and a file that refers to other files is refused. Files of detectron2 take
the same steps in an admission module of their own.

Inspect a foreign network and run it once, in a child process that may die or hang.

The parent kills the child at its time limit, and its memory is limited. The output of frameworks
is read for the reason of its death only.
"""

import os
import re
import resource
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

import numpy as np

from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER
from smart_filter_shared.child_processes import serving
from smart_filter_shared.child_processes.python_child import ChildDied, Limit, PythonChild
from smart_filter_shared.errors import ModelNotLoaded, SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.models import catalog
from smart_filter_workers.models.catalog import ModelFile
from smart_filter_workers.networks.detectron2 import predictor_cache
from smart_filter_workers.networks.runtimes import keras_network, network_input, onnx_network
from smart_filter_workers.networks.runtimes.network_input import Handling, OutputKind
from smart_filter_workers.results import Floats, PreparedPhoto, Srgb8
from smart_filter_workers.stages.segmentation.models import unet
from smart_filter_workers.stages.segmentation.models.base import Segmenter
from smart_filter_workers.weights import allowlist, files
from smart_filter_workers.weights.allowlist import AdmittedFile

# The file name suffix of each kind.
SUFFIXES: Final = {"onnx": ".onnx", "yolo": ".onnx", "unet": ".keras"}
ENTRY_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

LIMIT_SECONDS: Final = 60.0
MAX_MEMORY_BYTES: Final = 8 * 1024**3
# A matte with shorter sides shows no outline; the vector of a classifier has one row.
MIN_MAP_PX: Final = 8
_PICTURE_SIZE: Final = (120, 160)
_MAX_REASON_LENGTH: Final = 400
# On the CPU and with few threads, because the stacks of threads count as memory. A GPU driver
# takes more address space than any network.
_ENVIRONMENT: Final = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}


def admit_file(
    folder: Path, source: Path, file: AdmittedFile, *, limit_seconds: float = LIMIT_SECONDS
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
        ensure_works(scratch, listed, limit_seconds=limit_seconds)
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
        return predictor_cache.admit_config(source, folder, names=file.classes)
    return predictor_cache.admit_weights(
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


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """The entry that the child tries: the only one in its folder."""

    folder: Path
    file: AdmittedFile


def ensure_works(folder: Path, file: AdmittedFile, *, limit_seconds: float = LIMIT_SECONDS) -> None:
    """Inspect a file that lies in a folder of its own, and run it on a small picture.

    Raises SetupFailed, in one line, when its kind cannot read it, when it does not run as
    described, when it exceeds the time limit, or when it kills the child.
    """
    # Temporary files of a killed child are deleted with the folder.
    environment = {**os.environ, **_ENVIRONMENT, "TMPDIR": str(folder)}
    with (
        tempfile.TemporaryFile() as printed,
        PythonChild(f"{__name__}:serve", environment=environment, output=printed) as child,
    ):
        try:
            fault = child.ask(ProbeRequest(folder, file), Limit.after(limit_seconds))
        except TimeoutError as error:
            raise SetupFailed(
                f"it made no matte of a small picture within {limit_seconds:g} s on one core"
            ) from error
        except ChildDied as error:
            printed.seek(0)
            last = printed.read().decode(errors="replace").strip().splitlines()[-1:]
            message = f": {_one_line(last[0])}" if last else ""
            raise SetupFailed(f"it ends its process with {error}{message}") from error
        if fault is not None:
            raise SetupFailed(str(fault))


def serve(parent: socket.socket) -> None:
    """Try one file as the child process; answer its fault, or None."""
    if sys.platform == "linux":
        # Limits writable memory only; the read-only mappings of framework libraries do not count.
        serving.set_limits({resource.RLIMIT_DATA: MAX_MEMORY_BYTES})
    for request in serving.read_questions(parent):
        try:
            run_in_process(request.folder, request.file)
        except SetupFailed as error:
            serving.send_answer(parent, _one_line(str(error)))
        else:
            serving.send_answer(parent, None)
    # Threads that a framework leaves behind would block a normal exit of the interpreter.
    sys.stderr.flush()
    os._exit(0)


def run_in_process(folder: Path, file: AdmittedFile) -> None:
    """Check and run a file in this process.  Raises SetupFailed."""
    content = (folder / file.name).read_bytes()
    if file.kind == unet.KIND:
        keras_network.check(content)
    else:
        onnx_network.check_network(content)
    allowlist.add(folder, file)
    try:
        _ensure_segments(folder, file)
        answers, used = _record_outputs(content, file)
    except (SetupFailed, ModelNotLoaded) as error:
        raise SetupFailed(str(error)) from error
    except Exception as error:
        # A framework may raise anything about a file that does not match its description.
        message = f"it does not run as described ({type(error).__name__}: {error})"
        raise SetupFailed(message) from error
    _ensure_plausible(answers, used)


def _ensure_segments(folder: Path, file: AdmittedFile) -> None:
    """Cut out a small picture with the model that reads the file's kind of weights."""
    model = catalog.discover_models().files[TaskName.SEGMENTATION, file.kind]
    srgb = _gradient()
    height, width = srgb.shape[:2]
    prepared = PreparedPhoto(width, height, format="png", proxy_srgb=srgb)
    (people,) = _load_segmenter(model, folder, file.entry)([prepared])
    if people.matte.shape != (height, width):
        raise SetupFailed(f"its matte is {people.matte.shape}, expected {(height, width)}")


def _load_segmenter(file: ModelFile, folder: Path, entry: str) -> Segmenter:
    parameters = file.CARD.completed({ENTRY_PARAMETER: entry})
    model = cast("Callable[..., list[object]]", file.load(folder))
    return cast("Segmenter", lambda batch: model(batch, parameters=parameters))


def _record_outputs(content: bytes, file: AdmittedFile) -> tuple[list[Floats], Handling]:
    """Return the network outputs that its model reads, and the handling that it uses."""
    runtime = keras_network if file.kind == unet.KIND else onnx_network
    opened = runtime.open_network(content, file)
    used = opened.handling
    answers = opened.network(network_input.prepare(_gradient(), used).values)
    return [answers[used.output]] if used.answer is OutputKind.MATTE else list(answers), used


def _ensure_plausible(answers: list[Floats], used: Handling) -> None:
    """Refuse output that cannot be a matte, although its shape fits."""
    if not all(np.isfinite(answer).all() for answer in answers):
        raise SetupFailed("its answer to a plain picture holds values that are not finite")
    if used.answer is OutputKind.MATTE:
        sides = network_input.read_coverage(answers[0], used).shape
        if min(sides) < MIN_MAP_PX:
            raise SetupFailed(
                f"its answer of shape {answers[0].shape} is no map of a picture: {sides[0]} ×"
                f" {sides[1]} pixels, expected at least {MIN_MAP_PX} a side"
            )


def _gradient() -> Srgb8:
    """Return a small picture in which no two columns are alike."""
    height, width = _PICTURE_SIZE
    row = np.linspace(0, 255, width).astype(np.uint8)
    return np.repeat(np.stack([row, row[::-1], row], axis=1)[np.newaxis], height, axis=0)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_REASON_LENGTH else f"{line[:_MAX_REASON_LENGTH]}…"
