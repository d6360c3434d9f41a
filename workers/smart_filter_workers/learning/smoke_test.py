"""Check that a model with new weights runs: once, on a drawn picture.

A file that loads may still lack an output, or return only NaN; then every job would fail.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import numpy as np

from smart_filter_shared.errors import VersionRefused
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.models.cache import Model
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import PreparedPhoto, Srgb8
from smart_filter_workers.stages.smile.eye_face import build_face

_MAX_ERROR_LENGTH: Final = 300
_SKIN, _WHITE, _DARK = (205, 160, 135), (240, 240, 235), (40, 30, 25)
_EYE_PX: Final = 64
_WIDTH, _HEIGHT = 96, 128


def run_smoke_test(task: TaskName, model: Model) -> None:
    """Run a model on a drawn picture.  Raises VersionRefused when it fails or returns NaN."""
    try:
        # Mattes hold integers, which hide NaN.
        with np.errstate(invalid="raise"):
            answers = cast("Sequence[object]", model(*_sample_inputs(task)))
    except Exception as error:
        # A framework may raise anything.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_ERROR_LENGTH]
        raise VersionRefused(f"with this file it does not run: {reason}") from error
    if len(answers) != 1:
        raise VersionRefused(f"with this file it returns {len(answers)} results for one picture")
    if not _is_finite(answers[0]):
        raise VersionRefused("with this file it returns values that are not finite")


def check_numbers(content: bytes) -> None:
    """Raise VersionRefused when an ONNX network has weights that are NaN.

    An eye for which a network returns NaN counts as not visible, so answers do not show the fault.
    """
    import onnx  # noqa: PLC0415 - reading the cards of models loads no framework

    graph = onnx.load_model_from_string(content).graph
    constants = [
        attribute.t
        for node in graph.node
        for attribute in node.attribute
        if attribute.HasField("t")
    ]
    for tensor in (*graph.initializer, *constants):
        numbers = onnx.numpy_helper.to_array(tensor)
        if numbers.dtype.kind == "f" and np.isnan(numbers).any():
            raise VersionRefused(f"weights {tensor.name!r} of this file are NaN")


def _sample_inputs(task: TaskName) -> tuple[Sequence[object], ...]:
    """Return the inputs of a task's models, for one drawn picture."""
    if task in {TaskName.SMILE, TaskName.EYES}:
        return ([build_face(_eye())],)
    person = _person()
    if task == TaskName.SEGMENTATION:
        return ([PreparedPhoto(_WIDTH, _HEIGHT, "png", proxy_srgb=person)],)
    return ([person], [()]) if task == TaskName.ORIENTATION else ([person],)


def _eye() -> Srgb8:
    """Draw an open eye."""
    picture = np.full((_EYE_PX, _EYE_PX, 3), _SKIN, np.uint8)
    middle = (_EYE_PX // 2, _EYE_PX // 2)
    cv2.ellipse(picture, middle, (18, 8), 0, 0, 360, _WHITE, cv2.FILLED)
    cv2.circle(picture, middle, 7, _DARK, cv2.FILLED)
    return picture


def _person() -> Srgb8:
    """Draw a head and shoulders."""
    picture = np.full((_HEIGHT, _WIDTH, 3), _WHITE, np.uint8)
    cv2.ellipse(picture, (_WIDTH // 2, _HEIGHT), (40, 50), 0, 0, 360, _DARK, cv2.FILLED)
    cv2.ellipse(picture, (_WIDTH // 2, _HEIGHT // 3), (20, 27), 0, 0, 360, _SKIN, cv2.FILLED)
    return picture


def _is_finite(value: Any) -> bool:  # noqa: ANN401 - models return many types
    if isinstance(value, float | np.floating):
        return math.isfinite(value)
    if isinstance(value, np.ndarray):
        return bool(np.isfinite(value).all())
    if dataclasses.is_dataclass(value):
        return all(_is_finite(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    return all(map(_is_finite, value)) if isinstance(value, list | tuple) else True
