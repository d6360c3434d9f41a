"""Scenes: which way up a photo stands, without a face in it, by a network of our own training."""

import json
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.cards import WeightsFile
from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks import onnx_runtime
from smart_filter_workers.results import Srgb8

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

WEIGHTS: Final = WeightsFile(
    "orientation.onnx", "fb875d270213065cafa61ce35774c0d54db3a44a74b8eb39c0c6a9c7ae3fc6a0"
)
SIZE_PX: Final = 64
TURNS: Final = 4
INPUT: Final = "scene"
# The key of the file's metadata that holds the cut, as JSON.
CUT: Final = "sure_above"


class Scenes:
    """The network, by ONNX Runtime; any thread may call it.

    content: the file's bytes, whose digest was checked.  Raises SetupFailed when it does not
    load, or tells no cut.
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
            self.sure_above = float(
                json.loads(self._session.get_modelmeta().custom_metadata_map[CUT])
            )
        except Exception as error:
            # ONNX Runtime has a class of its own for every way to fail, and no common one.
            raise SetupFailed(f"this is no network of scenes: {error}") from error

    def __call__(self, scenes: Bytes) -> Floats:
        """Return how likely each turn makes a scene upright, (N, TURNS) float32 that sum to 1.

        scenes: (N, SIZE_PX, SIZE_PX, 3) uint8 sRGB, as `scene_of` shrinks them; turns count
        counter-clockwise quarters.
        """
        (said,) = self._session.run(None, {INPUT: scenes.astype(np.float32)})
        return np.asarray(said, dtype=np.float32)

    def turn(self, picture: Srgb8) -> int | None:
        """Return by how many quarters to turn a picture, counter-clockwise; None when not sure.

        picture: (H, W, 3) uint8 sRGB.
        """
        (shares,) = self(scene_of(picture)[np.newaxis])
        best = int(shares.argmax())
        return best if shares[best] >= self.sure_above else None


def scene_of(picture: Srgb8) -> Bytes:
    """Stretch a picture to what the network looks at: (SIZE_PX, SIZE_PX, 3) uint8 sRGB.

    Stretched, because whether it is wide or high would tell how the camera was held, which is
    what is asked.
    """
    shrinks = min(picture.shape[:2]) >= SIZE_PX
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (SIZE_PX, SIZE_PX), interpolation=how), dtype=np.uint8)
