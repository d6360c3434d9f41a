"""How bright a picture is, and how much of it is cut off."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.results import Srgb8

# Levels of 255 that a camera or an editor has cut off.
BLACK, WHITE = 5, 250
BRIGHTEST_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Levels:
    """How bright a picture is.

    brightness: mean luma (Rec. 601), 0..1; brightest: what a twentieth of the pixels exceeds.
    dark, bright: the shares of pixels that are black, and burnt out.
    clipped: the share of those of which red, green or blue is cut off: skin loses its colour.
    """

    brightness: float
    brightest: float
    dark: float
    bright: float
    clipped: float


def levels_of(grey: NDArray[np.uint8], srgb: Srgb8 | None = None) -> Levels:
    """Return the levels of a picture of at least one pixel.

    grey: (h, w) uint8, luma; srgb: (h, w, 3) uint8, the same; None for no more than grey.
    """
    highest = grey if srgb is None else srgb.max(axis=2)
    # A twentieth of the time of NumPy's bincount.
    shares = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel() / grey.size
    above = np.cumsum(shares[::-1])[::-1]
    return Levels(
        brightness=float(shares @ np.arange(256)) / 255,
        brightest=int(np.flatnonzero(above >= BRIGHTEST_SHARE)[-1]) / 255,
        dark=float(shares[: BLACK + 1].sum()),
        bright=float(shares[WHITE:].sum()),
        clipped=float((highest >= WHITE).mean()),
    )
