"""Where people stand in the picture: which part of the photo it shows, how large, and where.

What is asked for is one window onto the photo's plane. It may reach beyond the photo, whose
background is replaced anyway, but not past a border that cuts somebody off: there would be a
straight edge in the air.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from smart_filter_shared.recipe import Crop, Framing, Length
from smart_filter_workers.results import Face, Frame

# A subject so near to a border, as a share of that side, is cut off by it.
TOUCHES_WITHIN: Final = 0.004
# Of the picture's height: a face in a portrait, and its eyes from the top (the upper third).
FACE_SHARE: Final = 0.28
EYES_FROM_TOP: Final = 0.36
# In heights of a face: hair above its box, air above the hair, and air beside a group.
HAIR: Final = 0.45
HEAD_ROOM: Final = 0.25
BESIDE_GROUP: Final = 0.9
# Air around a subject that a shape is filled up around, as a share of the subject.
AIR: Final = 0.04
# From this shape on, somebody who looks aside stands on a third and looks into the picture.
WIDE: Final = 1.2
# Of the distance between the eyes: the nose is so far off their middle when somebody looks aside.
LOOKS_ASIDE: Final = 0.2
THIRD: Final = 1 / 3


@dataclass(frozen=True, slots=True)
class Box:
    """A box in pixels of the photo; it may reach beyond it."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Its width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Its height in pixels."""
        return self.bottom - self.top

    @property
    def middle(self) -> tuple[float, float]:
        """The x and y of its middle."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def moved(self, x: float, y: float) -> "Box":
        """Return it moved by so many pixels."""
        return Box(self.left + x, self.top + y, self.right + x, self.bottom + y)


@dataclass(frozen=True, slots=True)
class Seen:
    """What framing goes by.

    photo: the whole of it.  subject: around the people, None when there is nobody.
    may_extend: whether the picture may show more than the photo does.
    outline: of a line around the people, which what is cropped has room for.
    """

    photo: Box
    subject: Box | None
    faces: Sequence[Face]
    may_extend: bool
    outline: Length | None = None

    def stops(self) -> tuple[bool, bool, bool, bool]:
        """Return whether the picture must not pass the photo's left, top, right and bottom."""
        if not self.may_extend or self.subject is None:
            return (True,) * 4
        near_x = TOUCHES_WITHIN * self.photo.width + 1
        near_y = TOUCHES_WITHIN * self.photo.height + 1
        return (
            self.subject.left < near_x,
            self.subject.top < near_y,
            self.subject.right > self.photo.right - near_x,
            self.subject.bottom > self.photo.bottom - near_y,
        )


def frame(asked: Framing, seen: Seen) -> Frame:
    """Return where the photo lies on the picture's canvas."""
    window = _window(asked, seen)
    shape = _shape(asked, window)
    if shape is not None:
        window = _shaped(window, shape, asked, seen)
    width, height = _pixels(asked, window)
    # Rounded sizes are a little off the window's shape: it is filled, not stretched.
    scale = max(width / window.width, height / window.height)
    x, y = window.middle
    framed = Frame(width, height, scale, left=width / 2 - scale * x, top=height / 2 - scale * y)
    if seen.subject is None or (asked.scale is None and asked.position is None):
        return framed
    return _placed(framed, asked, seen, seen.subject)


def _window(asked: Framing, seen: Seen) -> Box:
    """Return the part that `crop` asks for, before any shape."""
    if asked.crop == Crop.FACES and seen.faces:
        shape = _shape(asked, seen.photo)
        if shape is None:
            shape = seen.photo.width / seen.photo.height
        return _within(_portrait(seen, shape), seen)
    if asked.crop == Crop.NONE or seen.subject is None:
        return seen.photo
    box = seen.subject
    top, right, bottom, left = asked.margin
    line = 0.0 if seen.outline is None else _line(seen.outline, box)
    around = Box(
        box.left - left.of(box.width) - line,
        box.top - top.of(box.height) - line,
        box.right + right.of(box.width) + line,
        box.bottom + bottom.of(box.height) + line,
    )
    stop_left, stop_top, stop_right, stop_bottom = seen.stops()
    return Box(
        max(around.left, 0) if stop_left else around.left,
        max(around.top, 0) if stop_top else around.top,
        min(around.right, seen.photo.right) if stop_right else around.right,
        min(around.bottom, seen.photo.bottom) if stop_bottom else around.bottom,
    )


def _line(outline: Length, box: Box) -> float:
    """Return how wide a line around a box is in the picture that has room for both."""
    longer = max(box.width, box.height)
    return outline.of(longer) / (1 - outline.of(2)) if outline.percent else outline.value


def _shape(asked: Framing, lying_as: Box) -> float | None:
    """Return width by height as it is asked for; paper is turned as the picture lies."""
    if asked.size.exact is not None:
        return asked.size.exact[0] / asked.size.exact[1]
    if asked.aspect is not None:
        return asked.aspect[0] / asked.aspect[1]
    if asked.size.paper is not None:
        shorter, longer = asked.size.paper
        return longer / shorter if lying_as.width > lying_as.height else shorter / longer
    return None


def _shaped(window: Box, shape: float, asked: Framing, seen: Seen) -> Box:
    """Bring a window to a shape: the photo is cut down, what was cropped is filled up."""
    if asked.crop != Crop.NONE and seen.subject is not None:
        return _within(_grown(window, shape), seen)
    inside = _shrunk(window, shape)
    must = _must_show(seen)
    if must is None:
        return inside
    if (must.width > inside.width or must.height > inside.height) and seen.may_extend:
        return _within(_grown(must, shape), seen)
    # It fits into the photo, so that is where it stays.
    return _within(_around(inside, must, seen), replace(seen, may_extend=False))


def _must_show(seen: Seen) -> Box | None:
    """Return what the picture is about: the people with some air.

    Where the picture cannot be extended they may not fit; then it is their heads.
    """
    if seen.may_extend and seen.subject is not None:
        box = seen.subject
        x, y = AIR * box.width, AIR * box.height
        return Box(box.left - x, box.top - y, box.right + x, box.bottom + y)
    return _heads(seen.faces) if seen.faces else seen.subject


def _around(window: Box, must: Box, seen: Seen) -> Box:
    """Move a window over what it must show: in the middle across, heads where eyes expect them."""
    x = must.middle[0] - window.middle[0]
    y = must.middle[1] - window.middle[1]
    if seen.faces:
        heads = _heads(seen.faces)
        x = (heads.middle[0] + must.middle[0]) / 2 - window.middle[0]
        # A third from the top, but nothing above the heads is cut for it.
        y = min(_eyes(seen.faces) - EYES_FROM_TOP * window.height, heads.top) - window.top
    return window.moved(x, y)


def _portrait(seen: Seen, shape: float) -> Box:
    """Return head and shoulders of one person, or the heads of a group, in a shape.

    It is no larger than the photo, nor so that somebody who is cut off below would sink in it,
    unless the heads would not fit.
    """
    heads, eyes = _heads(seen.faces), _eyes(seen.faces)
    face_px = _median([face.box[3] for face in seen.faces])
    wanted = max(
        face_px / FACE_SHARE,
        heads.height / (1 - EYES_FROM_TOP),
        (heads.width + 2 * BESIDE_GROUP * face_px * (len(seen.faces) > 1)) / shape,
    )
    room = min(seen.photo.height, seen.photo.width / shape)
    *_, stops_below = seen.stops()
    if stops_below:
        room = min(room, (seen.photo.bottom - eyes) / (1 - EYES_FROM_TOP))
    least = max(heads.height, (1 + 2 * AIR) * heads.width / shape)
    height = max(least, min(wanted, room))
    width = height * shape
    across = 0.5
    if len(seen.faces) == 1 and shape > WIDE:
        across = _third(seen.faces[0])
    x = heads.middle[0] - across * width
    y = min(eyes - EYES_FROM_TOP * height, heads.top)
    return Box(x, y, x + width, y + height)


def _third(face: Face) -> float:
    """Return where a face stands across a wide picture so that it looks into it."""
    right_eye, left_eye, nose, _, _ = face.landmarks
    between = max(1.0, abs(left_eye[0] - right_eye[0]))
    aside = (nose[0] - (right_eye[0] + left_eye[0]) / 2) / between
    if abs(aside) < LOOKS_ASIDE:
        return 0.5
    return THIRD if aside > 0 else 1 - THIRD


def _heads(faces: Sequence[Face]) -> Box:
    """Return the box around heads: faces, hair, and the air above it."""
    boxes = [
        Box(x, y - (HAIR + HEAD_ROOM) * height, x + width, y + height)
        for x, y, width, height in (face.box for face in faces)
    ]
    return Box(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )


def _eyes(faces: Sequence[Face]) -> float:
    """Return how far down the faces' eyes are, on average, in pixels of the photo."""
    heights = [eye[1] for face in faces for eye in face.landmarks[:2]]
    return sum(heights) / len(heights)


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _shrunk(window: Box, shape: float) -> Box:
    """Return the largest box of a shape within a window, around its middle."""
    width = min(window.width, window.height * shape)
    return _about(window.middle, width, width / shape)


def _grown(window: Box, shape: float) -> Box:
    """Return the smallest box of a shape that holds a window, around its middle."""
    width = max(window.width, window.height * shape)
    return _about(window.middle, width, width / shape)


def _about(middle: tuple[float, float], width: float, height: float) -> Box:
    x, y = middle
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _within(window: Box, seen: Seen) -> Box:
    """Bring a window inside the borders that it must not pass: moved, and shrunk if need be."""
    left, top, right, bottom = seen.stops()
    most_x = seen.photo.width if left and right else window.width
    most_y = seen.photo.height if top and bottom else window.height
    share = min(1.0, most_x / window.width, most_y / window.height)
    if share < 1:
        # Toward the heads, not the middle: what is lost is lost below.
        anchor = _heads(seen.faces).middle if seen.faces else window.middle
        window = Box(
            anchor[0] + share * (window.left - anchor[0]),
            anchor[1] + share * (window.top - anchor[1]),
            anchor[0] + share * (window.right - anchor[0]),
            anchor[1] + share * (window.bottom - anchor[1]),
        )
    x = _shift(window.left, window.right, seen.photo.right, stops=(left, right))
    y = _shift(window.top, window.bottom, seen.photo.bottom, stops=(top, bottom))
    return window.moved(x, y)


def _shift(low: float, high: float, end: float, *, stops: tuple[bool, bool]) -> float:
    """Return how far a span must move so that it passes neither 0 nor `end` where that stops it."""
    if stops[0] and low < 0:
        return -low
    if stops[1] and high > end:
        return end - high
    return 0.0


def _pixels(asked: Framing, window: Box) -> tuple[int, int]:
    """Return width and height of the picture in pixels."""
    if asked.size.exact is not None:
        return asked.size.exact
    if asked.size.paper is not None:
        shorter, longer = asked.size.paper
        return (longer, shorter) if window.width > window.height else (shorter, longer)
    scale = 1.0
    if asked.size.megapixels is not None:
        scale = min(1.0, (asked.size.megapixels * 1e6 / (window.width * window.height)) ** 0.5)
    return max(1, round(scale * window.width)), max(1, round(scale * window.height))


def _placed(framed: Frame, asked: Framing, seen: Seen, subject: Box) -> Frame:
    """Scale the people within the canvas, and stand them where it is asked for.

    Else in the middle; on the lower border, whoever the photo cuts off below.
    """
    scale = framed.scale
    if asked.scale is not None:
        scale = asked.scale * min(
            framed.width / max(1.0, subject.width), framed.height / max(1.0, subject.height)
        )
    *_, is_cut_off = seen.stops()
    across, down = (0.5, 1.0 if is_cut_off else 0.5)
    if asked.position is not None:
        across, down = asked.position
    return replace(
        framed,
        scale=scale,
        left=across * (framed.width - scale * subject.width) - scale * subject.left,
        top=down * (framed.height - scale * subject.height) - scale * subject.top,
    )
