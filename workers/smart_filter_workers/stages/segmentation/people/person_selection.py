"""Select the persons to keep: all, by number, the largest, the main persons, or the front row.

docs/recipes.md, "Who and what belongs", states the rules in words.

Separate a photo's subjects from its bystanders.

A small figure behind one person is a passer-by and spoils the cut-out. In a group every person who
shows a face is a subject, however far behind.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from smart_filter_shared.recipe import PersonSelection
from smart_filter_shared.results import Face
from smart_filter_workers.networks.coordinates import Box, box_side, scale_face
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize, shrink
from smart_filter_workers.results import HALF_LEVEL, Bools, Matte8, PreparedPhoto
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.people.persons import Person
from smart_filter_workers.stages.segmentation.people.separation import find_middle

# The shape of a person is compared at this size: mattes of 256 pixels have all that the rules use.
SIDE_PX: Final = 256
# What the worst facing, sharpness and place leave of a person's size in their rank. A person in
# profile or from behind is often the subject, an unsharp one never.
NO_FACE, UNSHARP, AT_THE_SIDE = 0.7, 0.25, 0.7
# Up to this distance from the middle, as a share of half the width, every place is as good: the
# thirds of the picture. A crop of a tenth therefore moves no rank by much.
MIDDLE_SHARE: Final = 0.4
# Distance of the eyes, as a share of the face's side, from which a face looks at the camera.
FRONTAL_EYES: Final = 0.35
# Persons whose rank is at least the second share of the best one are main persons, those below the
# first are not. Between the two the widest gap decides, which no small change moves.
NEVER_MAIN, ALWAYS_MAIN = 0.3, 0.75
# A person with less than this share of the sharpest one's detail is out of focus, or a shadow.
SHARP_SHARE: Final = 0.3
# A face that looks at the camera belongs to the group if it has this share of a main person's face.
GROUP_FACE: Final = 0.5
# So does a silhouette without a face that main persons surround by this share: faces of a group are
# now and then assigned to a neighbor.
GROUP_CONTACT: Final = 0.15
# A child on the arm, with a face: the box is this far inside the carrier's, and the area at most
# the second share of the carrier's.
CARRIED_INSIDE, CARRIED_AREA = 0.8, 0.5
# A face smaller than this share of another one is behind it.
FACE_BEHIND: Final = 0.7
# So is a person whose feet are higher, by this share of the other one's height, and who is smaller,
FEET_ABOVE, SMALLER = 0.2, 0.8
# and a person below whom, in this share of their columns, the other one begins.
HIDDEN_SHARE: Final = 0.4


# A person smaller than this share of the largest one (by the root of the area), without a face of
# at least the second share of the largest face, is a bystander. On training photos 0.6, 0.5 and
# 0.45 give: street fashion IoU 0.949, 0.949, 0.946; football 0.688, 0.707, 0.710; in the wild no
# difference.
MAX_BYSTANDER_SIZE: Final = 0.5
MAX_BYSTANDER_FACE: Final = 0.6
# This many faces of comparable size are a group.
GROUP_SIZE: Final = 3
MIN_GROUP_FACE: Final = 0.5


def find_bystanders(people: People, prepared: PreparedPhoto) -> set[int]:
    """Return the numbers of the persons who are a photo's bystanders.

    Where main persons show their faces, those who are not among them and show none were not
    photographed: passers-by, and what the frame or a main person leaves of them. Where no main
    person shows a face, as in sports, everyone is a subject, and so is who may be a main person.
    """
    if people.persons is None or len(people.persons) < 2:  # noqa: PLR2004 - there is no other
        return set()
    figures = _find_figures(people.persons, prepared)
    main = _select_main(figures) if figures else []
    if not any(figure.face_px for figure in main):
        return set()
    ranks = _rank_figures(figures)
    others = [
        figure
        for figure, rank in zip(figures, ranks, strict=True)
        if rank < NEVER_MAIN * max(ranks) and figure not in main and not figure.face_px
    ]
    return {number for figure in others for number in figure.numbers}


def select_persons(
    people: People,
    wanted: PersonSelection | tuple[int, ...],
    prepared: PreparedPhoto,
    *,
    bystanders: Collection[int] = (),
) -> dict[int, Matte8]:
    """Return the matte of each selected person by its number; 1 is the leftmost.

    If the model could not separate the persons of this photo, all of them count as one. A number
    that no person has selects nothing. What may be a person, and the bystanders, given by their
    numbers, are selected by number only.
    """
    mattes = (people.matte,) if people.persons is None else people.persons
    if isinstance(wanted, tuple):
        mattes += people.possible
    numbered = dict(enumerate(mattes, start=1))
    if wanted == PersonSelection.ALL or not numbered:
        return {number: matte for number, matte in numbered.items() if number not in bystanders}
    if wanted == PersonSelection.LARGEST:
        sizes = {number: int(matte.sum(dtype=np.int64)) for number, matte in numbered.items()}
        # Of two equal ones take the right one.
        largest = max(reversed(sizes), key=sizes.__getitem__)
        return {largest: numbered[largest]}
    if isinstance(wanted, PersonSelection):
        figures = _find_figures(mattes, prepared)
        select = _select_main if wanted == PersonSelection.MAIN else _select_front
        selected = select(figures) if figures else []
        wanted = tuple(number for figure in selected for number in figure.numbers)
    return {number: matte for number, matte in numbered.items() if number in wanted}


@dataclass(frozen=True, slots=True, eq=False)
class _Figure:
    """A person with those whom it carries, in pixels of the small mattes.

    numbers: of the persons, the carrier's first.  face_px: side of the face, 0 without one.
    facing: 0 without a face or in profile, to 1 toward the camera.  detail: the mean strength of
    the fine structure.  offset: distance from the middle, as a share of half the width.
    """

    numbers: tuple[int, ...]
    outline: Bools
    area_px: int
    box: tuple[int, int, int, int]
    face_px: float
    facing: float
    detail: float
    offset: float


def _select_main(figures: Sequence[_Figure]) -> list[_Figure]:
    """Return the persons whom the photo is of: the best of rank, those near it, and their group."""
    ranks = _rank_figures(figures)
    shares = [rank / max(ranks) for rank in ranks]
    levels = sorted({NEVER_MAIN, ALWAYS_MAIN, *np.clip(shares, NEVER_MAIN, ALWAYS_MAIN).tolist()})
    _, enough = max(pairwise(levels), key=lambda gap: gap[1] / gap[0])
    ranked = [share >= enough for share in shares]
    face_px = max(
        figure.face_px for figure, is_main in zip(figures, ranked, strict=True) if is_main
    )
    sharp = _sharp_figures(figures)
    main = [
        figure
        for figure, is_main in zip(figures, ranked, strict=True)
        if is_main or (figure in sharp and figure.facing * figure.face_px > GROUP_FACE * face_px)
    ]
    outlines = np.logical_or.reduce([figure.outline for figure in main])
    return [
        figure
        for figure in figures
        if figure in main
        or (figure in sharp and not figure.face_px and _contact(figure, outlines) >= GROUP_CONTACT)
    ]


def _select_front(figures: Sequence[_Figure]) -> list[_Figure]:
    """Return the sharp persons before whom fewest others stand."""
    figures = _sharp_figures(figures)
    before = [sum(_is_behind(figure, other) for other in figures) for figure in figures]
    return [figure for figure, count in zip(figures, before, strict=True) if count == min(before)]


def _sharp_figures(figures: Sequence[_Figure]) -> list[_Figure]:
    sharpest = max(figure.detail for figure in figures)
    return [figure for figure in figures if figure.detail >= SHARP_SHARE * sharpest]


def _rank_figures(figures: Sequence[_Figure]) -> list[float]:
    """Return how much the photo is of each person: size, less for face, sharpness and place."""
    sharpest = max(figure.detail for figure in figures)
    return [
        math.sqrt(figure.area_px)
        * _between(NO_FACE, figure.facing)
        * _between(UNSHARP, min(1.0, 2 * figure.detail / max(sharpest, 1e-6) - 0.3))
        * _between(AT_THE_SIDE, min(1.0, (1 - figure.offset) / (1 - MIDDLE_SHARE)))
        for figure in figures
    ]


def _is_behind(figure: _Figure, other: _Figure) -> bool:
    """Return whether the other person stands nearer to the camera."""
    if figure is other:
        return False
    if figure.face_px and other.face_px and figure.face_px < FACE_BEHIND * other.face_px:
        return True
    _, top, _, bottom = other.box
    is_smaller = figure.area_px < SMALLER**2 * other.area_px
    if is_smaller and bottom - figure.box[3] > FEET_ABOVE * (bottom - top):
        return True
    columns = np.flatnonzero(figure.outline.any(axis=0))
    last = figure.outline.shape[0] - 1
    lowest = last - np.argmax(figure.outline[::-1, columns], axis=0)
    # The splitting of a matte may leave a gap of a pixel.
    below = np.minimum(lowest + np.array([[1], [2], [3]]), last)
    return float(other.outline[below, columns].any(axis=0).mean()) > HIDDEN_SHARE


def _find_figures(mattes: Sequence[Matte8], prepared: PreparedPhoto) -> list[_Figure]:
    """Return the persons, the largest first; a child on the arm belongs to its carrier."""
    small = [shrink(matte, longest_side=SIDE_PX) > HALF_LEVEL for matte in mattes]
    height, width = small[0].shape
    gray = cv2.cvtColor(prepared.proxy_srgb, cv2.COLOR_RGB2GRAY)
    detail = resize(np.abs(cv2.Laplacian(gray, cv2.CV_32F)), width=width, height=height)
    faces = _assign_faces(small, prepared)
    figures: list[_Figure] = []
    for index in sorted(range(len(small)), key=lambda index: -np.count_nonzero(small[index])):
        outline = small[index]
        if not outline.any():
            continue
        left, top, columns, rows = cv2.boundingRect(outline.astype(np.uint8))
        face = faces.get(index)
        figure = _Figure(
            numbers=(index + 1,),
            outline=outline,
            area_px=int(np.count_nonzero(outline)),
            box=(left, top, left + columns, top + rows),
            face_px=0.0 if face is None else face.box[2] * width / prepared.width,
            facing=0.0 if face is None else _facing(face),
            detail=float(np.percentile(detail[outline], 90)),
            offset=abs(2 * float(np.nonzero(outline)[1].mean() + 0.5) / width - 1),
        )
        place = next((n for n, whole in enumerate(figures) if _is_carried(figure, whole)), None)
        if place is None:
            figures.append(figure)
        else:
            figures[place] = _join(figures[place], figure)
    return figures


def _assign_faces(outlines: Sequence[Bools], prepared: PreparedPhoto) -> dict[int, Face]:
    """Return the largest face whose middle lies in each outline, by the outline's index."""
    height, width = outlines[0].shape
    faces: dict[int, Face] = {}
    for face in sorted(prepared.proposals, key=lambda face: face.box[2]):
        left, top, columns, rows = scale_face(
            face, x=width / prepared.width, y=height / prepared.height
        ).box
        middle = find_middle((left, top, left + columns, top + rows), outlines[0])
        faces.update((n, face) for n, outline in enumerate(outlines) if outline[middle])
    return faces


def _facing(face: Face) -> float:
    right_eye, left_eye, *_ = face.landmarks
    return min(1.0, math.dist(right_eye, left_eye) / (FRONTAL_EYES * face.box[2]))


def _is_carried(figure: _Figure, whole: _Figure) -> bool:
    """Return whether a person with a face is carried by a larger one."""
    left, top, right, bottom = figure.box
    whole_left, whole_top, whole_right, whole_bottom = whole.box
    shared = max(0, min(right, whole_right) - max(left, whole_left)) * max(
        0, min(bottom, whole_bottom) - max(top, whole_top)
    )
    is_inside = shared >= CARRIED_INSIDE * (right - left) * (bottom - top)
    return bool(figure.face_px) and is_inside and figure.area_px <= CARRIED_AREA * whole.area_px


def _contact(figure: _Figure, other: Bools) -> float:
    """Return the share of a silhouette's surroundings that is another one."""
    around = cv2.dilate(figure.outline.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    rim = around & ~figure.outline
    return int(np.count_nonzero(rim & other)) / max(1, int(np.count_nonzero(rim)))


def _join(whole: _Figure, part: _Figure) -> _Figure:
    (left, top, right, bottom), (x0, y0, x1, y1) = whole.box, part.box
    return replace(
        whole,
        numbers=whole.numbers + part.numbers,
        outline=whole.outline | part.outline,
        area_px=whole.area_px + part.area_px,
        box=(min(left, x0), min(top, y0), max(right, x1), max(bottom, y1)),
        face_px=max(whole.face_px, part.face_px),
        facing=max(whole.facing, part.facing),
    )


def _between(least: float, share: float) -> float:
    return least + (1 - least) * max(0.0, share)


def select_subject_faces(faces: Sequence[Box]) -> list[Box]:
    """Return the faces, in pixels, of the photo's subjects."""
    largest = max((box_side(face) for face in faces), default=0.0)
    if sum(box_side(face) >= MIN_GROUP_FACE * largest for face in faces) >= GROUP_SIZE:
        return list(faces)
    return [face for face in faces if box_side(face) >= MAX_BYSTANDER_FACE * largest]


def split_bystanders(
    persons: Sequence[Person], faces: Sequence[Box]
) -> tuple[list[Person], list[Person]]:
    """Return the subjects of a photo, then its bystanders.

    faces: those of the subjects, in the picture's pixels.
    """
    largest_px = max((person.area_px for person in persons), default=0)
    staying: list[Person] = []
    bystanders: list[Person] = []
    for person in persons:
        is_small = math.sqrt(person.area_px) < MAX_BYSTANDER_SIZE * math.sqrt(largest_px)
        outline = person.outline
        shows_face = any(outline[find_middle(face, outline)] for face in faces)
        (bystanders if is_small and not shows_face else staying).append(person)
    return staying, bystanders
