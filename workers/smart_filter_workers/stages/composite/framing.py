"""Framing: which part of the photo the picture shows, how large, and where.

A request is one window onto the photo's plane. It may extend beyond the photo, whose background is
replaced, but not past a border that cuts a person off: that would leave a straight edge in the air.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.recipe import Crop, Framing, Length
from smart_filter_shared.recipe.framing import TOUCHES_WITHIN
from smart_filter_shared.results import Face, Frame, Point
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.stages.composite.cleanup import harden_matte
from smart_filter_workers.stages.composite.models.base import CutOut

# Shares of the picture's height: a face in a tall portrait and in others, and its eyes from the
# top.  A tall picture ends at the waist, others at the chest.
TALL_FACE_SHARE: Final = 0.21
FACE_SHARE: Final = 0.28
EYES_FROM_TOP: Final = 1 / 3
TALL_BELOW: Final = 0.9
# In heights of a face: room for hair above its box, a hat above the hair, air above both, the least
# of it, air at the sides of a group, and the part of a shoulder that is always shown.
HAIR_ROOM: Final = 0.45
HAT_HEIGHT: Final = 0.8
HEAD_ROOM: Final = 0.25
LEAST_HEAD_ROOM: Final = 0.1
GROUP_MARGIN: Final = 0.9
SHOULDER: Final = 0.5
# From the eyes to where a portrait may end, in heights of a face: the chest, the waist, the middle
# of the thighs.  Elbows, hips, knees and ankles are between them.
CUTS: Final = (2.3, 3.2, 4.6)
# People fill at least this share of a tall picture's height where the photo's sides already cut
# them off.
FILLED_SHARE: Final = 0.65
# Air around a subject when a window is fitted to a shape, as a share of the subject.
AIR_SHARE: Final = 0.04
# From this shape (width by height) on, a person who looks aside is placed on a third and looks into
# the picture.
WIDE_FROM: Final = 1.2
# In distances of the eyes: a nose farther than this from their middle means looking aside.
LOOKS_ASIDE_FROM: Final = 0.2
THIRD: Final = 1 / 3

Level = TypeVar("Level", np.uint8, np.int16, np.float32)

# Smallest factor of one linear interpolation; a smaller one would skip pixels.
_MIN_SHRINK_STEP: Final = 0.5
_SCALE_TOLERANCE: Final = 1e-9
_WEIGHT: Final = 8  # a level times its alpha, divided by this, has 16 bits


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle in pixels of the photo; it may extend beyond it."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """The width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """The height in pixels."""
        return self.bottom - self.top

    @property
    def middle(self) -> tuple[float, float]:
        """The middle's x and y."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def moved(self, x: float, y: float) -> "Rectangle":
        """Return the rectangle moved by this many pixels."""
        return Rectangle(self.left + x, self.top + y, self.right + x, self.bottom + y)


@dataclass(frozen=True, slots=True)
class FramingSubject:
    """The facts of a photo that framing uses.

    photo: the whole photo.  subject: the box around the people, None without people.
    may_extend: whether the picture may extend beyond the photo.
    is_thing: whether it is a thing, which gets its air also where it touches the photo's border.
    outline: width of a line around the people, which a crop leaves room for.
    """

    photo: Rectangle
    subject: Rectangle | None
    faces: Sequence[Face]
    may_extend: bool
    outline: Length | None = None
    is_thing: bool = False

    def stops(self) -> tuple[bool, bool, bool, bool]:
        """Return whether the picture must not cross the photo's left, top, right and bottom."""
        if not self.may_extend or self.subject is None:
            return (True,) * 4
        return (False,) * 4 if self.is_thing else self.touches()

    def touches(self) -> tuple[bool, bool, bool, bool]:
        """Return whether the people reach the photo's left, top, right and bottom border."""
        if self.subject is None:
            return (False,) * 4
        near_x = TOUCHES_WITHIN * self.photo.width + 1
        near_y = TOUCHES_WITHIN * self.photo.height + 1
        return (
            self.subject.left < near_x,
            self.subject.top < near_y,
            self.subject.right > self.photo.right - near_x,
            self.subject.bottom > self.photo.bottom - near_y,
        )


def compute_frame(asked: Framing, seen: FramingSubject) -> Frame:
    """Return the placement of the photo on the picture's canvas."""
    window = _window(asked, seen)
    shape = _shape(asked, window)
    if shape is not None:
        window = _fit_to_shape(window, shape, asked, seen)
    width, height = _pixels(asked, window)
    # Rounded sizes differ slightly from the window's shape: fill it, do not stretch.
    scale = max(width / window.width, height / window.height)
    x, y = window.middle
    framed = Frame(width, height, scale, left=width / 2 - scale * x, top=height / 2 - scale * y)
    if seen.subject is None or (asked.scale is None and asked.position is None):
        return framed
    return _place_people(framed, asked, seen, seen.subject)


def _window(asked: Framing, seen: FramingSubject) -> Rectangle:
    """Return the window that `crop` asks for, before any shape."""
    if asked.crop == Crop.FACES and seen.faces:
        shape = _shape(asked, seen.photo)
        if shape is None:
            shape = seen.photo.width / seen.photo.height
        return _keep_within_borders(_portrait(seen, shape), seen)
    if asked.crop == Crop.NONE or seen.subject is None:
        return seen.photo
    box = seen.subject
    top, right, bottom, left = asked.margin
    line = 0.0 if seen.outline is None else _line(seen.outline, box)
    around = Rectangle(
        box.left - left.to_px(box.width) - line,
        box.top - top.to_px(box.height) - line,
        box.right + right.to_px(box.width) + line,
        box.bottom + bottom.to_px(box.height) + line,
    )
    stop_left, stop_top, stop_right, stop_bottom = seen.stops()
    return Rectangle(
        max(around.left, 0) if stop_left else around.left,
        max(around.top, 0) if stop_top else around.top,
        min(around.right, seen.photo.right) if stop_right else around.right,
        min(around.bottom, seen.photo.bottom) if stop_bottom else around.bottom,
    )


def _line(outline: Length, box: Rectangle) -> float:
    """Return the width of an outline in a picture that has room for both it and the box."""
    longer = max(box.width, box.height)
    return outline.to_px(longer) / (1 - outline.to_px(2)) if outline.percent else outline.value


def _shape(asked: Framing, lying_as: Rectangle) -> float | None:
    """Return the requested width by height; paper is turned to match the picture."""
    if asked.exact_pixels is not None:
        return asked.exact_pixels[0] / asked.exact_pixels[1]
    if asked.aspect is not None:
        return asked.aspect[0] / asked.aspect[1]
    if asked.size.paper is not None:
        shorter, longer = asked.size.paper
        return longer / shorter if lying_as.width > lying_as.height else shorter / longer
    return None


def _fit_to_shape(
    window: Rectangle, shape: float, asked: Framing, seen: FramingSubject
) -> Rectangle:
    """Return a window in a shape: a whole photo is cut down, a crop is extended."""
    if asked.crop != Crop.NONE and seen.subject is not None:
        window = _fill_height(window, shape, seen, seen.subject)
        return _keep_within_borders(_smallest_around(window, shape), seen)
    inside = _largest_inside(window, shape)
    must = _required_box(seen)
    if must is None:
        return inside
    if (must.width > inside.width or must.height > inside.height) and seen.may_extend:
        return _keep_within_borders(_smallest_around(must, shape), seen)
    # It fits into the photo, so keep it inside.
    return _keep_within_borders(
        _position_window(inside, must, seen), replace(seen, may_extend=False)
    )


def _fill_height(
    window: Rectangle, shape: float, seen: FramingSubject, subject: Rectangle
) -> Rectangle:
    """Return a window that cut-off people fill more of, in a shape much taller than they are.

    It loses a part of those sides at which the photo cuts people off, but no head.
    """
    excess = window.width - subject.height / FILLED_SHARE * shape
    if not seen.faces or excess <= 0:
        return window
    heads, margin = _heads(seen), SHOULDER * _face_height(seen)
    stop_left, _, stop_right, _ = seen.stops()
    left = stop_left * max(0.0, heads.left - margin - window.left)
    right = stop_right * max(0.0, window.right - heads.right - margin)
    share = min(1.0, excess / max(left + right, 1.0))
    return replace(window, left=window.left + share * left, right=window.right - share * right)


def _required_box(seen: FramingSubject) -> Rectangle | None:
    """Return the box that the picture must show: the people with some air.

    In a picture that cannot be extended they may not fit; then it is the box of their heads.
    """
    if seen.may_extend and seen.subject is not None:
        box = seen.subject
        x, y = AIR_SHARE * box.width, AIR_SHARE * box.height
        return Rectangle(box.left - x, box.top - y, box.right + x, box.bottom + y)
    return _heads(seen) if seen.faces else seen.subject


def _position_window(window: Rectangle, must: Rectangle, seen: FramingSubject) -> Rectangle:
    """Return a window over the required box: centered across, with the heads in the upper third."""
    x = must.middle[0] - window.middle[0]
    y = must.middle[1] - window.middle[1]
    if seen.faces:
        heads = _heads(seen)
        x = (heads.middle[0] + must.middle[0]) / 2 - window.middle[0]
        # A third from the top, without cutting off the heads for it.
        y = min(_eyes(seen.faces) - EYES_FROM_TOP * window.height, heads.top) - window.top
    return window.moved(x, y)


def _portrait(seen: FramingSubject, shape: float) -> Rectangle:
    """Return the window of one person's head and shoulders, or of a group's heads, in a shape.

    The window is no larger than the photo, and not so large that a person who is cut off below
    would sink in it, unless the heads need the room.
    """
    heads, eyes, face_px = _heads(seen), _eyes(seen.faces), _face_height(seen)
    wanted = max(
        face_px / (TALL_FACE_SHARE if shape < TALL_BELOW else FACE_SHARE),
        heads.height / (1 - EYES_FROM_TOP),
        (heads.width + 2 * GROUP_MARGIN * face_px * (len(seen.faces) > 1)) / shape,
    )
    room = min(seen.photo.height, seen.photo.width / shape)
    *_, stops_below = seen.stops()
    if stops_below:
        room = min(room, (seen.photo.bottom - eyes) / (1 - EYES_FROM_TOP))
    if heads.height > room:
        heads = _heads(seen, LEAST_HEAD_ROOM)
    least = max(heads.height, (1 + 2 * AIR_SHARE) * heads.width / shape)
    height = _end_between_joints(max(least, min(wanted, room)), least, room, seen)
    width = height * shape
    across = 0.5
    if len(seen.faces) == 1 and shape > WIDE_FROM:
        across = _third(seen.faces[0])
    x = heads.middle[0] - across * width
    y = min(eyes - EYES_FROM_TOP * height, heads.top)
    return Rectangle(x, y, x + width, y + height)


def _end_between_joints(height: float, least: float, room: float, seen: FramingSubject) -> float:
    """Return a portrait's height, changed so that it does not end at a joint of the people.

    Where a group is too wide to end above its feet, the picture shows it whole: its background
    extends beyond the photo.
    """
    eyes, face_px = _eyes(seen.faces), _face_height(seen)
    ends = [cut * face_px for cut in CUTS]
    shows_feet = seen.subject is not None and not seen.stops()[3]
    if seen.subject is not None and seen.subject.bottom < seen.photo.bottom:
        feet = seen.subject.bottom - eyes + AIR_SHARE * seen.subject.height
        ends = [*(end for end in ends if end < feet), feet]
    heights = [end / (1 - EYES_FROM_TOP) for end in ends]
    fitting = [each for each in heights if least <= each <= room]
    otherwise = max(least, heights[-1]) if shows_feet else height
    return min(fitting, key=lambda each: abs(each - height), default=otherwise)


def _third(face: Face) -> float:
    """Return a face's position across a wide picture, 0..1, such that it looks into it."""
    right_eye, left_eye, nose, _, _ = face.landmarks
    between = max(1.0, abs(left_eye[0] - right_eye[0]))
    aside = (nose[0] - (right_eye[0] + left_eye[0]) / 2) / between
    if abs(aside) < LOOKS_ASIDE_FROM:
        return 0.5
    return THIRD if aside > 0 else 1 - THIRD


def _heads(seen: FramingSubject, air: float = HEAD_ROOM) -> Rectangle:
    """Return the box around all heads: faces, hair or hat, and the air above, in face heights."""
    boxes = [face.box for face in seen.faces]
    _, y, _, height = min(boxes, key=lambda box: box[1])
    hair = y - HAIR_ROOM * height
    if seen.subject is not None and seen.subject.top > hair - HAT_HEIGHT * height:
        hair = min(seen.subject.top, y)
    return Rectangle(
        min(x for x, *_ in boxes),
        hair - air * height,
        max(x + width for x, _, width, _ in boxes),
        max(y + height for _, y, _, height in boxes),
    )


def _face_height(seen: FramingSubject) -> float:
    """Return the median height of the faces, in pixels of the photo."""
    heights = sorted(face.box[3] for face in seen.faces)
    return heights[len(heights) // 2]


def _eyes(faces: Sequence[Face]) -> float:
    """Return the mean y of the faces' eyes, in pixels of the photo."""
    heights = [eye[1] for face in faces for eye in face.landmarks[:2]]
    return sum(heights) / len(heights)


def _largest_inside(window: Rectangle, shape: float) -> Rectangle:
    """Return the largest box of a shape inside a window, with the same middle."""
    width = min(window.width, window.height * shape)
    return _centered_box(window.middle, width, width / shape)


def _smallest_around(window: Rectangle, shape: float) -> Rectangle:
    """Return the smallest box of a shape around a window, with the same middle."""
    width = max(window.width, window.height * shape)
    return _centered_box(window.middle, width, width / shape)


def _centered_box(middle: tuple[float, float], width: float, height: float) -> Rectangle:
    x, y = middle
    return Rectangle(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _keep_within_borders(window: Rectangle, seen: FramingSubject) -> Rectangle:
    """Return a window inside the borders that it must not cross: moved, and shrunk if necessary."""
    left, top, right, bottom = seen.stops()
    most_x = seen.photo.width if left and right else window.width
    most_y = seen.photo.height if top and bottom else window.height
    share = min(1.0, most_x / window.width, most_y / window.height)
    if share < 1:
        # Shrink toward the heads, not the middle, so that the lower part is lost.
        anchor = _heads(seen).middle if seen.faces else window.middle
        window = Rectangle(
            anchor[0] + share * (window.left - anchor[0]),
            anchor[1] + share * (window.top - anchor[1]),
            anchor[0] + share * (window.right - anchor[0]),
            anchor[1] + share * (window.bottom - anchor[1]),
        )
    x = _shift(window.left, window.right, seen.photo.right, stops=(left, right))
    y = _shift(window.top, window.bottom, seen.photo.bottom, stops=(top, bottom))
    return window.moved(x, y)


def _shift(low: float, high: float, end: float, *, stops: tuple[bool, bool]) -> float:
    """Return the shift that keeps a span from crossing 0 and `end` where those are borders."""
    if stops[0] and low < 0:
        return -low
    if stops[1] and high > end:
        return end - high
    return 0.0


def _pixels(asked: Framing, window: Rectangle) -> tuple[int, int]:
    """Return width and height of the picture in pixels."""
    if asked.exact_pixels is not None:
        return asked.exact_pixels
    if asked.size.paper is not None:
        shorter, longer = asked.size.paper
        return (longer, shorter) if window.width > window.height else (shorter, longer)
    scale = 1.0
    if asked.size.megapixels is not None:
        scale = min(1.0, (asked.size.megapixels * 1e6 / (window.width * window.height)) ** 0.5)
    return max(1, round(scale * window.width)), max(1, round(scale * window.height))


def _place_people(framed: Frame, asked: Framing, seen: FramingSubject, subject: Rectangle) -> Frame:
    """Return the frame with the people scaled and placed as requested.

    By default they are in the middle, or on the lower border if the photo cuts them off below.
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


def frame_cut_out(cut: CutOut, frame: Frame, *, hard: bool) -> CutOut:
    """Return a cut-out of the canvas's size; the same object if the canvas is the photo.

    hard: whether its matte has no partial coverage, which resampling would add.
    """
    height, width = cut.matte.shape
    if is_whole(frame, width=width, height=height):
        return cut
    # The color maps are coarser than the photo and keep their ratio to it.
    pitch = cut.people_srgb.shape[1] / width
    scale = frame.scale / pitch
    small = replace(
        frame,
        width=max(1, round(frame.width / scale)),
        height=max(1, round(frame.height / scale)),
        scale=1.0,
        left=frame.left / scale,
        top=frame.top / scale,
    )
    matte = place_photo(cut.matte, frame, beyond=cv2.BORDER_CONSTANT)
    if hard:
        matte = harden_matte(matte)
    if cut.own_colors:  # those of transparent pixels may not mix in
        alpha = cv2.merge([cut.matte] * 3)
        weighed = cv2.multiply(cut.photo_srgb, alpha, scale=1 / _WEIGHT, dtype=cv2.CV_16S)
        # Cubic interpolation leaves the range of 8 bits.
        placed, deep = (
            place_photo(np.asarray(levels, np.int16), frame, beyond=cv2.BORDER_CONSTANT)
            for levels in (weighed, cut.matte)
        )
        photo = _divide_by_alpha(placed, deep, _WEIGHT)
    else:
        photo = place_photo(cut.photo_srgb, frame, beyond=cv2.BORDER_REPLICATE)
    return replace(
        cut,
        photo_srgb=photo,
        matte=matte,
        people_srgb=_warp(cut.people_srgb, small, beyond=cv2.BORDER_REPLICATE),
        backdrop_srgb=_warp(cut.backdrop_srgb, small, beyond=cv2.BORDER_REPLICATE),
    )


def take_white_away(flat: Srgb8, alpha: Matte8) -> Srgb8:
    """Return the colors of a photo, (H, W, 3), that the decoder has laid on white."""
    lacking = _divide_by_alpha(np.asarray(cv2.bitwise_not(flat), np.uint8), alpha, 255)
    return np.asarray(cv2.bitwise_not(lacking, dst=lacking), np.uint8)


def _divide_by_alpha(weighed: NDArray[Level], alpha: NDArray[Level], scale: int) -> Srgb8:
    shares = cv2.merge([alpha] * 3)
    return np.asarray(cv2.divide(weighed, shares, scale=scale, dtype=cv2.CV_8U), np.uint8)


def is_whole(frame: Frame, *, width: int, height: int) -> bool:
    """Return whether the canvas is the unchanged photo of this size."""
    return (
        (frame.width, frame.height) == (width, height)
        and abs(frame.scale - 1) < _SCALE_TOLERANCE
        and max(abs(frame.left), abs(frame.top)) < _SCALE_TOLERANCE
    )


def place_photo(pixels: NDArray[Level], frame: Frame, *, beyond: int) -> NDArray[Level]:
    """Return (H, W[, 3]): the photo placed on the canvas.

    beyond: OpenCV's border mode for the area that the photo does not cover.
    """
    scale = frame.scale
    while scale < _MIN_SHRINK_STEP and min(pixels.shape[:2]) > 1:
        pixels = _halve(pixels)
        scale *= 2
    return _warp(pixels, replace(frame, scale=scale), beyond=beyond)


def face_to_canvas(face: Face, frame: Frame) -> Face:
    """Return a face in pixels of the canvas."""
    x, y, width, height = face.box
    left, top = frame.place((x, y))
    points: list[Point] = [frame.place(point) for point in face.landmarks]
    right_eye, left_eye, nose, right_mouth, left_mouth = points
    return replace(
        face,
        box=(left, top, frame.scale * width, frame.scale * height),
        landmarks=(right_eye, left_eye, nose, right_mouth, left_mouth),
    )


def _halve(pixels: NDArray[Level]) -> NDArray[Level]:
    """Return each 2 × 2 block of pixels as one; an odd last row or column is left out."""
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    even = pixels[: 2 * height, : 2 * width]
    return np.asarray(
        cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), dtype=pixels.dtype
    )


def _warp(pixels: NDArray[Level], frame: Frame, *, beyond: int) -> NDArray[Level]:
    # Pixel centers: canvas + 0.5 = scale · (photo + 0.5) + offset.
    shift_x = frame.left + 0.5 * frame.scale - 0.5
    shift_y = frame.top + 0.5 * frame.scale - 0.5
    matrix = np.array([[frame.scale, 0, shift_x], [0, frame.scale, shift_y]])
    out = np.empty((frame.height, frame.width, *pixels.shape[2:]), pixels.dtype)
    cv2.warpAffine(
        pixels,
        matrix,
        (frame.width, frame.height),
        dst=out,
        flags=cv2.INTER_CUBIC if frame.scale > 1 else cv2.INTER_LINEAR,
        borderMode=beyond,
    )
    return out
