"""Eye patches: rate how open eyes are on small gray patches, by a network trained here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_workers.networks.coordinates import Square
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8

WEIGHTS: Final = WeightsFile(
    "eyes.onnx", "6504179215293fe7ee97e29881423aa3826288a9ffa4e5b8d05fbe249644baf6"
)
SIZE_PX: Final = 32
# Side of a patch in lengths of the eye: in the crops of CEW, most of the network's training set,
# the eye fills a little over half.
MARGIN: Final = 1 / 0.58
INPUT_NAME: Final = "patch"
# Key in the file's metadata of the cuts, as JSON.
THRESHOLDS_KEY: Final = "cuts"


@dataclass(frozen=True, slots=True)
class EyeThresholds:
    """Scores below and above which an eye counts as shut and open; in between it is unknown."""

    shut_below: float
    open_above: float

    def judge(self, openness: float) -> bool | None:
        """Return whether an eye is open; None where that is uncertain."""
        if openness > self.open_above:
            return True
        return False if openness < self.shut_below else None


class EyePatchNetwork:
    """The network, by ONNX Runtime; any thread may call it.

    content: the file's bytes, whose digest was checked.  Raises SetupFailed when it does not load,
    or has no cuts.
    """

    def __init__(self, content: bytes) -> None:
        self._session, self.cuts = onnx_network.open_trained(
            content, THRESHOLDS_KEY, _read_cuts, what="an eye patch network"
        )

    def __call__(self, patches: Floats) -> Floats:
        """Return how open each eye looks, (N,) float32 in 0..1, all in one pass.

        patches: (N, SIZE_PX, SIZE_PX) float32, from `crop_eye`; N at least 1.  The result is the
        mean over patches and their mirror images, because eyes come from both sides.
        """
        both = np.concatenate([patches, patches[:, :, ::-1]])[..., np.newaxis]
        (scores,) = self._session.run(None, {INPUT_NAME: np.ascontiguousarray(both)})
        return np.asarray(scores.reshape(2, -1).mean(axis=0), dtype=np.float32)


def crop_eye(picture: Srgb8, square: Square) -> Floats:
    """Return the square around an eye as a crop: (SIZE_PX, SIZE_PX) float32 gray (luma) in 0..1.

    picture: (H, W, 3) uint8 sRGB.
    """
    part, there = square.near(picture)
    gray = cv2.cvtColor(there.cut(part, SIZE_PX), cv2.COLOR_RGB2GRAY)
    return np.asarray(gray, dtype=np.float32)


def _read_cuts(cuts: Mapping[str, float]) -> EyeThresholds:
    return EyeThresholds(float(cuts["shut_below"]), float(cuts["open_above"]))
