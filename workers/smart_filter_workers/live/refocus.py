"""Find regions to look at again: people whose faces were found but whose bodies were missed.

Small networks that see a whole frame at once miss people that are small, dark in front of a dark
background, or at the border. A second look at such a person alone finds most of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from smart_filter_shared.results import Face
from smart_filter_workers.stages.segmentation.mattes.two_pass import Floats
from smart_filter_workers.stages.segmentation.regions import Region

# Mean coverage of a face's box; it is below 1 because the box's corners show the background.
MISSED_BELOW: Final = 0.7
# Limit per frame: each look takes 7 ms. Other missed people wait for later frames.
MAX_REGIONS: Final = 2
# In sides of a face's box: to either side of its middle, above and below its upper border.
REACH_ACROSS, REACH_UP, REACH_DOWN = 2.2, 0.8, 5.0


@dataclass(frozen=True, slots=True)
class FocusRegion:
    """The region of one person, in a small picture and in a large one of the same frame."""

    small: Region
    large: Region


def find_regions(coverage: Floats, faces: Sequence[Face], *, scale: float) -> Iterator[FocusRegion]:
    """Yield the regions of the people with the least coverage.

    coverage: (h, w) float32, 0..1.  faces: in pixels of a picture that is `scale` times as large.
    """
    height, width = coverage.shape
    missed = []
    for face in faces:
        left, top, across, down = (side / scale for side in face.box)
        box = coverage[_span(top, top + down, height), _span(left, left + across, width)]
        mean = float(box.mean()) if box.size else 1.0
        if mean < MISSED_BELOW:
            missed.append((mean, face))
    missed.sort(key=lambda region: region[0])
    for _, face in missed[:MAX_REGIONS]:
        left, top, across, down = face.box
        middle = left + across / 2
        start, end = middle - REACH_ACROSS * across, middle + REACH_ACROSS * across
        upper, lower = top - REACH_UP * down, top + REACH_DOWN * down
        small = (
            _span(upper / scale, lower / scale, height),
            _span(start / scale, end / scale, width),
        )
        yield FocusRegion(small, (_scale_span(small[0], scale), _scale_span(small[1], scale)))


def _span(start: float, end: float, length: int) -> slice:
    return slice(min(length, max(0, int(start))), max(0, min(length, int(end) + 1)))


def _scale_span(span: slice, scale: float) -> slice:
    return slice(round(span.start * scale), round(span.stop * scale))
