"""Eye patches: how open eyes look, each on a small grey patch, by a network of our own training."""

import json
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.cards import WeightsFile
from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks import onnx_runtime
from smart_filter_workers.networks.squares import Square
from smart_filter_workers.results import Srgb8

Floats = NDArray[np.float32]

WEIGHTS: Final = WeightsFile(
    "eyes.onnx", "28b4cb61e85685f9c864d4c6aa26f03f56ae755a96e1b56aa2697670bca73257"
)
SIZE_PX: Final = 32
# How much longer than the eye the sides of a patch are: in the crops of CEW, which most of the
# network's training is on, the eye fills a little over half.
MARGIN: Final = 1 / 0.58
INPUT: Final = "patch"
# The key of the file's metadata that holds the cuts, as JSON.
CUTS: Final = "cuts"


@dataclass(frozen=True, slots=True)
class Cuts:
    """Below and above what an eye is called shut and open; in between nothing is said."""

    shut_below: float
    open_above: float


class EyePatches:
    """The network, by ONNX Runtime; any thread may call it.

    content: the file's bytes, whose digest was checked.  Raises SetupFailed when it does not
    load, or tells no cuts.
    """

    def __init__(self, content: bytes) -> None:
        onnxruntime = onnx_runtime.load()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a worker's own threads share the cores already
        # What it remembers for each number of eyes gains no time.
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
            told = json.loads(self._session.get_modelmeta().custom_metadata_map[CUTS])
            self.cuts = Cuts(float(told["shut_below"]), float(told["open_above"]))
        except Exception as error:
            # ONNX Runtime has a class of its own for every way to fail, and no common one.
            raise SetupFailed(f"this is no network of eye patches: {error}") from error

    def __call__(self, patches: Floats) -> Floats:
        """Return how open each eye looks, (N,) float32 in 0..1, all in one pass.

        patches: (N, SIZE_PX, SIZE_PX) float32, as `patch_of` cuts them; N at least 1.  The mean
        over patches and their mirror images: eyes come from both sides.
        """
        both = np.concatenate([patches, patches[:, :, ::-1]])[..., np.newaxis]
        (said,) = self._session.run(None, {INPUT: np.ascontiguousarray(both)})
        return np.asarray(said.reshape(2, -1).mean(axis=0), dtype=np.float32)


def patch_of(picture: Srgb8, square: Square) -> Floats:
    """Cut the square around an eye out: (SIZE_PX, SIZE_PX) float32 grey (luma) in 0..1.

    picture: (H, W, 3) uint8 sRGB.
    """
    part, there = square.near(picture)
    grey = cv2.cvtColor(there.cut(part, SIZE_PX), cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, dtype=np.float32)
