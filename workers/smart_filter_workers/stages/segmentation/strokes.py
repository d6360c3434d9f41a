"""Parse and draw strokes, lines over areas to keep and to remove, and parse boxes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import PreparedPhoto

_STROKE: Final = r"(?:keep|remove)(?: [0-9]{1,5},[0-9]{1,5})+"
# Pattern of the parameter; the empty text means no strokes, or no box.
STROKES_PATTERN: Final = rf"(?:{_STROKE}(?:; ?{_STROKE})*;?)?"
STROKES_FORM: Final = "strokes such as keep 120,80 140,95; remove 10,10 50,50 (photo pixels)"
BOX_PATTERN: Final = r"(?:[0-9]{1,5},[0-9]{1,5},[1-9][0-9]{0,4},[1-9][0-9]{0,4})?"
BOX_FORM: Final = "a box x,y,width,height in photo pixels, such as 40,60,300,420"

_REMOVED, _UNTOUCHED, _KEPT = 0, 128, 255


@dataclass(frozen=True, slots=True)
class Stroke:
    """One line: its corners in pixels of the photo, and whether the area under it is kept."""

    keep: bool
    points: tuple[tuple[int, int], ...]


def parse_strokes(text: str) -> tuple[Stroke, ...]:
    """Return the strokes in a text.  Raises ValueError when it does not match STROKES_PATTERN."""
    if not re.fullmatch(STROKES_PATTERN, text):
        raise ValueError(f"strokes are not {STROKES_FORM}: {text[:60]!r}")
    return tuple(_stroke(part) for part in text.split(";") if part.strip())


def parse_box(text: str) -> tuple[int, int, int, int] | None:
    """Return x, y, width and height of a box; None for the empty text.

    Raises ValueError when the text does not match BOX_PATTERN.
    """
    if not re.fullmatch(BOX_PATTERN, text):
        raise ValueError(f"{text[:60]!r} is not {BOX_FORM}")
    if not text:
        return None
    x, y, width, height = (int(number) for number in text.split(","))
    return x, y, width, height


def draw_strokes(
    strokes: Iterable[Stroke], prepared: PreparedPhoto, size: tuple[int, int], *, brush_px: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the areas that strokes keep and remove: (h, w) bool each.

    prepared: the photo that the strokes were drawn on; size: height and width of the result.
    brush_px: width of the brush in pixels of the photo.  Where strokes overlap, the later one
    counts; parts outside the photo are cut off.
    """
    height, width = size
    x_scale, y_scale = width / prepared.width, height / prepared.height
    thickness = max(1, round(brush_px * max(x_scale, y_scale)))
    drawn = np.full(size, _UNTOUCHED, np.uint8)
    for stroke in strokes:
        points = np.array(stroke.points, np.float64) * (x_scale, y_scale)
        corners = np.floor(points).astype(np.int32).reshape(-1, 1, 2)
        level = _KEPT if stroke.keep else _REMOVED
        cv2.polylines(drawn, [corners], isClosed=False, color=level, thickness=thickness)
    return drawn == _KEPT, drawn == _REMOVED


def _stroke(text: str) -> Stroke:
    word, *corners = text.split()
    points = [(int(x), int(y)) for x, _, y in (corner.partition(",") for corner in corners)]
    # A single point becomes a line to itself: OpenCV draws nothing through one point.
    return Stroke(keep=word == "keep", points=tuple(points if len(points) > 1 else points * 2))
