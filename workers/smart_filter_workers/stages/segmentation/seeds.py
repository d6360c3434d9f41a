"""Seeds for GrabCut, from a box, faces, another matte, or strokes.

Seeds are (h, w) uint8 with OpenCV's four levels: surely or probably background or person.

Parse and draw strokes, lines over areas to keep and to remove, and parse boxes.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.results import Face
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import HALF_LEVEL, Bools, Matte8, PreparedPhoto

Seeds = NDArray[np.uint8]

BACKGROUND: Final = cv2.GC_BGD
PERSON: Final = cv2.GC_FGD
MAYBE_BACKGROUND: Final = cv2.GC_PR_BGD
MAYBE_PERSON: Final = cv2.GC_PR_FGD

# A matte is trusted farther than this share of the longest side from its outline. Seeded by the
# matte of `selfie`, training portraits reach 0.931 IoU with it (0.932 with half of it, 0.917 with
# four times; 0.935 before GrabCut), street fashion 0.940 (0.941, 0.909; 0.937).
BAND_SHARE: Final = 0.01
# A stroke affects pixels nearer than this share of the longest side.
STROKE_REACH_SHARE: Final = 0.15
# Boxes around a face, as multiples of its size (the root of its area) from its middle: where a
# person probably is, and beyond which there is surely none.
HEAD_WIDTH, HEAD_ABOVE, HEAD_BELOW = 0.75, 1.0, 0.8
BODY_WIDTH, BODY_BELOW = 1.6, 7.0
REACH_SIDEWAYS, REACH_ABOVE, REACH_BELOW = 3.0, 1.6, 9.0
# This share of a face's box surely shows a person.
SURE_FACE_SHARE: Final = 0.6

Part = tuple[float, float, float, float]

_STROKE: Final = r"(?:keep|remove)(?: [0-9]{1,5},[0-9]{1,5})+"
# Pattern of the parameter; the empty text means no strokes, or no box.
STROKES_PATTERN: Final = rf"(?:{_STROKE}(?:; ?{_STROKE})*;?)?"
STROKES_FORM: Final = "strokes such as keep 120,80 140,95; remove 10,10 50,50 (photo pixels)"
BOX_PATTERN: Final = r"(?:[0-9]{1,5},[0-9]{1,5},[1-9][0-9]{0,4},[1-9][0-9]{0,4})?"
BOX_FORM: Final = "a box x,y,width,height in photo pixels, such as 40,60,300,420"

_REMOVED, _UNTOUCHED, _KEPT = 0, 128, 255


def from_box(
    box: tuple[int, int, int, int], prepared: PreparedPhoto, size: tuple[int, int]
) -> Seeds:
    """Return seeds for a person within a box; all background when the box is outside the photo.

    box: x, y, width, height in pixels of the photo; size: height and width of the seeds.
    """
    x, y, width, height = box
    seeds = np.full(size, BACKGROUND, np.uint8)
    _paint(seeds, prepared, (x, y, x + width, y + height), MAYBE_PERSON)
    return seeds


def from_faces(faces: Iterable[Face], prepared: PreparedPhoto, size: tuple[int, int]) -> Seeds:
    """Return seeds for a body below each face.

    faces: at least one, in pixels of the photo; size: height and width of the seeds.
    """
    seeds = np.full(size, BACKGROUND, np.uint8)
    painted = [_boxes_around(face) for face in faces]
    for level in (MAYBE_BACKGROUND, MAYBE_PERSON, PERSON):
        for parts in painted:
            for part in parts[level]:
                _paint(seeds, prepared, part, level)
    return seeds


def from_matte(matte: Matte8, size: tuple[int, int]) -> Seeds:
    """Return seeds that leave only a band along the outline of a matte open.

    matte: (H, W) uint8; size: height and width of the seeds.
    """
    height, width = size
    shrunk = cv2.resize(matte, (width, height), interpolation=cv2.INTER_AREA)
    person = (np.asarray(shrunk) > HALF_LEVEL).astype(np.uint8)
    side = 2 * max(1, round(BAND_SHARE * max(size))) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    seeds = np.where(person > 0, np.uint8(MAYBE_PERSON), np.uint8(MAYBE_BACKGROUND))
    seeds[cv2.dilate(person, disc) == 0] = BACKGROUND
    seeds[cv2.erode(person, disc) > 0] = PERSON
    return seeds


def make_unknown(size: tuple[int, int]) -> Seeds:
    """Return seeds of that height and width that are undecided everywhere, for strokes to set."""
    return np.full(size, MAYBE_BACKGROUND, np.uint8)


def add_strokes(seeds: Seeds, keep: Bools, remove: Bools) -> Seeds:
    """Return the seeds with strokes added: sure under them, undecided around them.

    keep, remove: (h, w) bool, as drawn.
    """
    drawn = keep | remove
    if not drawn.any():
        return seeds
    nearest = cv2.distanceTransform((~drawn).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    near = nearest <= STROKE_REACH_SHARE * max(seeds.shape)
    changed = seeds.copy()
    changed[near & (seeds == BACKGROUND)] = MAYBE_BACKGROUND
    changed[near & (seeds == PERSON)] = MAYBE_PERSON
    changed[keep] = PERSON
    changed[remove] = BACKGROUND
    return changed


def _boxes_around(face: Face) -> dict[int, Sequence[Part]]:
    """Return the boxes around a face, by level; left, top, right, bottom."""
    left, top, width, height = face.box
    x, y, size = left + width / 2, top + height / 2, (width * height) ** 0.5
    sure_x, sure_y = SURE_FACE_SHARE * width / 2, SURE_FACE_SHARE * height / 2

    def part(sideways: float, above: float, below: float) -> Part:
        return x - sideways * size, y - above * size, x + sideways * size, y + below * size

    return {
        MAYBE_BACKGROUND: [part(REACH_SIDEWAYS, REACH_ABOVE, REACH_BELOW)],
        MAYBE_PERSON: [
            part(HEAD_WIDTH, HEAD_ABOVE, HEAD_BELOW),
            part(BODY_WIDTH, -HEAD_BELOW, BODY_BELOW),
        ],
        PERSON: [(x - sure_x, y - sure_y, x + sure_x, y + sure_y)],
    }


def _paint(seeds: Seeds, prepared: PreparedPhoto, part: Part, level: int) -> None:
    """Set a box, in pixels of the photo, to a level, where it lies inside."""
    height, width = seeds.shape
    x_scale, y_scale = width / prepared.width, height / prepared.height
    left, top, right, bottom = part
    rows = slice(max(0, round(top * y_scale)), max(0, round(bottom * y_scale)))
    columns = slice(max(0, round(left * x_scale)), max(0, round(right * x_scale)))
    seeds[rows, columns] = level


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
) -> tuple[Bools, Bools]:
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
