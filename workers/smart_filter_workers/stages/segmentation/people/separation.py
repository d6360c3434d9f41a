"""Separate the people of a picture: one outline for each person.

Silhouettes may show a person in several pieces, and several persons in one piece. Each face is a
person, and so is each box of a person without one, who is turned away: an outline with several is
split, and one without any joins the person whose body it is a part of. What is left is in no body:
a person who is turned away.

Split one matte of several persons into a matte of each.

Locate the persons, and map each pixel to its person.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_wire.findings import Person, PersonRole
from smart_filter_workers.networks.coordinates import Box, box_iou, photo_per_proxy
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import (
    HALF_LEVEL,
    Bools,
    Doubles,
    InstanceMap,
    Matte8,
    PreparedPhoto,
)
from smart_filter_workers.stages.segmentation.models.base import People

# A body reaches from the middle of its face down this far, and this far to each side of a line
# below it, in widths of the face. An upright adult is 7.5 heads tall and two wide at the shoulders
# (Loomis 1943, "Figure drawing for all it's worth"); arms reach beyond. All constants are flat: of
# 37 training photos whose faces are all labeled and seen, 33 to 35 are counted right with each of
# them a quarter lower or higher; before, with none of this, 19 were.
BODY_LENGTH, BODY_REACH = 8.0, 2.0
# Share of an outline in a body, or of its surroundings in an outline, that makes it a part of that
# person.
PART_IN_BODY, PART_CONTACT = 0.5, 0.25
# Outlines may miss the middle of a face by this many of its widths; one farther away is on a wall
# or a screen.
NEAR_FACE: Final = 0.5
RIM_PX: Final = 5
# A box is a person's if people cover this share of it, and another one's unless it overlaps theirs
# more than the second (IoU). A face may be this far from the middle of its person's box, in widths
# of it. What detectors saw without a face or a box is a part of a person already at the last share
# of the two above: a bag or a pushchair. Of 101 groups and 149 persons alone in training photos,
# counted by eye, 91 and 149 are counted right, without boxes 76 and 148; with 0.15 to 0.4, 0.5 to
# 0.7, 0.6 to 0.7 and 0 to 0.25 at most one other of each.
SEEN_IN_BOX, SAME_PERSON_IOU, FACE_ASIDE, BOXLESS_SHARE = 0.2, 0.6, 0.7, 0.1

_MAX_PERSONS: Final = 255
# Pixels below this level are more background than person and do not extend a box.
_SEEN_FROM, _WHOLE = 128, 255


def separate_people(
    outlines: Sequence[Bools],
    faces: Sequence[Box],
    people: Bools,
    boxes: Sequence[Box] | None = None,
) -> list[Bools]:
    """Return an outline of each person.

    outlines: (H, W) bool each; faces: in pixels of the same picture; people: (H, W) bool, all who
    are seen, also without an outline.  boxes: of whole persons, the surest first; None: no detector
    looked for them.
    """
    seen = [outline for outline in outlines if outline.any()]
    union = np.logical_or.reduce([np.zeros_like(people), *seen])
    heads = _select_near(faces, people | union)
    heads += _find_turned_away(boxes or (), heads, people)
    seen += _outline_faces(heads, people & ~union)
    faces_of = _assign_faces(seen, heads)
    persons: list[Bools] = []
    owned: list[Box] = []
    for outline, its_faces in zip(seen, faces_of, strict=True):
        persons += _split_by_face(outline, its_faces)
        owned += its_faces
    persons = _share_out(persons, owned)
    faceless = [outline for outline, its_faces in zip(seen, faces_of, strict=True) if not its_faces]
    enough = 1.0 if boxes is None else BOXLESS_SHARE
    away: list[Bools] = []
    for outline in sorted(faceless, key=np.count_nonzero, reverse=True):
        shares = [_share_in_person(outline, *person) for person in zip(persons, owned, strict=True)]
        if max(shares, default=0.0) >= enough:
            index = int(np.argmax(shares))
            persons[index] = persons[index] | outline
            continue
        # Both may be larger than any person with a face, or there may be none.
        whole = next((n for n, other in enumerate(away) if _share_in(outline, other) >= 1), None)
        if whole is None:
            away.append(outline)
        else:
            away[whole] = away[whole] | outline
    return persons + away


def _select_near(faces: Sequence[Box], people: Bools) -> list[Box]:
    """Return the faces of people; others are on a wall or a screen."""
    away = cv2.distanceTransform((~people).view(np.uint8), cv2.DIST_L2, 5)
    return [
        face
        for face in faces
        if people.any() and away[find_middle(face, people)] <= NEAR_FACE * (face[2] - face[0])
    ]


def _find_turned_away(boxes: Sequence[Box], faces: Sequence[Box], people: Bools) -> list[Box]:
    """Return where the head of each person is who has a box and shows no face.

    boxes: of whole persons, the surest first; people: (H, W) bool, all who are seen.
    """
    free = [box for box in boxes if _share_inside(box, people) >= SEEN_IN_BOX]
    explained: list[Box] = []
    for face in faces:
        nearest = min(free, key=lambda box: _from_middle(face, box), default=None)
        if nearest is not None and _from_middle(face, nearest) <= FACE_ASIDE:
            free.remove(nearest)
            explained.append(nearest)
    heads = []
    for box in free:
        if box_iou(box, np.array(explained).reshape(-1, 4)).max(initial=0) <= SAME_PERSON_IOU:
            explained.append(box)
            left, top, right, _ = box
            third = (right - left) / 3
            heads.append((left + third, top, right - third, top + third))
    return heads


def _share_inside(box: Box, people: Bools) -> float:
    """Return the share of a box that people cover."""
    left, top, right, bottom = (max(0, round(side)) for side in box)
    inside = people[top:bottom, left:right]
    return int(np.count_nonzero(inside)) / max(1, inside.size)


def _from_middle(face: Box, box: Box) -> float:
    """Return the distance of a face from the middle of a box, in widths of it; far if below it."""
    aside = abs(face[0] + face[2] - box[0] - box[2]) / 2 / max(1.0, box[2] - box[0])
    return aside if face[1] + face[3] <= 2 * box[3] else math.inf


def _outline_faces(faces: Sequence[Box], rest: Bools) -> list[Bools]:
    """Return the body of each face in what no outline shows of people, (H, W) bool."""
    bodies = []
    for face in faces:
        if rest[find_middle(face, rest)]:
            body = np.zeros_like(rest)
            body[rest] = _from_body(face, *np.nonzero(rest)) <= BODY_REACH
            bodies.append(body)
    return bodies


def _share_out(persons: Sequence[Bools], faces: Sequence[Box]) -> list[Bools]:
    """Return outlines that share no pixel: each goes to the face whose body is nearest."""
    if len(persons) < 2:  # noqa: PLR2004 - a person alone shares nothing
        return list(persons)
    rows, columns = np.nonzero(np.add.reduce(persons, dtype=np.uint8) > 1)
    away = [
        np.where(person[rows, columns], _from_body(face, rows, columns), np.inf)
        for person, face in zip(persons, faces, strict=True)
    ]
    nearest = np.argmin(away, axis=0)
    alone = [person.copy() for person in persons]
    for number, person in enumerate(alone):
        person[rows, columns] = nearest == number
    return alone


def _assign_faces(outlines: Sequence[Bools], faces: Sequence[Box]) -> list[list[Box]]:
    """Return the faces of each outline; a face in several belongs to the smallest one."""
    faces_of: list[list[Box]] = [[] for _ in outlines]
    sizes = [int(np.count_nonzero(outline)) for outline in outlines]
    for face in faces if outlines else ():
        middle = find_middle(face, outlines[0])
        around = [index for index, outline in enumerate(outlines) if outline[middle]]
        if around:
            faces_of[min(around, key=sizes.__getitem__)].append(face)
            continue
        away_px = [np.hypot(*(np.argwhere(outline) - middle).T).min() for outline in outlines]
        faces_of[int(np.argmin(away_px))].append(face)
    return faces_of


def _split_by_face(outline: Bools, faces: Sequence[Box]) -> list[Bools]:
    """Return a part of an outline for each of its faces: what is nearest to the face's body."""
    if len(faces) < 2:  # noqa: PLR2004 - nothing to split
        return [outline] * len(faces)
    rows, columns = np.nonzero(outline)
    nearest = np.argmin([_from_body(face, rows, columns) for face in faces], axis=0)
    parts = []
    for number in range(len(faces)):
        part = np.zeros_like(outline)
        part[rows, columns] = nearest == number
        parts.append(part)
    return parts


def _share_in_person(outline: Bools, person: Bools, face: Box) -> float:
    """Return how much of an outline is a person's; a part from 1."""
    in_body = float((_from_body(face, *np.nonzero(outline)) <= BODY_REACH).mean())
    return max(in_body / PART_IN_BODY, _share_in(outline, person))


def _share_in(outline: Bools, other: Bools) -> float:
    """Return how much of an outline's surroundings is another one; it is a part from 1."""
    around = cv2.dilate(outline.view(np.uint8), np.ones((RIM_PX, RIM_PX), np.uint8)) > 0
    rim = around & ~outline
    contact = int(np.count_nonzero(rim & other)) / max(1, int(np.count_nonzero(rim)))
    return contact / PART_CONTACT


def _from_body(face: Box, rows: NDArray[np.int_], columns: NDArray[np.int_]) -> Doubles:
    """Return the distance of pixels from the middle line of a face's body, in widths of it."""
    left, top, right, bottom = face
    width, middle = max(1.0, right - left), (top + bottom) / 2
    below = rows - np.clip(rows, middle, middle + BODY_LENGTH * width)
    return np.asarray(np.hypot(columns - (left + right) / 2, below) / width, np.float64)


def find_middle(face: Box, outline: Bools) -> tuple[int, int]:
    """Return row and column of the middle of a face, in the picture."""
    left, top, right, bottom = face
    height, width = outline.shape
    y, x = int((top + bottom) / 2), int((left + right) / 2)
    return min(height - 1, max(0, y)), min(width - 1, max(0, x))


def split_by_person(matte: Matte8, outlines: Sequence[Bools]) -> tuple[Matte8, ...]:
    """Return the matte split by person: every pixel goes to the nearest one.

    matte: (H, W) uint8.  outlines: (h, w) bool each, all of one size: where each person is. A pixel
    in several outlines belongs to the last.  Returns an (H, W) uint8 matte of each person that is
    visible, from left to right by the middle of their boxes; their sum is the matte, except for
    what belongs to a hidden person.
    """
    if len(outlines) < 2:  # noqa: PLR2004 - nothing to split
        return (matte,) * len(outlines)
    owners = find_owners(sorted(outlines, key=_middle))
    if owners.shape != matte.shape:
        size = (matte.shape[1], matte.shape[0])
        owners = np.asarray(cv2.resize(owners, size, interpolation=cv2.INTER_NEAREST))
    return share_matte(matte, owners)


def share_matte(matte: Matte8, owners: InstanceMap) -> tuple[Matte8, ...]:
    """Return the matte, (H, W) uint8, of each of its owners who is visible, in their order."""
    persons = (
        np.where(owners == number, matte, np.uint8(0)) for number in range(1, int(owners.max()) + 1)
    )
    return tuple(person for person in persons if (person > HALF_LEVEL).any())


def find_owners(outlines: Sequence[Bools]) -> InstanceMap:
    """Return the number, from 1, of the outline nearest to each pixel.

    outlines: (h, w) bool each, at least one.  A pixel in several belongs to the last.
    """
    seeds = np.zeros(outlines[0].shape, np.uint8)
    for number, outline in enumerate(outlines, start=1):
        seeds[outline] = number
    if len(outlines) < 2 or not seeds.any():  # noqa: PLR2004 - nothing to share
        return np.ones_like(seeds)
    _, nearest = cv2.distanceTransformWithLabels(
        (seeds == 0).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Each labeled seed pixel has a number of its own: map it to its person.
    owner_of = np.zeros(int(nearest.max()) + 1, np.uint8)
    owner_of[nearest[seeds > 0]] = seeds[seeds > 0]
    return owner_of[nearest]


def _middle(outline: Bools) -> float:
    columns = np.flatnonzero(outline.any(axis=0))
    return float(columns[0] + columns[-1]) / 2 if columns.size else 0.0


def locate_persons(
    people: People,
    wanted: Collection[int],
    prepared: PreparedPhoto,
    *,
    bystanders: Collection[int] = (),
) -> tuple[Person, ...] | None:
    """Return the place of each person that the model separates; None when it separates none.

    wanted: the numbers of the persons that are kept; bystanders: those of the bystanders.
    """
    if people.persons is None:
        return None
    per_x, per_y = photo_per_proxy(prepared)
    mattes = people.persons + people.possible
    boxes = (cv2.boundingRect(cv2.inRange(matte, _SEEN_FROM, _WHOLE)) for matte in mattes)
    roles = [PersonRole.SUBJECT] * len(people.persons)
    roles += [PersonRole.POSSIBLE] * len(people.possible)
    for number in bystanders:
        roles[number - 1] = PersonRole.BYSTANDER
    return tuple(
        Person(
            number,
            (per_x * x, per_y * y, per_x * width, per_y * height),
            kept=number in wanted,
            role=roles[number - 1],
        )
        for number, (x, y, width, height) in enumerate(boxes, start=1)
    )


def build_instance_map(mattes: Mapping[int, Matte8], *, like: Matte8) -> InstanceMap:
    """Return the owner of each pixel: the person with the highest coverage, the left of two equal.

    mattes: (h, w) uint8 each, like `like`, by person number; numbers above 255 own nothing.
    """
    numbers = np.zeros(like.shape, np.uint8)
    strongest = np.zeros(like.shape, np.uint8)
    for number, matte in mattes.items():
        if number <= _MAX_PERSONS:
            stronger = matte > strongest
            numbers[stronger] = number
            strongest[stronger] = matte[stronger]
    return numbers
