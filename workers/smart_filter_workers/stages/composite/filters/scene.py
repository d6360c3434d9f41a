"""What filters go by: the heads in a picture, how they smile, where people are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from smart_filter_shared.presets import Mood
from smart_filter_workers.results import Eyes, Face, Matte8, Point, Smile

# Of the distance between the eyes, when somebody looks straight ahead. Source: the mean face
# that face recognisers align to (Deng et al. 2019, "ArcFace", 112 × 112 template).
EYES_TO_MOUTH: Final = 1.16
# Eyes so much nearer to each other than their distance to the mouth says belong to a profile.
PROFILE_BELOW: Final = 0.55
# A nose so far off the middle of the eyes, in the distance that they are seen apart, hides one.
# Both by 60 faces of training photos that are turned the most.
PROFILE_FROM: Final = 0.65
# In the same unit: how far above the eyes a head ends, hair included, and the least and most
# that is believed. Source: mean of eyes to vertex over mean pupil distance, 115 by 63 mm, and hair.
CROWN: Final = 2.0
CROWN_RANGE: Final = (1.6, 2.6)
# Heights above the eyes are measured in such steps; how wide a head is, at this one. Half a
# head beyond _WIDEST is hair that hangs, a whole one below _NARROWEST is no head.
_STEP: Final = 0.05
_FOREHEAD: Final = 1.15
_WIDEST: Final = 2.1
_NARROWEST: Final = 1.7
# Coverage, of 255, from which on something is people.
_PEOPLE_FROM: Final = 128


@dataclass(frozen=True, slots=True)
class Head:
    """One head, in pixels of the canvas; "up" and "across" are the head's own.

    number: counted from the left, from 1.  smile, eyes: None when nobody was rated.
    crown: how far above the eyes the head ends, in units of `unit`.
    beside: how far across from the eyes the middle of the skull is, in the same; None unknown.
    """

    number: int
    face: Face
    smile: Smile | None = None
    eyes: Eyes | None = None
    crown: float = CROWN
    beside: float | None = None

    @property
    def middle(self) -> Point:
        """The point between the eyes."""
        return _between(self.face.landmarks[0], self.face.landmarks[1])

    @property
    def mouth(self) -> Point:
        """The point between the corners of the mouth."""
        return _between(self.face.landmarks[3], self.face.landmarks[4])

    @property
    def apart(self) -> float:
        """How far the eyes are from each other in the picture; less from the side."""
        right, left = self.face.landmarks[:2]
        return max(1e-3, math.dist(right, left))

    @property
    def unit(self) -> float:
        """How far the eyes would be apart if the head looked straight ahead: its scale."""
        down = math.dist(self.middle, self.mouth) / EYES_TO_MOUTH
        # A chin that is raised or lowered shortens this, a laughing mouth makes it longer.
        return max(self.apart, 0.95 * down)

    @property
    def up(self) -> Point:
        """The direction from chin to crown, of length 1."""
        right, left = self.face.landmarks[:2]
        # Across the eyes, turned by 90°, and along the nose: the eyes say less in profile.
        share = min(1.0, self.apart / self.unit)
        x = share * (left[1] - right[1]) / self.apart
        y = -share * (left[0] - right[0]) / self.apart
        length = max(1e-3, math.dist(self.middle, self.mouth))
        x += (self.middle[0] - self.mouth[0]) / length
        y += (self.middle[1] - self.mouth[1]) / length
        size = math.hypot(x, y)
        return (x / size, y / size) if size > 0 else (0.0, -1.0)

    @property
    def across(self) -> Point:
        """The direction toward the head's own left, of length 1, at right angles to `up`."""
        return -self.up[1], self.up[0]

    @property
    def aside(self) -> float:
        """How far the nose is off the middle of the eyes, along `across`, in units.

        About 0.35 for a head turned by 45° to its own left; negative to its right.
        """
        nose = self.face.landmarks[2]
        x, y = nose[0] - self.middle[0], nose[1] - self.middle[1]
        return (x * self.across[0] + y * self.across[1]) / self.unit

    @property
    def skull(self) -> float:
        """How far across from the eyes the middle of the skull is, in units.

        The skull lies behind the face: turned aside, it is on the other side of the nose.
        """
        if self.beside is not None:
            return self.beside
        # The nose moves half as far as the skull does (27 faces of training photos whose skull
        # could be measured), and no further when an eye goes out of sight.
        behind = 2 * abs(self.aside) + 0.5 * (1 - self.apart / self.unit)
        return -math.copysign(behind, self.aside)

    @property
    def in_profile(self) -> bool:
        """Whether the head is turned so far that only one eye can be seen well."""
        is_narrow = self.apart < PROFILE_BELOW * self.unit
        # Detectors that guess where the hidden eye is see it apart from the other.
        return is_narrow or abs(self.aside) * self.unit > PROFILE_FROM * self.apart

    def at(self, across: float, up: float) -> Point:
        """Return the point so many units across and above the middle of the eyes."""
        x, y = self.middle
        return (
            x + self.unit * (across * self.across[0] + up * self.up[0]),
            y + self.unit * (across * self.across[1] + up * self.up[1]),
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """What a filter may know of a picture, all in pixels of its canvas.

    width, height: the canvas.  heads: from the left.
    mood: what smiles and eyes say; None when nobody looked at them.
    people: (h, w) uint8, coverage by people, of any size that spans the canvas; None unknown.
    seed: 0 or more, decides whatever is left to chance.
    """

    width: int
    height: int
    heads: tuple[Head, ...]
    mood: Mood | None
    people: Matte8 | None
    seed: int

    @property
    def side(self) -> int:
        """The shorter side, in pixels."""
        return min(self.width, self.height)

    def covered(self, point: Point) -> bool:
        """Whether people are at a point of the canvas; nobody is where that is unknown."""
        return self.people is not None and _covers(self.people, point, self.width, self.height)

    def chosen(self, who: str) -> tuple[Head, ...]:
        """Return the heads that `all`, `largest` or `1,3` means."""
        if who == "all" or not self.heads:
            return self.heads
        if who == "largest":
            return (max(self.heads, key=lambda head: head.unit),)
        numbers = {int(part) for part in who.split(",")}
        return tuple(head for head in self.heads if head.number in numbers)


def heads(
    faces: Sequence[Face],
    *,
    smiles: Sequence[Smile] = (),
    eyes: Sequence[Eyes] = (),
    people: Matte8 | None,
    width: int,
    height: int,
) -> tuple[Head, ...]:
    """Return the heads that faces belong to, from the left.

    faces, in pixels of the canvas; smiles, eyes: of the same faces in the same order, or empty.
    people: where they are; a head ends where they do.
    """
    found = []
    for index, face in enumerate(faces):
        head = Head(
            number=0,
            face=face,
            smile=smiles[index] if smiles else None,
            eyes=eyes[index] if eyes else None,
        )
        if people is not None:
            head = _measured(head, people, width, height)
        found.append(head)
    found.sort(key=lambda head: head.middle[0])
    return tuple(replace(head, number=number) for number, head in enumerate(found, start=1))


def _measured(head: Head, people: Matte8, width: int, height: int) -> Head:
    """Return a head with its crown and the middle of its skull, where people's coverage tells."""

    def ends(starts_at: float, most: float, step: float, up: float | None) -> float | None:
        """Return how far one gets along a ray before people end; None when they do not."""
        for count in range(round((most - starts_at) / abs(step)) + 1):
            far = starts_at + count * abs(step)
            across = math.copysign(far, step)
            point = head.at(head.skull, far) if up is None else head.at(head.skull + across, up)
            if not _covers(people, point, width, height):
                return far
        # Somebody stands behind, or it is hair that hangs: nothing can be said.
        return None

    crown = ends(*CROWN_RANGE, _STEP, None) or CROWN
    left, right = (ends(0.0, _WIDEST, side * _STEP, _FOREHEAD) for side in (-1, 1))
    beside = None
    if left is not None and right is not None and left + right >= _NARROWEST:
        beside = head.skull + (right - left) / 2
    return replace(head, crown=crown, beside=beside)


def _covers(people: Matte8, point: Point, width: int, height: int) -> bool:
    rows, columns = people.shape
    x, y = math.floor(point[0] * columns / width), math.floor(point[1] * rows / height)
    return 0 <= x < columns and 0 <= y < rows and bool(people[y, x] >= _PEOPLE_FROM)


def _between(one: Point, other: Point) -> Point:
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2
