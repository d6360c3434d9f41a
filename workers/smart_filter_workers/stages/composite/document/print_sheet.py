"""A sheet to print: a document's photo as often as it fits on a paper, with cutting marks."""

import math
from typing import Final

import numpy as np

from smart_filter_shared.recipe import DocumentPhoto, Sheet
from smart_filter_workers.results import Srgb8

# Width and height in millimeters.
PAPERS_MM: Final = {Sheet.CM_10X15: (100, 150), Sheet.IN_4X6: (101.6, 152.4), Sheet.A4: (210, 297)}
# Printers leave this much of the paper's border white; and the room between photos.
_BORDER_MM: Final = 4.0
_GAP_MM: Final = 2.0
_MARK_MM: Final = 1.5
_LINE_MM: Final = 0.15
_GRAY: Final = 96


def draw(pixels: Srgb8, document: DocumentPhoto, paper: Sheet) -> Srgb8:
    """Return the sheet, (H, W, 3) uint8, upright or lying: whichever has more photos.

    pixels: the document's photo, (h, w, 3) uint8.
    """
    per_mm = pixels.shape[0] / document.size[1]
    upright = PAPERS_MM[paper]
    width, height = max(
        (upright, upright[::-1]), key=lambda sides: math.prod(_grid(sides, document))
    )
    sheet = np.full((round(height * per_mm), round(width * per_mm), 3), 255, np.uint8)
    columns, rows = _grid((width, height), document)
    step_x, step_y = (round((side + _GAP_MM) * per_mm) for side in document.size)
    photo_height, photo_width = pixels.shape[:2]
    left = (sheet.shape[1] - (columns - 1) * step_x - photo_width) // 2
    top = (sheet.shape[0] - (rows - 1) * step_y - photo_height) // 2
    mark, thick = round(_MARK_MM * per_mm), max(1, round(_LINE_MM * per_mm))
    for x in (left + column * step_x for column in range(columns)):
        for y in (top + row * step_y for row in range(rows)):
            right, bottom = x + photo_width, y + photo_height
            # Ticks beyond the corners, which the neighboring photos cover where they reach.
            for line in (y, bottom - thick):
                sheet[line : line + thick, max(0, x - mark) : right + mark] = _GRAY
            for line in (x, right - thick):
                sheet[max(0, y - mark) : bottom + mark, line : line + thick] = _GRAY
            sheet[y:bottom, x:right] = pixels
    return sheet


def _grid(paper: tuple[float, float], document: DocumentPhoto) -> tuple[int, int]:
    """Return how many photos fit across and down."""
    across, down = (
        max(1, int((side - 2 * _BORDER_MM + _GAP_MM) // (photo + _GAP_MM)))
        for side, photo in zip(paper, document.size, strict=True)
    )
    return across, down
