"""Scene orientation: which way up a photo without faces is, by a network trained here."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_workers.networks.runtimes import onnx_runtime
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Srgb8

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

WEIGHTS: Final = WeightsFile(
    "orientation.onnx", "ed82bd0489029ce5c0704adc127004895d603535a697a54d6215f6dc02925246"
)
SIZE_PX: Final = 64
QUARTER_TURNS: Final = 4
INPUT_NAME: Final = "scene"
# Key in the file's metadata of the cut, as JSON.
THRESHOLD_KEY: Final = "sure_above"


class SceneNetwork:
    """The network, by ONNX Runtime; any thread may call it.

    content: the file's bytes, whose digest was checked.  Raises SetupFailed when it does not load,
    or has no cut.
    """

    def __init__(self, content: bytes) -> None:
        self._session, self.sure_above = onnx_runtime.open_trained(
            content, THRESHOLD_KEY, float, what="a scene network"
        )

    def __call__(self, scenes: Bytes) -> Floats:
        """Return the probability of each turn to upright, (N, QUARTER_TURNS) float32, sum 1.

        scenes: (N, SIZE_PX, SIZE_PX, 3) uint8 sRGB, from `resize_scene`; turns are
        counter-clockwise quarters.
        """
        (shares,) = self._session.run(None, {INPUT_NAME: scenes.astype(np.float32)})
        return np.asarray(shares, dtype=np.float32)

    def turn(self, picture: Srgb8) -> int | None:
        """Return the counter-clockwise quarter turns of a picture; None when not sure.

        picture: (H, W, 3) uint8 sRGB.
        """
        (shares,) = self(resize_scene(picture)[np.newaxis])
        best = int(shares.argmax())
        return best if shares[best] >= self.sure_above else None


def resize_scene(picture: Srgb8) -> Bytes:
    """Return a picture stretched for the network: (SIZE_PX, SIZE_PX, 3) uint8 sRGB.

    Stretching hides whether the picture is wide or high, which would reveal how the camera was
    held.
    """
    return resize(picture, width=SIZE_PX, height=SIZE_PX)
