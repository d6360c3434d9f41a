"""Looks at a foreign network and runs it once, in a child process that may die or hang of it.

The child is killed when it outlasts its limit, by the kernel when its parent dies, and gets no
more than its share of memory. What frameworks print stays in it.
"""

import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np

from smart_filter_shared.cards import ENTRY, TaskName
from smart_filter_shared.errors import ModelNotLoaded, SetupFailed
from smart_filter_workers import admitted, catalogue, lifeline
from smart_filter_workers.admitted import Admitted
from smart_filter_workers.catalogue import ModelFile
from smart_filter_workers.networks import keras_network, onnx_session, placing
from smart_filter_workers.networks.handling import Answer, Handling
from smart_filter_workers.networks.placing import Floats
from smart_filter_workers.results import Prepared, Srgb8
from smart_filter_workers.stages.segmentation.models import unet
from smart_filter_workers.stages.segmentation.models.base import Segmenter

LIMIT_SECONDS: Final = 60.0
MOST_MEMORY_BYTES: Final = 8 * 1024**3
# A matte of fewer shows no outline; a vector, such as a classifier answers, has one row.
LEAST_MAP_PX: Final = 8
_PICTURE_SIZE: Final = (120, 160)
_LONGEST_REASON: Final = 400
# On a processor and without crowds of threads, whose stacks would count as memory. A driver of
# a GPU takes more address space than any network.
_ENVIRONMENT: Final = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}


@dataclass(frozen=True, slots=True)
class Request:
    """The only entry of a folder, which the child is to try."""

    folder: Path
    file: Admitted


def ensure_works(folder: Path, file: Admitted, *, limit_seconds: float = LIMIT_SECONDS) -> None:
    """Look at a file that lies in a folder of its own, and run it on a small picture.

    Raises SetupFailed, in one line, when it is not what its kind reads, does not run as told,
    outlasts the limit, or kills the process that tries it.
    """
    command = f"from {__name__} import serve; serve()"
    try:
        child = subprocess.run(  # noqa: S603 - this very program
            # Not `-m`: what is pickled must name this module, and not `__main__`.
            [sys.executable, "-c", command, str(os.getpid())],
            input=pickle.dumps(Request(folder, file)),
            # What it leaves behind when it is killed goes with the folder.
            env={**os.environ, **_ENVIRONMENT, "TMPDIR": str(folder)},
            capture_output=True,
            timeout=limit_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SetupFailed(
            f"it was no matte of a small picture after {limit_seconds:g} s on one core"
        ) from error
    if child.returncode != 0:
        last = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
        said = f": {_one_line(last[0])}" if last else ""
        raise SetupFailed(f"it ends its process with status {child.returncode}{said}")
    if child.stdout:
        raise SetupFailed(child.stdout.decode(errors="replace"))


def serve() -> None:
    """Be the child: say on standard output what is wrong, if anything is."""
    lifeline.tie(parent=int(sys.argv[1]))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", errors="replace")
    # Whatever a framework prints must not mix with the answer.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    request: Request = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own parent
    if sys.platform == "linux":
        # What it may write to; a framework's libraries, mapped to be read, are no load.
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    try:
        attempt(request.folder, request.file)
    except SetupFailed as error:
        with answers:
            answers.write(_one_line(str(error)))
    # Threads that a framework left would hold up the interpreter's own end.
    answers.close()
    sys.stderr.flush()
    os._exit(0)


def attempt(folder: Path, file: Admitted) -> None:
    """Do so in this process.  Raises SetupFailed."""
    content = (folder / file.name).read_bytes()
    if file.kind == unet.KIND:
        keras_network.check(content)
    else:
        onnx_session.check(content)
    admitted.add(folder, file)
    try:
        _ensure_cuts_out(folder, file)
        answers, used = _heard(content, file)
    except (SetupFailed, ModelNotLoaded) as error:
        raise SetupFailed(str(error)) from error
    except Exception as error:
        # A framework may raise anything about a file that is not what it was said to be.
        raise SetupFailed(f"it does not run as told ({type(error).__name__}: {error})") from error
    _ensure_sound(answers, used)


def _ensure_cuts_out(folder: Path, file: Admitted) -> None:
    """Have the model that reads a kind of weights cut out a small picture with them."""
    model = catalogue.find().files[TaskName.SEGMENTATION, file.kind]
    srgb = _gradient()
    height, width = srgb.shape[:2]
    prepared = Prepared(width, height, format="png", proxy_srgb=srgb, proposals=())
    (people,) = _loaded(model, folder, file.entry)([prepared])
    if people.matte.shape != (height, width):
        raise SetupFailed(f"its matte is {people.matte.shape}, expected {(height, width)}")


def _loaded(file: ModelFile, folder: Path, entry: str) -> Segmenter:
    parameters = file.CARD.completed({ENTRY: entry})
    model = cast("Callable[..., list[object]]", file.load(folder))
    return cast("Segmenter", lambda batch: model(batch, parameters=parameters))


def _heard(content: bytes, file: Admitted) -> tuple[list[Floats], Handling]:
    """Return the network's own answers that its model reads, and how it reads them."""
    if file.kind == unet.KIND:
        keras = unet.opened(content, file)
        return [keras.network(placing.place(_gradient(), keras.handling).values)], keras.handling
    onnx = onnx_session.opened(content, file)
    answers = onnx.network(placing.place(_gradient(), onnx.handling).values)
    read = [answers[onnx.handling.output]] if onnx.handling.answer is Answer.MATTE else answers
    return list(read), onnx.handling


def _ensure_sound(answers: list[Floats], used: Handling) -> None:
    """Refuse what no photo would be cut out by, though it has the right shape by chance."""
    if not all(np.isfinite(one).all() for one in answers):
        raise SetupFailed("its answer to a plain picture holds what is not a finite number")
    if used.answer is Answer.MATTE:
        sides = placing.coverage(answers[0], used).shape
        if min(sides) < LEAST_MAP_PX:
            raise SetupFailed(
                f"its answer of shape {answers[0].shape} is no map of a picture: {sides[0]} ×"
                f" {sides[1]} pixels, expected at least {LEAST_MAP_PX} a side"
            )


def _gradient() -> Srgb8:
    """Return a small picture in which no two columns are alike."""
    height, width = _PICTURE_SIZE
    row = np.linspace(0, 255, width).astype(np.uint8)
    return np.repeat(np.stack([row, row[::-1], row], axis=1)[np.newaxis], height, axis=0)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}…"
