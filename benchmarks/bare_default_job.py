"""Decode a photo, run the networks of a default job and encode: the baseline of that job."""

import os
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import cv2
import numpy as np

from benchmarks import networks, photos
from benchmarks.networks import Call
from benchmarks.stages import open_stages
from smart_filter_shared.recipe import Recipe
from smart_filter_workers import images
from smart_filter_workers.in_process import InProcess

QUALITY: Final = 90


class BareDefaultJob:
    """Runs the networks of a default job, without the steps between them; thread-safe.

    They get the inputs that a job of one photo gave them.
    """

    def __init__(self, weights: Path) -> None:
        photo = next(photos.selfies(photos.SIDE_OF_1_MP))
        self._free: SimpleQueue[list[Call]] = SimpleQueue()
        for _ in range(os.cpu_count() or 1):
            # Networks of their own for each thread: no two calls may share LiteRT's interpreters.
            self._free.put(_record(open_stages(weights), photo))

    def __call__(self, content: bytes) -> bytes:
        """Return the photo as a JPEG, after the networks have run."""
        bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        if bgr is None:
            raise ValueError("OpenCV could not decode the photo")
        calls = self._free.get()
        try:
            networks.repeat(calls)
        finally:
            self._free.put(calls)
        done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if not done:
            raise ValueError("OpenCV could not encode the picture")
        return encoded.tobytes()


def _record(peer: InProcess, photo: bytes) -> list[Call]:
    with networks.record() as calls:
        peer.run(images.decode(photo), Recipe())
    return calls
