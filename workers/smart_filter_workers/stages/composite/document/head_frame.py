"""Place a head in a document's photo: its height, the line of its eyes, and the room above."""

from dataclasses import dataclass
from typing import Final

from smart_filter_shared.recipe import DocumentPhoto
from smart_filter_shared.recipe.framing import TOUCHES_WITHIN
from smart_filter_shared.results import Face, Frame, Head
from smart_filter_workers.results import HALF_LEVEL, Matte8
from smart_filter_workers.stages.composite.printability import find_head_top

# From the chin to the top of the skull, in heights from the chin to the hairline.
# Source: Farkas 1994, "Anthropometry of the head and face": 230 and 187 mm of young men.
SKULL_RATIO: Final = 1.23
# Room in millimeters between hair and the upper border.
_LEAST_ABOVE_HAIR: Final = 0.5


@dataclass(frozen=True, slots=True)
class HeadSpan:
    """Rows of a head in pixels of the photo, and its middle column.

    hair: where the hair begins; skull: the top of the head below it, by proportion.
    cut: how much of the face's width the photo's upper border cuts.
    """

    hair: float
    skull: float
    eyes: float
    chin: float
    middle: float
    cut: float = 0.0

    def top(self, document: DocumentPhoto) -> float:
        """Return the row where the head begins as the document counts it."""
        return self.hair if document.hair else self.skull


def measure_span(face: Face, head: Head, matte: Matte8 | None, photo_width: int) -> HeadSpan:
    """Return the rows of a head.  matte: (h, w) uint8 of the people, of any size."""
    hair = find_head_top(face, matte, photo_width)
    chin = head.chin[1]
    return HeadSpan(
        hair=hair,
        skull=max(hair, chin - SKULL_RATIO * (chin - head.hairline[1])),
        eyes=head.eyes[1],
        chin=chin,
        middle=(head.chin[0] + head.hairline[0]) / 2,
        cut=_measure_cut(face, matte, photo_width),
    )


def _measure_cut(face: Face, matte: Matte8 | None, photo_width: int) -> float:
    """Return the share of a face's width above which the matte reaches the photo's first rows."""
    if matte is None:
        return 0.0
    scale = matte.shape[1] / photo_width
    x, _, width, _ = (side * scale for side in face.box)
    rows = matte[: 1 + round(TOUCHES_WITHIN * len(matte)), max(0, int(x)) : int(x + width) + 1]
    return float((rows >= HALF_LEVEL).all(axis=0).mean())


def compute_frame(document: DocumentPhoto, span: HeadSpan) -> Frame:
    """Return the placement of the photo that puts the head where the document wants it.

    The head has the middle of the allowed heights. It is moved down as far as is allowed, and then
    made smaller, when its hair would be cut. The file has the photo's own pixels, as far as its
    size may be.
    """
    top = span.top(document)
    least, most = document.head
    width, height = document.fit_pixels(2 * (span.chin - top) / (least + most))
    per_mm = height / document.size[1]
    for share in (0.5, 0.25, 0.0):
        scale = (least + share * (most - least)) * per_mm / max(1.0, span.chin - top)
        hair_above = (top - span.hair) * scale / per_mm
        above = _room_above(document, (span.eyes - top) * scale / per_mm, hair_above)
        if above >= hair_above:
            break
    return Frame(
        width,
        height,
        scale,
        left=width / 2 - scale * span.middle,
        top=above * per_mm - scale * top,
    )


def _room_above(document: DocumentPhoto, eyes_below: float, hair_above: float) -> float:
    """Return the room from the upper border to the top of the head, in millimeters.

    eyes_below: from the top of the head to the eyes; hair_above: from it to the top of the hair.
    """
    height = document.size[1]
    if document.eyes is not None:
        low, high = (height - eyes - eyes_below for eyes in reversed(document.eyes))
    else:
        low, high = document.above or (0.0, (height - document.head[1]) / 2)
    return min(high, max((low + high) / 2, hair_above + _LEAST_ABOVE_HAIR))
