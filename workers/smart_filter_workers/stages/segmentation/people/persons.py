"""Persons: find the persons in a picture, with a silhouette of each.

Bodies are proposed by faces and by the pose detector, which sees people who fill a good part of its
input. Where no person is very large, a detector of whole persons adds those whom both miss. Tiles
are searched only where no person is large: this finds the people of a wide view, and ignores
passers-by behind a portrait.

Find where the people of a photo end below: on their feet, at its border, or otherwise.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.results import LowerEnd
from smart_filter_workers.networks.coordinates import Box, Square, box_iou, box_side
from smart_filter_workers.networks.pose import Body, BodyPoints, PoseDetector, SilhouetteNetwork
from smart_filter_workers.results import Bools, Floats, Srgb8
from smart_filter_workers.stages.segmentation.people.person_boxes import PersonBoxes
from smart_filter_workers.stages.segmentation.regions import Region, find_region, make_tiles

# All of these were chosen on training photos: football, street fashion, groups, in the wild.
BODY_THRESHOLD: Final = 0.5
# If the largest person covers less than the first share of the picture, for each person found,
# search tiles of the second share of its side. Each pair is one such search.
SEARCHES: Final = ((0.08, 0.6), (0.05, 0.35))
# If the largest person covers less than this share of the picture, for each person found, look for
# persons whom faces and bodies miss. On 138 training photos 0.3 gives IoU 0.881, 0.08 0.879, and no
# such look 0.871: football 0.784, 0.780, 0.733, in the wild 0.779, 0.764, 0.764.
MISSED_SHARE: Final = 0.3
SMALLEST_SIDE_PX: Final = 24
SAME_HEAD_IOU: Final = 0.3
# A face belongs to a body if it overlaps the body's head at least this much (IoU).
OWN_FACE_IOU: Final = 0.12
# Hips and size of a body as multiples of its face's, measured on the detector's bodies.
HIPS_BELOW_FACE, BODY_PER_FACE = 3.6, 11.2
MAX_PERSONS: Final = 12
# Two silhouettes that overlap more than this (IoU) are one person.
SAME_PERSON_IOU: Final = 0.65
# A silhouette is drawn again in the square of its own points, if that is larger or smaller by more
# than the first factor, or its center or angle (radians) differ by more than these. 223 of 243
# bodies of photos with known masks need no second pass: IoU street, in the wild and portraits
# 0.9489, 0.6427, 0.9638, and 0.9490, 0.6467, 0.9639 with one for each. Beyond MAX_RESIZE the points
# are wrong.
SAME_RESIZE: Final = 1.3
SAME_CENTER_SHARE: Final = 0.1
SAME_ANGLE: Final = 0.35
MAX_RESIZE: Final = 3.0
# A body that was found in a part of the picture, or whose silhouette has a lower presence, may be
# an animal or a thing. Of 40 photos without faces none of the 20 without people has a certain
# person, and 9 of the 20 with people have one: in the others they are small, or cut by the border.
SURE_PRESENCE: Final = 0.96
# So may a body that leans by more than this, in radians. 500 of 537 photos of people have a body
# with that presence, and it leans at most 0.8; drawn teapots 1.6, a dog 2.0, and bottles 3.1.
MAX_LEANING: Final = math.pi / 3
# Wider shoulders, in lengths of the torso, are those of an animal or a thing: a rat's are 4.4 wide,
# the widest of 249 training photos and crops of people without a sure face 1.6.
WIDEST_SHOULDERS: Final = 2.0
MARGIN: Final = 0.15
MARGIN_PX: Final = 6
HALF: Final = 0.5

# Persons of less than this share of the largest one's area do not decide for the photo.
MAIN_SHARE: Final = 0.25
# Thighs, shins and torsos of standing and walking people lean less than this: the cosine.
UPRIGHT: Final = math.cos(math.pi / 4)
VISIBLE_FROM: Final = 0.5
# A matte that ends this share of the height above the border reaches it.
BORDER_SHARE: Final = 0.02
_SHOULDERS, _HIPS, _KNEES, _ANKLES = ([11, 12], [23, 24], [25, 26], [27, 28])


class _Search(Enum):
    """How a body was found."""

    WHOLE = auto()
    BOXES = auto()
    TILES = auto()


@dataclass(frozen=True, slots=True)
class Person:
    """One person in a picture.

    coverage: (H, W) float32, 0..1, the silhouette; outline: (H, W) bool, where it is above one
    half; region: its bounds with a margin; area_px: its area in pixels; presence: the
    network's belief, 0..1, that it shows a person, 0 of a body that leans or is too wide; certain:
    whether it can be nothing but a person; boxed: whether only a detector's box shows it; points:
    of the body.
    """

    coverage: Floats
    outline: Bools
    region: Region
    area_px: int
    presence: float
    certain: bool
    boxed: bool
    points: BodyPoints | None = None


class PersonFinder:
    """Finds the persons of a picture, separated; any thread may call it."""

    def __init__(self, weights: Path) -> None:
        self._detect = PoseDetector(weights, threshold=BODY_THRESHOLD)
        self._silhouettes = SilhouetteNetwork(weights)

    def __call__(
        self, picture: Srgb8, faces: Sequence[Box], boxes: PersonBoxes, *, is_window: bool = False
    ) -> list[Person]:
        """Return the persons of a picture, in order of search, then of size.

        picture: (H, W, 3) uint8 sRGB; faces: in its pixels; boxes: of whole persons in it.
        is_window: whether it is a part of a photo, which is as good as a tile.
        """
        persons = _FoundPersons()
        whole = (slice(0, picture.shape[0]), slice(0, picture.shape[1]))
        bodies = persons.new(self._bodies(picture, [whole]))
        bodies += persons.new_below_faces(faces)
        self._draw(picture, bodies, persons, _Search.WHOLE)
        area_px = picture.shape[0] * picture.shape[1]
        if persons.largest_share(area_px) >= MISSED_SHARE:
            return persons.persons
        missed = boxes.propose_bodies([person.outline for person in persons.persons])
        self._draw(picture, missed, persons, _Search.BOXES)
        for enough, share in () if is_window else SEARCHES:
            if persons.largest_share(area_px) >= enough:
                break
            regions = make_tiles(picture.shape[0], picture.shape[1], share=share)
            bodies = persons.new(self._bodies(picture, regions))
            self._draw(picture, bodies, persons, _Search.TILES)
        return _drop_doubtful(persons.persons, boxes)

    def look(self, picture: Srgb8, square: Square) -> Floats:
        """Return the (H, W) float32 silhouette of the person in a square of the picture."""
        seen = self._silhouettes(picture, square)
        return square.paste(seen.coverage, picture.shape[0], picture.shape[1])

    def _bodies(self, picture: Srgb8, regions: Iterable[Region]) -> list[Body]:
        return [
            _shift_body(body, x=region[1].start, y=region[0].start)
            for region in regions
            for body in self._detect(np.ascontiguousarray(picture[region]))
        ]

    def _draw(
        self, picture: Srgb8, bodies: Iterable[Body], persons: "_FoundPersons", search: _Search
    ) -> None:
        """Add the silhouettes of the `bodies` of a search, the largest and highest-scored first."""
        for body in sorted(bodies, key=lambda body: -body.square.side * body.score):
            if len(persons.persons) >= MAX_PERSONS:
                return
            first = self._silhouettes(picture, body.square)
            coverage = (
                self.look(picture, first.square)
                if _needs_second_pass(body.square, first.square)
                else body.square.paste(first.coverage, picture.shape[0], picture.shape[1])
            )
            is_odd = not is_upright(body.square) or has_wide_shoulders(first.points)
            presence = 0.0 if is_odd else first.presence
            persons.add(
                coverage,
                presence=presence,
                certain=search is _Search.WHOLE and presence >= SURE_PRESENCE,
                boxed=search is _Search.BOXES,
                points=first.points,
            )


def is_upright(body: Square) -> bool:
    """Return whether the head of the body in a square is well above its hips."""
    return abs(math.remainder(body.angle, math.tau)) < MAX_LEANING


def has_wide_shoulders(points: BodyPoints) -> bool:
    """Return whether a body is wider at the shoulders than any person's, for its torso."""
    shoulders, hips = points.at[_SHOULDERS], points.at[_HIPS]
    torso = math.dist(shoulders.mean(axis=0), hips.mean(axis=0))
    return math.dist(*shoulders) > WIDEST_SHOULDERS * torso


@dataclass(slots=True)
class _FoundPersons:
    """The heads and persons found in one picture up to now."""

    heads: list[Box] = field(default_factory=list)
    persons: list[Person] = field(default_factory=list)

    def largest_share(self, area_px: int) -> float:
        """Return the largest person's share of the picture, divided by the number of persons."""
        largest_px = max((person.area_px for person in self.persons), default=0)
        return largest_px / area_px / max(1, len(self.persons))

    def new(self, bodies: Iterable[Body]) -> list[Body]:
        """Return the bodies that are new, and remember them."""
        new = []
        for body in sorted(bodies, key=lambda body: -body.score):
            is_known = self._overlap(body.head) >= SAME_HEAD_IOU
            if body.square.side > SMALLEST_SIDE_PX and not is_known:
                new.append(body)
                self.heads.append(body.head)
        return new

    def new_below_faces(self, faces: Iterable[Box]) -> list[Body]:
        """Return a body below each face that belongs to no known body."""
        alone = [face for face in faces if self._overlap(face) < OWN_FACE_IOU]
        self.heads.extend(alone)
        return [Body(1.0, face, _square_below(face)) for face in alone]

    def add(
        self,
        coverage: Floats,
        *,
        presence: float,
        certain: bool,
        boxed: bool,
        points: BodyPoints,
    ) -> None:
        """Add the person of a silhouette, unless it is empty or already known."""
        region = find_region(coverage, above=HALF, margin=MARGIN, margin_px=MARGIN_PX)
        if region is None:
            return
        outline = coverage > HALF
        area_px = int(np.count_nonzero(outline))
        for person in self.persons:
            shared = int(np.count_nonzero(person.outline & outline))
            if shared > SAME_PERSON_IOU * (person.area_px + area_px - shared):
                return
        self.persons.append(
            Person(coverage, outline, region, area_px, presence, certain, boxed, points)
        )

    def _overlap(self, box: Box) -> float:
        heads = np.array(self.heads, np.float32).reshape(-1, 4)
        return float(box_iou(box, heads).max(initial=0))


def _drop_doubtful(persons: list[Person], boxes: PersonBoxes) -> list[Person]:
    """Return the persons without those outside boxes; all where boxes miss more than half.

    Silhouettes of people a few pixels high are right more often than boxes.
    """
    inside = [boxes.may_hold(person.outline) for person in persons]
    if 2 * sum(inside) < len(persons):
        return persons
    return [
        person
        for person, is_inside in zip(persons, inside, strict=True)
        if is_inside or person.certain
    ]


def _needs_second_pass(body: Square, points: Square) -> bool:
    resize = max(points.side / body.side, body.side / points.side)
    moved = math.dist(points.center, body.center) > SAME_CENTER_SHARE * body.side
    turned = abs(math.remainder(points.angle - body.angle, math.tau)) > SAME_ANGLE
    return resize < MAX_RESIZE and (resize > SAME_RESIZE or moved or turned)


def _square_below(face: Box) -> Square:
    face_px = max(1.0, box_side(face))
    middle = ((face[0] + face[2]) / 2, (face[1] + face[3]) / 2 + HIPS_BELOW_FACE * face_px)
    return Square(center=middle, side=BODY_PER_FACE * face_px, angle=0.0)


def _shift_body(body: Body, *, x: int, y: int) -> Body:
    left, top, right, bottom = body.head
    center = body.square.center
    square = Square((center[0] + x, center[1] + y), body.square.side, body.square.angle)
    return Body(body.score, (left + x, top + y, right + x, bottom + y), square)


def find_lower_end(persons: Sequence[Person], people: Bools) -> LowerEnd | None:
    """Return the worst lower end of the main persons; None without any silhouette.

    people: (H, W) bool, the matte above one half.
    """
    largest_px = max((person.area_px for person in persons), default=0)
    ends = [
        _find_end(person.points, people & person.outline)
        for person in persons
        if person.points is not None and person.area_px >= MAIN_SHARE * largest_px
    ]
    return max(ends, key=list(LowerEnd).index, default=None)


def _find_end(points: BodyPoints, part: Bools) -> LowerEnd:
    """Return where one person ends; part: the person's matte."""
    height = len(part)
    rows = np.flatnonzero(part.any(axis=1))
    lowest = int(rows[-1]) + 1 if len(rows) else 0
    border = (1 - BORDER_SHARE) * height
    shoulders, hips, knees, ankles = (
        points.at[joint] for joint in (_SHOULDERS, _HIPS, _KNEES, _ANKLES)
    )
    if not _is_upright(shoulders.mean(axis=0), hips.mean(axis=0)):
        return LowerEnd.OTHER
    if hips[:, 1].mean() >= border:
        return LowerEnd.BORDER if lowest >= border else LowerEnd.OTHER
    thighs = all(_is_upright(hip, knee) for hip, knee in zip(hips, knees, strict=True))
    if not thighs:
        return LowerEnd.OTHER
    if knees[:, 1].mean() >= border:
        return LowerEnd.THIGHS if lowest >= border else LowerEnd.OTHER
    shins = all(_is_upright(knee, ankle) for knee, ankle in zip(knees, ankles, strict=True))
    is_seen = points.visible[_ANKLES].max() >= VISIBLE_FROM
    stands = shins and is_seen and ankles[:, 1].max() <= min(lowest, border)
    return LowerEnd.FEET if stands else LowerEnd.OTHER


def _is_upright(upper: Floats, lower: Floats) -> bool:
    """Return whether a limb hangs down from its upper end; each is x and y."""
    across, down = (float(value) for value in lower - upper)
    return down > UPRIGHT * math.hypot(across, down)
