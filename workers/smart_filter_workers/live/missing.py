"""Missing: people whose faces are seen and who are not, and where a closer look finds them.

Small networks that see a whole frame at once miss who is small in it, dark before the dark, or at
its border. A look at that person alone, as large as the networks see, finds most of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from smart_filter_workers.results import Face
from smart_filter_workers.stages.segmentation.closer import Floats
from smart_filter_workers.stages.segmentation.regions import Region

# Mean coverage of a face's box, whose corners show what is behind.
MISSED_BELOW: Final = 0.7
# Each look takes 7 ms: the others have to wait until these are found otherwise.
MOST: Final = 2
# Of a face's box: to either side of its middle, above and below its upper border.
REACH_ACROSS, REACH_UP, REACH_DOWN = 2.2, 0.8, 5.0


@dataclass(frozen=True, slots=True)
class Around:
    """Where somebody is, in a small picture and in a large one of the same frame."""

    small: Region
    large: Region


def regions(coverage: Floats, faces: Sequence[Face], *, scale: float) -> Iterator[Around]:
    """Yield where to look for those who are missed most.

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
    missed.sort(key=lambda one: one[0])
    for _, face in missed[:MOST]:
        left, top, across, down = face.box
        middle = left + across / 2
        start, end = middle - REACH_ACROSS * across, middle + REACH_ACROSS * across
        upper, lower = top - REACH_UP * down, top + REACH_DOWN * down
        small = (
            _span(upper / scale, lower / scale, height),
            _span(start / scale, end / scale, width),
        )
        yield Around(small, (_larger(small[0], scale), _larger(small[1], scale)))


def _span(start: float, end: float, length: int) -> slice:
    return slice(min(length, max(0, int(start))), max(0, min(length, int(end) + 1)))


def _larger(span: slice, scale: float) -> slice:
    return slice(round(span.start * scale), round(span.stop * scale))
