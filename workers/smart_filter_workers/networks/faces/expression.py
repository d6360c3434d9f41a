"""Expression: the votes of ten raters on a face, predicted by a small network trained here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_shared.results import Face
from smart_filter_workers.networks.coordinates import Square
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bytes, Floats, Srgb8

Levels = NDArray[np.int64]
# Least scores of mild, moderate and huge.
LevelThresholds = tuple[float, float, float]
RunNetwork = Callable[[Floats], Mapping[str, Floats]]

WEIGHTS: Final = WeightsFile(
    "expression.onnx", "f7c3db5fff5532bc68ba5f1b1f98c767446e27dc4faa47410ba1e99d50c17e73"
)
CROP_PX: Final = 48
# Name of the output that counts the raters who see a smile, by rule.
HAPPINESS, HAPPINESS_OR_SURPRISE = "happiness", "happiness+surprise"
_COUNTS: Final = {HAPPINESS: "smile", HAPPINESS_OR_SURPRISE: "smile_or_surprise"}
_EMOTION: Final = "emotion"
# Distances between the eyes, from eyes to mouth, and of their middle below the crop's middle:
# medians over 570 crops of FERPlus's training part, measured by the face mesh.
_EYE_DISTANCE_PX: Final = 17.9
_EYES_TO_MOUTH_PX: Final = 17.9
_BELOW_MIDDLE_PX: Final = 3.3
# Key in the file's metadata of the cuts, as JSON by rule.
THRESHOLDS_KEY: Final = "cuts"


@dataclass(frozen=True, slots=True)
class ExpressionScores:
    """The network's scores of N faces.

    emotion: (N, 8) float32, the share of raters for each of `emotions.EMOTIONS`, sum 1; counts: by
    rule (N, 11) float32, the probability that 0 to 10 of ten raters see a smile.
    """

    emotion: Floats
    counts: Mapping[str, Floats]

    def score(self, rule: str) -> Floats:
        """Return the expected share of raters, (N,) 0..1, who see a smile."""
        counts = self.counts[rule]
        return np.asarray(counts @ np.linspace(0, 1, counts.shape[1]), dtype=np.float32)


class ExpressionNetwork:
    """The network, by ONNX Runtime; any thread may call it.

    content: the file's bytes, whose digest was checked.  Raises SetupFailed when it does not load,
    or has no cuts.
    """

    def __init__(self, content: bytes) -> None:
        self._session, self.cuts = onnx_network.open_trained(
            content, THRESHOLDS_KEY, _read_cuts, what="an expression network"
        )
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def __call__(self, crops: Bytes) -> ExpressionScores:
        """Return the scores of crops, (N, 48, 48) uint8 gray, from `crop_face`."""
        return score_crops(self._run, crops)

    def _run(self, crops: Floats) -> Mapping[str, Floats]:
        # One at a time: batching changes the order of float sums, so a score would depend on its
        # batch mates. It takes no longer.
        outputs = [self._session.run(self._outputs, {self._input: crop[None]}) for crop in crops]
        columns = zip(*outputs, strict=True)
        return {
            name: np.concatenate(column)
            for name, column in zip(self._outputs, columns, strict=True)
        }


def score_crops(run: RunNetwork, crops: Bytes) -> ExpressionScores:
    """Return a network's scores of crops.

    run: takes (N, 48, 48, 1) float32 of 0..255; crops: (N, 48, 48) uint8 gray.  Averaging with
    mirror images was no better on crops left out of training, and doubled the cost.
    """
    outputs = run(crops[..., np.newaxis].astype(np.float32))
    counts = {rule: np.asarray(outputs[name], np.float32) for rule, name in _COUNTS.items()}
    return ExpressionScores(np.asarray(outputs[_EMOTION], np.float32), counts)


def to_levels(scores: Floats, cuts: LevelThresholds) -> Levels:
    """Return the level, 0 none to 3 huge, of scores (N,) 0..1."""
    return np.asarray(np.digitize(scores, cuts), dtype=np.int64)


def crop_face(picture: Srgb8, face: Face) -> Bytes:
    """Return the crop of a face for the network: (48, 48) uint8 gray, its eyes level.

    picture: (H, W, 3) uint8 sRGB; face: its landmarks are pixels of the picture.
    """
    part, there = face_square(face).near(picture)
    cut = there.cut(part, CROP_PX)
    gray = cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY)
    return np.asarray(np.rint(gray * 255), dtype=np.uint8)


def face_square(face: Face) -> Square:
    """Return the square around a face that puts eyes and mouth in their places in a crop.

    The distance from eyes to mouth counts as well as that between the eyes, which shortens as a
    head turns.
    """
    right_eye, left_eye, _, right_mouth, left_mouth = np.array(face.landmarks)
    eyes, mouth = (right_eye + left_eye) / 2, (right_mouth + left_mouth) / 2
    across, down = left_eye - right_eye, mouth - eyes
    angle = float(np.arctan2(across[1], across[0]))
    length = float(np.hypot(np.linalg.norm(across), np.linalg.norm(down)))
    side = max(1.0, CROP_PX * length / float(np.hypot(_EYE_DISTANCE_PX, _EYES_TO_MOUTH_PX)))
    up = np.array([np.sin(angle), -np.cos(angle)])
    center = (eyes + mouth) / 2 + up * side * _BELOW_MIDDLE_PX / CROP_PX
    return Square(center=(float(center[0]), float(center[1])), side=side, angle=angle)


def _read_cuts(cuts: Mapping[str, list[float]]) -> dict[str, LevelThresholds]:
    levels = {}
    for rule in _COUNTS:
        mild, moderate, huge = (float(cut) for cut in cuts[rule])
        levels[rule] = mild, moderate, huge
    return levels
