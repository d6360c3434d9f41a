"""Place a head in a document's photo: its height, the line of its eyes, and the room above."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from smart_filter_shared.recipe import DocumentPhoto
from smart_filter_shared.recipe.framing import TOUCHES_WITHIN
from smart_filter_shared.results import Face, Frame, Head
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import HALF_LEVEL, Matte8
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
# Half axes of the part of a head that no person lacks, in heights of the head.
_INNER: Final = (0.2, 0.33)


@dataclass(frozen=True, slots=True)
class HeadSpan:
    """Rows of a head in pixels of the photo, and its middle column.

    hair: where the hair begins; skull: the top of the head below it.
    thickness: from hair to skull by proportion, in heights of the head.
    cut: how much of the face's width the photo's upper border cuts.  flat: how much of it the
    outline has in one row, in what a round head has.  missing: the share of the head's middle that
    is not the person's.
    """

    hair: float
    skull: float
    eyes: float
    chin: float
    middle: float
    thickness: float = 0.0
    cut: float = 0.0
    flat: float = 0.0
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
    removed: Matte8 | None = None,
) -> HeadSpan:
    """Return the rows of a head.

    matte: (h, w) uint8 of the people, of any size.  removed: (h, w) uint8, 1 where strokes or
    transparency took a person away.
    """
    hair = find_head_top(face, matte, photo_width)
    chin, eyes = head.chin[1], head.eyes[1]
    pitch = min(_MOST_DEGREES, max(-_MOST_DEGREES, head.pitch))
    crown = eyes - (_CROWN + _CROWN_PER_DEGREE * pitch) * (chin - eyes)
    height = max(1.0, chin - crown)
    thickness = (crown - hair) / height
    least, most = _HAIR
    skull = hair + min(most, max(least, thickness)) * height
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
    cut, flat = _measure_outline(face, matte, scale)
    center = (int((face.box[0] + face.box[2] / 2) * scale), int((crown + chin) / 2 * scale))
    axes = tuple(max(1, int(axis * height * scale)) for axis in _INNER)
    inner = cv2.ellipse(np.zeros_like(matte), center, axes, head.roll, 0, 360, 1, -1)
    lacks = (matte < HALF_LEVEL) & (inner > 0)
    if removed is not None:
        around = (center[0], round(hair * scale)), (2 * axes[0], 2 * axes[0])
        lacks |= (removed > 0) & (cv2.ellipse(inner.copy(), *around, 0, 0, 360, 1, -1) > 0)
    missing = float(lacks.sum() / max(1, np.count_nonzero(inner)))
    return replace(span, cut=cut, flat=flat, missing=missing)


def _measure_outline(face: Face, matte: Matte8, scale: float) -> tuple[float, float]:
    """Return how much of a head the photo's border cuts, and how flat its outline is."""
    x, y, width, height = (side * scale for side in face.box)
    columns = slice(max(0, int(x)), max(1, int(x + width) + 1))
    over = matte[: max(1, int(y + height / 2)), columns] >= HALF_LEVEL
    cut = float(over[: 1 + round(TOUCHES_WITHIN * len(matte))].all(axis=0).mean())
    tops = np.bincount(over.argmax(axis=0)[over.any(axis=0)], minlength=2)
    # A circle as wide as a head is within two rows of its top over this share of the face.
    of_circle = 3.0 / max(1.0, width) ** 0.5
    return cut, float((tops[1:] + tops[:-1]).max() / over.shape[1] / of_circle)


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
