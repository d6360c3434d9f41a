"""Cut people out with nothing but the selfie networks: the baseline of servers that do the same.

The peers' environments import this module too, so it needs only OpenCV, LiteRT and the two modules
of the worker that it imports.
"""

from pathlib import Path

import cv2
import numpy as np

from smart_filter_workers.networks.coverage.selfie import GENERAL_SIZE_PX, SelfieNetworks
from smart_filter_workers.results import Srgb8
from smart_filter_workers.system import resources


class BareCutOut:
    """Cuts people out with the same networks as the model `selfie`; thread-safe."""

    def __init__(self, weights: Path) -> None:
        resources.limit_native_threads()
        self._networks = SelfieNetworks(weights)

    def __call__(self, content: bytes) -> bytes:
        """Return the photo as a PNG, transparent where the networks see no person."""
        bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        if bgr is None:
            raise ValueError("OpenCV could not decode the photo")
        small: Srgb8 = cv2.cvtColor(
            cv2.resize(bgr, GENERAL_SIZE_PX, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB
        ).astype(np.uint8, copy=False)
        coverage = cv2.resize(self._networks(small), bgr.shape[1::-1])
        alpha = cv2.convertScaleAbs(coverage, alpha=255)
        visible = cv2.copyTo(cv2.merge((bgr, alpha)), alpha)
        done, encoded = cv2.imencode(".png", visible)
        if not done:
            raise ValueError("OpenCV could not encode the picture")
        return encoded.tobytes()
