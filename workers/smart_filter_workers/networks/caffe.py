"""Caffe networks by OpenCV's DNN module, callable from any thread: each thread has its own copy."""

import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class CaffeNetwork:
    """One network with one input and one output, its files read once.

    layers: the .prototxt file; weights: the .caffemodel file.
    Such a network keeps its input and its layers' outputs between calls, so it must not be shared.
    Raises cv2.error when the files are no network that OpenCV supports.
    """

    def __init__(self, *, layers: Path, weights: Path) -> None:
        self._layers = np.frombuffer(layers.read_bytes(), np.uint8)
        self._weights = np.frombuffer(weights.read_bytes(), np.uint8)
        self._own = threading.local()
        self._network()  # a file that cannot run fails here, not with the first photo

    def __call__(self, blob: Floats) -> Floats:
        """Return the network's output for blob, (N, C, H, W) float32.  The array is a new copy."""
        network = self._network()
        network.setInput(blob)
        return np.array(network.forward(), dtype=np.float32)

    def _network(self) -> cv2.dnn.Net:
        own: cv2.dnn.Net | None = getattr(self._own, "network", None)
        if own is None:
            own = cv2.dnn.readNetFromCaffe(self._layers, self._weights)
            self._own.network = own
        return own
