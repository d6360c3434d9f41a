"""Haar cascades, callable from any thread: each thread has a classifier of its own.

Source: Viola & Jones 2001, "Rapid object detection using a boosted cascade of simple features";
Lienhart & Maydt 2002 for the features. OpenCV 4 ships the cascade files.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks.coordinates import Box
from smart_filter_workers.opencv import cv2

# (H, W) uint8, luma.
Gray8 = NDArray[np.uint8]

# Source of the license and of the data terms: the head of the files, which name no photos or data
# set.
LICENSE: Final = "Apache-2.0"
DATA_TERMS: Final = "terms unknown: the files name their authors, not the photos"


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """How a cascade searches a picture.

    scale_factor: factor from one scale to the next, above 1.
    neighbors: number of windows that must agree on a detection.
    least_px: least width and height of a detection.
    """

    scale_factor: float
    neighbors: int
    least_px: int


class Cascade:
    """One of OpenCV's cascades, by the name of its file.

    A classifier keeps its current picture: when four threads shared one, 28 of 40 results were
    wrong.
    Raises SetupFailed when OpenCV does not ship the file, as its version 5 does not.
    """

    def __init__(self, name: str) -> None:
        self._path = _folder() / f"{name}.xml"
        if not self._path.is_file():
            raise SetupFailed(f"{self._path} is missing: install opencv-python-headless<5")
        self._per_thread = threading.local()
        self._classifier()  # a file that cannot be read fails here, not with the first photo

    def __call__(self, gray: Gray8, looks: DetectionOptions) -> list[Box]:
        """Return the detections, as left, top, right and bottom in pixels, from left to right."""
        detected = self._classifier().detectMultiScale(
            gray,
            scaleFactor=looks.scale_factor,
            minNeighbors=looks.neighbors,
            minSize=(looks.least_px, looks.least_px),
        )
        squares = [tuple(int(value) for value in square) for square in detected]
        return [
            (float(left), float(top), float(left + width), float(top + height))
            for left, top, width, height in sorted(squares)
        ]

    def _classifier(self) -> cv2.CascadeClassifier:
        classifier: cv2.CascadeClassifier | None = getattr(self._per_thread, "classifier", None)
        if classifier is None:
            classifier = cv2.CascadeClassifier(str(self._path))
            self._per_thread.classifier = classifier
        return classifier


def _folder() -> Path:
    # OpenCV's type stubs lack its folder of data.
    return Path(str(cv2.data.haarcascades))  # type: ignore[attr-defined]
