"""Place a head in a document's photo: its height, the line of its eyes, and the room above."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from smart_filter_shared.recipe import DocumentPhoto
from smart_filter_shared.recipe.framing import TOUCHES_WITHIN
from smart_filter_shared.results import Face, Frame, Head
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import HALF_LEVEL, Matte8, Srgb8
from smart_filter_workers.stages.composite.printability.assess import find_head_top

# From the eyes to the top of the skull, in heights from the eyes to the chin: the eyes are in the
# middle of a head, and the crown is farther from the camera than the face; for each degree of pitch
# it is seen from more above.
# Source: Gordon et al. 2014, NATICK/TR-15/007 (ANSUR II): of 6,068 persons, the outer corner of the
# eye is 112 mm below the top, and the sellion, 6 mm higher, 120 mm above the chin; the deviation is
# 4.5 % of the head. Fitted to 58 heads of benchmarks/document_crowns.csv, as the figures below.
_CROWN: Final = 0.94
_CROWN_PER_DEGREE: Final = 0.012
_MOST_DEGREES: Final = 20.0
# Thickness of the hair over a skull, in heights of the head: of bald or short-haired heads, whose
# outline is near the proportion; from which on hair hides the crown; and below which some is cut.
_HAIR: Final = (0.02, 0.06)
HIDDEN_FROM: Final = 0.08
CUT_BELOW: Final = -0.1
# Room in millimeters between hair and the upper border.
_LEAST_ABOVE_HAIR: Final = 0.5
# The height of a head in pixels in which its outline is measured, and how far from a straight line
# it may be: a circle of a head's width has straight parts of 0.13 heights.
_OUTLINE_PX: Final = 256
_DEVIATES_PX: Final = 1.5
# Levels within which a bar has one color, JPEG's noise included.
_ONE_COLOR: Final = 14
# Half axes of the part of a head that no person lacks, in heights of the head.
_INNER: Final = (0.2, 0.33)


@dataclass(frozen=True, slots=True)
class HeadSpan:
    """Rows of a head in pixels of the photo, and its middle column.

    hair: where the hair begins; skull: the top of the head below it.
    thickness: from hair to skull by proportion, in heights of the head.
    cut: how much of the face's width the photo's upper border cuts.  straight: the longest
    straight part of the outline, in heights of the head.  missing: the share of the head's middle
    that is not the person's.
    """

    hair: float
    skull: float
    eyes: float
    chin: float
    middle: float
    thickness: float = 0.0
    cut: float = 0.0
    straight: float = 0.0
    missing: float = 0.0

    def top(self, document: DocumentPhoto) -> float:
        """Return the row where the head begins as the document counts it."""
        return self.hair if document.hair else self.skull


def measure_span(
    face: Face,
    head: Head,
    matte: Matte8 | None,
    photo_width: int,
    *,
    proxy_srgb: Srgb8 | None = None,
) -> HeadSpan:
    """Return the rows of a head.

    matte: (h, w) uint8 of the people, of any size.  proxy_srgb: (h, w, 3) uint8, the photo.
    """
    hair = find_head_top(face, matte, photo_width)
    chin, eyes = head.chin[1], head.eyes[1]
    pitch = float(np.clip(head.pitch, -_MOST_DEGREES, _MOST_DEGREES))
    crown = eyes - (_CROWN + _CROWN_PER_DEGREE * pitch) * (chin - eyes)
    height = max(1.0, chin - crown)
    thickness = (crown - hair) / height
    skull = hair + float(np.clip(thickness, *_HAIR)) * height
    span = HeadSpan(
        hair=hair,
        skull=crown if thickness > HIDDEN_FROM else skull,
        eyes=eyes,
        chin=chin,
        middle=(head.chin[0] + head.hairline[0]) / 2,
        thickness=thickness,
    )
    if matte is None:
        return span
    scale = matte.shape[1] / photo_width
    x, _, width, _ = (side * scale for side in face.box)
    center = (int(x + width / 2), int((crown + chin) / 2 * scale))
    axes = tuple(max(1, int(axis * height * scale)) for axis in _INNER)
    inner = cv2.ellipse(np.zeros_like(matte), center, axes, head.roll, 0, 360, 1, -1)
    lacks = (matte < HALF_LEVEL) & (inner > 0)
    columns = slice(max(0, int(x)), max(1, int(x + width) + 1))
    border = matte[: 1 + round(TOUCHES_WITHIN * len(matte)), columns] >= HALF_LEVEL
    return replace(
        span,
        cut=float(border.all(axis=0).mean()),
        straight=_measure_straight(
            matte if proxy_srgb is None else _hide_corners(matte, proxy_srgb),
            *(center[0], eyes * scale, height * scale),
        ),
        missing=float(lacks.sum() / max(1, np.count_nonzero(inner))),
    )


def _hide_corners(matte: Matte8, proxy_srgb: Srgb8) -> Matte8:
    """Return the matte without the photo's upper corners, as far as each has one color.

    A model goes on with a head in a bar that cuts it.
    """
    height, width = matte.shape
    corners = np.zeros((height + 2, width + 2), np.uint8)
    for corner in ((0, 0), (width - 1, 0)):
        near, flags = (_ONE_COLOR,) * 3, cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE
        cv2.floodFill(proxy_srgb.copy(), corners, corner, 0, near, near, flags)
    return np.where(corners[1:-1, 1:-1] > 0, np.uint8(0), matte)


def _measure_straight(matte: Matte8, middle: int, eyes: float, height: float) -> float:
    """Return the longest straight part of a head's outline above the eyes, in heights of the head.

    middle: the head's column; eyes, height: in rows of the matte.
    """
    left, right = max(0, round(middle - height)), round(middle + height)
    window = matte[max(0, round(eyes - 1.4 * height)) : max(1, round(eyes)), left:right]
    if not window.size:
        return 0.0
    size = tuple(max(3, round(side * _OUTLINE_PX / height)) for side in window.shape[::-1])
    people = (cv2.resize(window, size) >= HALF_LEVEL).view(np.uint8)
    longest = 0.0
    for outline in cv2.findContours(people, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]:
        corners = cv2.approxPolyDP(outline, _DEVIATES_PX, True)[:, 0]
        ends = np.roll(corners, -1, axis=0)
        lowest, highest = np.minimum(corners, ends), np.maximum(corners, ends)
        # The window, not the outline, ends there.
        is_border = (highest <= 1) | (lowest >= np.array(size) - 2)
        lengths = np.hypot(*(highest - lowest).T) * ~is_border.any(axis=1)
        longest = max(longest, float(lengths.max()))
    return longest / _OUTLINE_PX


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
