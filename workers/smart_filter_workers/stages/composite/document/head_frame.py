"""Place a head in a document's photo, and the photo on a sheet to print, with cutting marks."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.recipe import DocumentPhoto, Sheet
from smart_filter_shared.recipe.framing import TOUCHES_WITHIN
from smart_filter_shared.results import Face, Frame, Head
from smart_filter_workers.results import HALF_LEVEL, Matte8, Srgb8
from smart_filter_workers.stages.composite.printability import find_head_top

# From the chin to the top of the skull, in heights from the chin to the hairline.
# Source: Farkas 1994, "Anthropometry of the head and face": 230 and 187 mm of young men.
SKULL_RATIO: Final = 1.23
# Room in millimeters between hair and the upper border.
_LEAST_ABOVE_HAIR: Final = 0.5

# Width and height in millimeters.
PAPERS_MM: Final = {Sheet.CM_10X15: (100, 150), Sheet.IN_4X6: (101.6, 152.4), Sheet.A4: (210, 297)}
# Printers leave this much of the paper's border white; and the room between photos.
_BORDER_MM: Final = 4.0
_GAP_MM: Final = 2.0
_MARK_MM: Final = 1.5
_GRAY: Final = 96


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


def draw(pixels: Srgb8, document: DocumentPhoto, paper: Sheet) -> Srgb8:
    """Return the sheet, (H, W, 3) uint8, upright or lying: whichever has more photos.

    pixels: the document's photo, (h, w, 3) uint8.
    """
    per_mm = pixels.shape[0] / document.size[1]
    upright = PAPERS_MM[paper]
    both = (upright, upright[::-1])
    width, height = max(both, key=lambda sides: math.prod(_grid(sides, document)))
    sheet = np.full((round(height * per_mm), round(width * per_mm), 3), 255, np.uint8)
    columns, rows = _grid((width, height), document)
    step_x, step_y = (round((side + _GAP_MM) * per_mm) for side in document.size)
    photo_height, photo_width = pixels.shape[:2]
    left = (sheet.shape[1] - (columns - 1) * step_x - photo_width) // 2
    top = (sheet.shape[0] - (rows - 1) * step_y - photo_height) // 2
    mark = round(_MARK_MM * per_mm)
    for x in (left + column * step_x for column in range(columns)):
        for y in (top + row * step_y for row in range(rows)):
            right, bottom = x + photo_width, y + photo_height
            # Ticks beyond the corners, which the neighboring photos cover where they reach.
            for line in (y, bottom - 1):
                sheet[line, max(0, x - mark) : right + mark] = _GRAY
            for line in (x, right - 1):
                sheet[max(0, y - mark) : bottom + mark, line] = _GRAY
            sheet[y:bottom, x:right] = pixels
    return sheet


def _grid(paper: tuple[float, float], document: DocumentPhoto) -> tuple[int, int]:
    """Return how many photos fit across and down."""
    across, down = (
        max(1, int((side - 2 * _BORDER_MM + _GAP_MM) // (photo + _GAP_MM)))
        for side, photo in zip(paper, document.size, strict=True)
    )
    return across, down
