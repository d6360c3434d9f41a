"""The region of interest: read strictly, and held against the photo as soon as its size is known.

A photo may lie on its side until `prepare` has turned it, and of one at an address nothing is
known before: so what the door lets pass is looked at again when the photo's size is known.
"""

import re
from dataclasses import dataclass
from typing import Final

from smart_filter_api.removebg.errors import Fault
from smart_filter_shared.recipe import Length
from smart_filter_shared.recipe.words import shown

_LENGTH: Final = re.compile(r"([+-]?[0-9]{1,5}(?:\.[0-9]{1,4})?)(px|%)?")
_WHOLE: Final = "0% 0% 100% 100%"
_SIDES: Final = 4
_ALL_PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class Region:
    """Two corners, x and y each, in pixels of the upright photo or percents of its sides."""

    left: Length
    top: Length
    right: Length
    bottom: Length

    def __str__(self) -> str:
        """Return it as a recipe writes it."""
        return f"{self.left} {self.top} {self.right} {self.bottom}"

    def fault(self, width: int, height: int) -> Fault | None:
        """Return what is wrong with it for an upright photo of this size."""
        across = self.left.of(width), self.right.of(width)
        down = self.top.of(height), self.bottom.of(height)
        if min(*across, *down) < 0 or across[1] > width or down[1] > height:
            return Fault(
                "roi_exceeds_bounds", f"the region {self} exceeds the image, {width}x{height}px"
            )
        if across[0] >= across[1] or down[0] >= down[1]:
            return Fault("roi_region_empty", f"the region {self} of {width}x{height}px is empty")
        return None

    def fault_however_turned(self, size: tuple[int, int] | None) -> Fault | None:
        """Return what is wrong with it whichever way a photo is turned.

        size: the photo's width and height in pixels; None: whatever size it has.
        """
        if size is not None:
            width, height = size
            return self.fault(width, height) and self.fault(height, width)
        corners = (self.left, self.top, self.right, self.bottom)
        if any(one.value < 0 or (one.percent and one.value > _ALL_PERCENT) for one in corners):
            return Fault("roi_exceeds_bounds", f"the region {self} exceeds any image")
        for low, high in ((self.left, self.right), (self.top, self.bottom)):
            if low.percent == high.percent and low.value >= high.value:
                return Fault("roi_region_empty", f"the region {self} is empty")
        return None


def read(text: str) -> Region:
    """Return the region of `x1 y1 x2 y2`, each with `px`, `%` or nothing, which is px.

    Raises ValueError, which says what would be right.
    """
    matches = [_LENGTH.fullmatch(part) for part in (text or _WHOLE).split()]
    found = [Length(float(one[1]), percent=one[2] == "%") for one in matches if one is not None]
    if len(matches) != _SIDES or len(found) != _SIDES:
        raise ValueError(f"{shown(text)} is not x1 y1 x2 y2 such as 10% 0% 90% 100%")
    return Region(*found)
