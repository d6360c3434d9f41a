"""Expression: what ten raters would say of a face, by a small network of our own training."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.cards import WeightsFile
from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks import onnx_runtime
from smart_filter_workers.networks.squares import Square
from smart_filter_workers.results import Face, Srgb8

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Levels = NDArray[np.int64]
# The least score of mild, moderate and huge.
Cuts = tuple[float, float, float]
Run = Callable[[Floats], Mapping[str, Floats]]

WEIGHTS: Final = WeightsFile(
    "expression.onnx", "24a38eeeaa5ed732d53974cd9be91fa0017be858ac5abc8360a9db76b2d70282"
)
CROP_PX: Final = 48
# Which of the network's answers counts the raters who see a smile, by what makes one.
HAPPINESS, HAPPINESS_OR_SURPRISE = "happiness", "happiness+surprise"
_COUNTS: Final = {HAPPINESS: "smile", HAPPINESS_OR_SURPRISE: "smile_or_surprise"}
_EMOTION: Final = "emotion"
# Where the eyes, and the middle of the mouth, are in a crop: medians over 570 crops of FERPlus's
# training part, as the face mesh sees them.
_EYES_APART_PX: Final = 17.9
_EYES_TO_MOUTH_PX: Final = 17.9
_BELOW_MIDDLE_PX: Final = 3.3
# The key of the file's metadata that holds the cuts, as JSON by rule.
CUTS: Final = "cuts"


@dataclass(frozen=True, slots=True)
class Answers:
    """What is said of N faces.

    emotion: (N, 8) float32, the share of raters for each of `emotions.EMOTIONS`, sum 1;
    counts: by rule (N, 11) float32, how likely 0 to 10 of ten raters see a smile.
    """

    emotion: Floats
    counts: Mapping[str, Floats]

    def score(self, rule: str) -> Floats:
        """Return the share of raters, (N,) 0..1, that are expected to see a smile."""
        counts = self.counts[rule]
        return np.asarray(counts @ np.linspace(0, 1, counts.shape[1]), dtype=np.float32)


class ExpressionNetwork:
    """The network, by ONNX Runtime; any thread may call it.

    content: the file's bytes, whose digest was checked.  Raises SetupFailed when it does not
    load, or tells no cuts.
    """

    def __init__(self, content: bytes) -> None:
        onnxruntime = onnx_runtime.load()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a worker's own threads share the cores already
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
            told = self._session.get_modelmeta().custom_metadata_map[CUTS]
            self.cuts: dict[str, Cuts] = {rule: _read(json.loads(told)[rule]) for rule in _COUNTS}
        except Exception as error:
            # ONNX Runtime has a class of its own for every way to fail, and no common one.
            raise SetupFailed(f"this is no network of expressions: {error}") from error
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def __call__(self, crops: Bytes) -> Answers:
        """Return what is said of crops, (N, 48, 48) uint8 grey, as `crop_of` cuts them."""
        return answers(self._run, crops)

    def _run(self, crops: Floats) -> Mapping[str, Floats]:
        # One by one: in batches sums come in another order, and what is said of a face would
        # hang on who stands beside it. It takes no longer.
        said = [self._session.run(self._outputs, {self._input: crop[None]}) for crop in crops]
        columns = zip(*said, strict=True)
        return {name: np.concatenate(one) for name, one in zip(self._outputs, columns, strict=True)}


def answers(run: Run, crops: Bytes) -> Answers:
    """Return what a network says of crops.

    run: takes (N, 48, 48, 1) float32 of 0..255; crops: (N, 48, 48) uint8 grey.  The mean with
    mirror images was no better on crops left out of training, and cost as much again.
    """
    said = run(crops[..., np.newaxis].astype(np.float32))
    counts = {rule: np.asarray(said[name], np.float32) for rule, name in _COUNTS.items()}
    return Answers(np.asarray(said[_EMOTION], np.float32), counts)


def levels(scores: Floats, cuts: Cuts) -> Levels:
    """Return the level, 0 none to 3 huge, of scores (N,) 0..1."""
    return np.asarray(np.digitize(scores, cuts), dtype=np.int64)


def crop_of(picture: Srgb8, face: Face) -> Bytes:
    """Cut a face out as the network was trained: (48, 48) uint8 grey, its eyes level.

    picture: (H, W, 3) uint8 sRGB; face: its landmarks are pixels of the picture.
    """
    part, there = square_of(face).near(picture)
    cut = there.cut(part, CROP_PX)
    grey = cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY)
    return np.asarray(np.rint(grey * 255), dtype=np.uint8)


def square_of(face: Face) -> Square:
    """Return the square around a face that puts its eyes and mouth where a crop has them.

    The distance from eyes to mouth counts as much as that between the eyes, which grows short
    as a head turns.
    """
    right_eye, left_eye, _, right_mouth, left_mouth = np.array(face.landmarks)
    eyes, mouth = (right_eye + left_eye) / 2, (right_mouth + left_mouth) / 2
    across, down = left_eye - right_eye, mouth - eyes
    angle = float(np.arctan2(across[1], across[0]))
    length = float(np.hypot(np.linalg.norm(across), np.linalg.norm(down)))
    side = max(1.0, CROP_PX * length / float(np.hypot(_EYES_APART_PX, _EYES_TO_MOUTH_PX)))
    up = np.array([np.sin(angle), -np.cos(angle)])
    centre = (eyes + mouth) / 2 + up * side * _BELOW_MIDDLE_PX / CROP_PX
    return Square(centre=(float(centre[0]), float(centre[1])), side=side, angle=angle)


def _read(told: list[float]) -> Cuts:
    mild, moderate, huge = (float(cut) for cut in told)
    return mild, moderate, huge
