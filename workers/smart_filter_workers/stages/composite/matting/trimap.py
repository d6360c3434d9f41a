"""Trimap: the pixels of a matte that are surely people, surely background, or unsure."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Matte8

# A matte is sure below and above these levels, unless it is unsure next to them.
SURELY_NONE: Final = 12
SURELY_WHOLE: Final = 243


@dataclass(frozen=True, slots=True)
class Trimap:
    """Two masks, (h, w) bool; where neither is set the matte is unsure."""

    people: NDArray[np.bool_]
    backdrop: NDArray[np.bool_]

    @property
    def sure(self) -> NDArray[np.bool_]:
        """The pixels where the matte is right as it is, (h, w)."""
        return self.people | self.backdrop

    def is_decided(self) -> bool:
        """Return whether nothing can be learned: all is sure, or one side is nowhere sure."""
        return not self.people.any() or not self.backdrop.any() or bool(self.sure.all())


def from_matte(matte: Matte8, *, reach_px: int) -> Trimap:
    """Return a matte's trimap, two masks of its size.

    matte: (h, w) uint8.  The unsure band is as wide as the matte is soft, and `reach_px` wider: an
    edge may be that far from where a network saw it.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach_px + 1,) * 2)
    people = cv2.erode(cv2.inRange(matte, SURELY_WHOLE, 255), disc)
    backdrop = cv2.erode(cv2.inRange(matte, 0, SURELY_NONE), disc)
    return Trimap(people > 0, backdrop > 0)


def widen_outward(areas: Trimap, matte: Matte8, *, where: Floats, reach_px: int) -> Trimap:
    """Return the trimap with a wider reach into the background where `where` is over one half.

    matte: (h, w) uint8; where: (h, w) float32, 0..1.
    """
    elsewhere = where <= 0.5  # noqa: PLR2004 - a half
    wider = from_matte(matte, reach_px=reach_px)
    made = Trimap(areas.people, areas.backdrop & (elsewhere | wider.backdrop))
    return areas if made.is_decided() else made
