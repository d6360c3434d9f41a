"""Parse the region of interest, and check it against the photo's size.

The check runs twice. At submission the photo may still need rotation, or its size is unknown when
it comes from a URL, so only regions that can never fit are rejected. The check is repeated when
`prepare` has found the upright size.
"""

import re
from dataclasses import dataclass
from typing import Final

from smart_filter_api.removebg.errors import Fault
from smart_filter_shared.catalog.scalars import quote_value
from smart_filter_shared.recipe import Length

_LENGTH: Final = re.compile(r"([+-]?[0-9]{1,5}(?:\.[0-9]{1,4})?)(px|%)?")
_WHOLE: Final = "0% 0% 100% 100%"
_SIDES: Final = 4
_ALL_PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class Region:
    """A box given by two corners, in pixels of the upright photo or percent of its sides."""

    left: Length
    top: Length
    right: Length
    bottom: Length

    def __str__(self) -> str:
        """Return the region as a recipe writes it."""
        return f"{self.left} {self.top} {self.right} {self.bottom}"

    def fault(self, width: int, height: int) -> Fault | None:
        """Return the fault of the region for an upright photo of this size; None if it fits."""
        across = self.left.to_px(width), self.right.to_px(width)
        down = self.top.to_px(height), self.bottom.to_px(height)
        if min(*across, *down) < 0 or across[1] > width or down[1] > height:
            return Fault(
                "roi_exceeds_bounds", f"the region {self} exceeds the image, {width}x{height}px"
            )
        if across[0] >= across[1] or down[0] >= down[1]:
            return Fault("roi_region_empty", f"the region {self} of {width}x{height}px is empty")
        return None

    def fault_in_any_orientation(self, size: tuple[int, int] | None) -> Fault | None:
        """Return the fault of the region in every orientation of a photo; None if it can fit.

        size: the photo's width and height in pixels; None if unknown.
        """
        if size is not None:
            width, height = size
            return self.fault(width, height) and self.fault(height, width)
        corners = (self.left, self.top, self.right, self.bottom)
        if any(
            corner.value < 0 or (corner.percent and corner.value > _ALL_PERCENT)
            for corner in corners
        ):
            return Fault("roi_exceeds_bounds", f"the region {self} exceeds any image")
        for low, high in ((self.left, self.right), (self.top, self.bottom)):
            if low.percent == high.percent and low.value >= high.value:
                return Fault("roi_region_empty", f"the region {self} is empty")
        return None


def parse_region(text: str) -> Region:
    """Return the region of `x1 y1 x2 y2`, each with `px` or `%`; the default unit is px.

    Raises ValueError, which names the expected form.
    """
    matches = [_LENGTH.fullmatch(part) for part in (text or _WHOLE).split()]
    lengths = [
        Length(float(match[1]), percent=match[2] == "%") for match in matches if match is not None
    ]
    if len(matches) != _SIDES or len(lengths) != _SIDES:
        raise ValueError(f"{quote_value(text)} is not x1 y1 x2 y2 such as 10% 0% 90% 100%")
    return Region(*lengths)
