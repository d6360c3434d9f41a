"""Person boxes: which persons have no silhouette, and which silhouettes show no person."""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np

from smart_filter_workers.networks.coordinates import Box, Square, box_iou
from smart_filter_workers.networks.pose import Body, PersonBox
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bools, Floats, Srgb8

FindBoxes: TypeAlias = Callable[[Srgb8], Sequence[PersonBox]]

# A box with a higher score is a person whether or not it has a silhouette. Lower ones may be, and
# count where a silhouette or a part of a matte is in doubt.
PROPOSED_ABOVE: Final = 0.3
# A silhouette whose bounds overlap a box more than this (IoU) is the box's person.
SAME_PERSON_IOU: Final = 0.45
# The square of the silhouette network, as a multiple of a box's longer side.
SQUARE_PER_BOX: Final = 1.25
SMALLEST_SIDE_PX: Final = 24
# A part of a picture with less than this share in boxes, each larger by the margin on each side,
# lies outside (docs/measurements.md). Margins of 0.1 and 0.25 and shares of 0.2 and 0.5 differ in
# one of 545 training photos.
BOXED_ABOVE: Final = 0.5
MARGIN: Final = 0.25
MARGIN_PX: Final = 4
# Boxes of lower scores do not count with the surest one.
COUNTED_ABOVE: Final = 0.2
# A picture shows a person if what all detectors believe reaches this sum: the presence of the
# surest silhouette, the score of the surest face, and the boxes' scores with these weights. Chosen
# on 675 training photos and crops of them (small, dark, without heads), 100 of legs alone, and 369
# pictures without people: 97 % of the first are found, where scores in steps found 91 %, and 21 of
# the 100, not 9; six things count as people, all drawn animals, where four did. Sums of 2.0 and
# 2.2, weights of the other boxes of 0.25 and 0.75, and of the face of 0.5, differ by 1 % and one
# thing.
AGREED_FROM, SUREST_WEIGHT, OTHERS_WEIGHT = 2.1, 2.0, 0.5
# A box of this score alone may be a person: five in six of the photos in which the rule above finds
# none, and 9 % of the pictures without people.
POSSIBLE_FROM: Final = 0.4
# Without a detector of boxes the pose network decides alone.
ALONE_PRESENCE, ALONE_POSSIBLE = 0.9, 0.5


class PersonBoxes:
    """The boxes of whole persons in a picture; the detector runs once, on first use.

    find: the detector; without it no person is proposed, and nothing lies outside.
    picture: (H, W, 3) uint8 sRGB.
    """

    def __init__(self, find: FindBoxes | None, picture: Srgb8) -> None:
        self._find = find
        self._picture = picture
        self._boxes: Sequence[PersonBox] | None = None
        self._inside: Bools | None = None

    def propose_bodies(self, outlines: Sequence[Bools]) -> list[Body]:
        """Return an upright body for each box that no known person explains.

        outlines: (H, W) bool, none of them empty, the known persons.
        """
        boxes = self._find_once()
        if boxes:
            self._inside = _draw_inside(boxes, self._picture.shape[:2])
        return [
            Body(box.score, box.box, _square_around(box.box))
            for box in _find_unexplained(boxes, outlines)
            if box.score > PROPOSED_ABOVE and _longer_side(box.box) >= SMALLEST_SIDE_PX
        ]

    def draw_unexplained(self, outlines: Sequence[Bools]) -> Floats:
        """Return the scores, (H, W) float32, in boxes that no outline explains; else 0.

        The detector does not run for it.
        """
        scores = np.zeros(self._picture.shape[:2], np.float32)
        for box in _find_unexplained(self._boxes or (), outlines):
            if box.score >= COUNTED_ABOVE:
                left, top, right, bottom = (max(0, round(side)) for side in box.box)
                inside = scores[top:bottom, left:right]
                np.maximum(inside, np.float32(box.score), out=inside)
        return scores

    def may_hold(self, part: Bools) -> bool:
        """Return whether a part, (H, W) bool, lies in boxes, or there are none.

        Bodies are not proposed where one person fills much of a picture. Of 1,868 training photos
        the answer would be no in one of those, and cost each 18 ms.
        """
        return self._inside is None or float(self._inside[part].mean()) > BOXED_ABOVE

    def agree_with(self, presence: float, face: float) -> bool:
        """Return whether all detectors together see a person in the picture.

        presence: the highest presence, 0..1, of the picture's silhouettes.  face: the highest
        score of its faces.
        """
        if self._find is None:
            return presence >= ALONE_PRESENCE
        surest = self._highest_score()
        others = sum(box.score for box in self._find_once() if box.score >= COUNTED_ABOVE)
        boxes = SUREST_WEIGHT * surest + OTHERS_WEIGHT * max(0.0, others - surest)
        return presence + face + boxes >= AGREED_FROM

    def may_show_person(self, presence: float) -> bool:
        """Return whether one network sees a person, whatever the other one says.

        presence: as for `agree_with`.
        """
        if self._find is None:
            return presence >= ALONE_POSSIBLE
        return self._highest_score() >= POSSIBLE_FROM

    def list_persons(self) -> list[Box] | None:
        """Return the boxes of possible persons, the surest first; None if the detector did not run.

        It does not run for a sure face whose person fills much of the picture.
        """
        if self._boxes is None or self._find is None:
            return None
        return [box.box for box in self._boxes if box.score >= POSSIBLE_FROM]

    def _highest_score(self) -> float:
        return max((box.score for box in self._find_once()), default=0.0)

    def _find_once(self) -> Sequence[PersonBox]:
        if self._boxes is None:
            self._boxes = () if self._find is None else self._find(self._picture)
        return self._boxes


def _find_unexplained(boxes: Sequence[PersonBox], outlines: Sequence[Bools]) -> Sequence[PersonBox]:
    """Return the boxes that are those of no outline; each outline is (H, W) bool, not empty."""
    bounds = np.array([_bounds(outline) for outline in outlines], np.float32).reshape(-1, 4)
    return [box for box in boxes if box_iou(box.box, bounds).max(initial=0) <= SAME_PERSON_IOU]


def _draw_inside(boxes: Sequence[PersonBox], size: tuple[int, int]) -> Bools:
    """Return what lies in boxes, with a margin around each: (H, W) bool of this size."""
    inside = np.zeros(size, np.bool_)
    for left, top, right, bottom in (box.box for box in boxes):
        x = MARGIN * (right - left) + MARGIN_PX
        y = MARGIN * (bottom - top) + MARGIN_PX
        rows = slice(max(0, int(top - y)), int(bottom + y) + 1)
        inside[rows, max(0, int(left - x)) : int(right + x) + 1] = True
    return inside


def _bounds(outline: Bools) -> Box:
    left, top, width, height = cv2.boundingRect(outline.astype(np.uint8))
    return left, top, left + width, top + height


def _longer_side(box: Box) -> float:
    left, top, right, bottom = box
    return max(right - left, bottom - top)


def _square_around(box: Box) -> Square:
    left, top, right, bottom = box
    middle = ((left + right) / 2, (top + bottom) / 2)
    return Square(center=middle, side=SQUARE_PER_BOX * _longer_side(box), angle=0.0)
