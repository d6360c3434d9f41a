"""Sample part of a picture and its matte for learning an edge: fewer pixels where it is soft."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Matte8
from smart_filter_workers.stages.composite.matting.trimap import SURELY_NONE, SURELY_WHOLE

# Pixels of the picture for each sampled pixel, along each axis.
STEPS: Final = (1, 1.5, 2, 3, 4, 6)
# Greatest width of the matte's soft band, in sampled pixels: the windows that edges are learned
# from must reach across it.
MAX_SOFT_PX: Final = 2.5
# A matte that is nowhere sure is not made ever smaller for that.
MAX_SOFT_STEP: Final = 3


def choose_step(matte: Matte8, *, size: int) -> float:
    """Return the step of STEPS that samples a matte, (h, w) uint8, to about `size` pixels."""
    by_softness = min(_measure_softness(matte) / MAX_SOFT_PX, MAX_SOFT_STEP)
    wanted = max(math.sqrt(matte.size / size), by_softness, 1)
    return min(STEPS, key=lambda step: abs(math.log(step / wanted)))


def sample(pixels: NDArray[np.uint8], step: float) -> NDArray[np.uint8]:
    """Return a picture or matte, (h, w[, 3]) uint8, `step` times smaller, as a copy."""
    height, width = pixels.shape[:2]
    small = resize(pixels, width=max(1, round(width / step)), height=max(1, round(height / step)))
    return np.array(small, order="C")


def _measure_softness(matte: Matte8) -> float:
    """Return the mean width of a matte's soft band, in pixels."""
    soft = cv2.countNonZero(cv2.inRange(matte, SURELY_NONE + 1, SURELY_WHOLE - 1))
    people = cv2.inRange(matte, 128, 255)
    inner = cv2.erode(people, np.ones((3, 3), np.uint8))
    return soft / max(1, cv2.countNonZero(people) - cv2.countNonZero(inner))
