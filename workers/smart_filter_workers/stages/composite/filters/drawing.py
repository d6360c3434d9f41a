"""Filters: the scene that they read, their interface, and how they are drawn in order."""

import importlib
import math
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, cast

from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.presets import Mood
from smart_filter_shared.recipe import Filter as AskedFilter
from smart_filter_shared.results import Face, Frame, Point, Smile, Smiles
from smart_filter_wire.findings import AppliedFilter, Eyes
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Srgb8, Srgba8
from smart_filter_workers.stages.composite.cleanup import is_covered
from smart_filter_workers.stages.composite.filters import plugins
from smart_filter_workers.stages.composite.framing import face_to_canvas, place_photo

# In units of the distance between the eyes of a frontal face. Source: the mean face that face
# recognizers align to (Deng et al. 2019, "ArcFace", 112 × 112 template).
EYES_TO_MOUTH: Final = 1.16
# A face is in profile if its eyes are closer together than this share of `Head.unit`.
PROFILE_BELOW: Final = 0.55
# Or if its nose is farther than this from the middle of the eyes, in their visible distance: the
# nose then hides one eye. Both chosen on the 60 most turned faces of the training photos.
PROFILE_FROM: Final = 0.65
# In the same unit: the height of a head's top above the eyes, hair included, and the range of
# measured heights that are accepted. Source: mean of eyes to vertex over mean pupil distance, 115
# by 63 mm, plus hair.
CROWN_HEIGHT: Final = 2.0
CROWN_RANGE: Final = (1.6, 2.6)
# Heights above the eyes are measured in steps of _STEP; a head's width at the height _FOREHEAD.
# Half a head wider than _WIDEST includes hanging hair; a whole one narrower than _NARROWEST is no
# head.
_STEP: Final = 0.05
_FOREHEAD: Final = 1.15
_WIDEST: Final = 2.1
_NARROWEST: Final = 1.7
# Least coverage, of 255, at which a pixel counts as people.
_PEOPLE_FROM: Final = 128

# Longer side of the map of people, in pixels: finer than any filter needs.
_PEOPLE_PX: Final = 512


@dataclass(frozen=True, slots=True)
class Head:
    """One head, in pixels of the canvas; "up" and "across" are the head's own directions.

    number: counted from the left, starting at 1.  smile, eyes: None when not rated. crown: height
    of the head's top above the eyes, in units of `unit`. skull_offset: measured offset of the
    skull's middle from the eyes along `across`, in units; None when unknown.
    """

    number: int
    face: Face
    smile: Smile | None = None
    eyes: Eyes | None = None
    crown: float = CROWN_HEIGHT
    skull_offset: float | None = None

    @property
    def middle(self) -> Point:
        """The point between the eyes."""
        return _midpoint(self.face.landmarks[0], self.face.landmarks[1])

    @property
    def mouth(self) -> Point:
        """The point between the corners of the mouth."""
        return _midpoint(self.face.landmarks[3], self.face.landmarks[4])

    @property
    def apart(self) -> float:
        """The distance of the eyes in the picture, in pixels; shorter from the side."""
        right, left = self.face.landmarks[:2]
        return max(1e-3, math.dist(right, left))

    @property
    def unit(self) -> float:
        """The head's scale: the distance that its eyes would have if it faced the camera."""
        down = math.dist(self.middle, self.mouth) / EYES_TO_MOUTH
        # A raised or lowered chin shortens this; a laughing mouth lengthens it.
        return max(self.apart, 0.95 * down)

    @property
    def up(self) -> Point:
        """The direction from chin to crown, of length 1."""
        right, left = self.face.landmarks[:2]
        # Combine the line across the eyes, turned by 90°, with the line of the nose: in profile the
        # eyes count less.
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
        """The offset of the nose from the middle of the eyes, along `across`, in units.

        About 0.35 for a head turned 45° to its own left; negative for a turn to its right.
        """
        nose = self.face.landmarks[2]
        x, y = nose[0] - self.middle[0], nose[1] - self.middle[1]
        return (x * self.across[0] + y * self.across[1]) / self.unit

    @property
    def skull(self) -> float:
        """The offset of the skull's middle from the eyes, along `across`, in units.

        The skull is behind the face: on a turned head it is on the side opposite to the nose.
        """
        if self.skull_offset is not None:
            return self.skull_offset
        # The nose moves half as far as the skull (27 faces of training photos whose skull could be
        # measured), and no farther when an eye goes out of sight.
        behind = 2 * abs(self.aside) + 0.5 * (1 - self.apart / self.unit)
        return -math.copysign(behind, self.aside)

    @property
    def in_profile(self) -> bool:
        """Whether the head is turned so far that only one eye is clearly visible."""
        is_narrow = self.apart < PROFILE_BELOW * self.unit
        # Detectors that guess the hidden eye place it apart from the other one.
        return is_narrow or abs(self.aside) * self.unit > PROFILE_FROM * self.apart

    def at(self, across: float, up: float) -> Point:
        """Return the point this many units across and above the middle of the eyes."""
        x, y = self.middle
        return (
            x + self.unit * (across * self.across[0] + up * self.up[0]),
            y + self.unit * (across * self.across[1] + up * self.up[1]),
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """The facts of a picture that filters may use, all in pixels of its canvas.

    width, height: the canvas.  heads: from the left.
    mood: inferred from smiles and eyes; None when they were not rated.
    people: (h, w) uint8, coverage by people, of any size that spans the canvas; None when unknown.
    seed: 0 or more, decides all random choices.
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
        """Return whether people cover a point of the canvas; False where that is unknown."""
        return self.people is not None and _covers(self.people, point, self.width, self.height)

    def chosen(self, who: str) -> tuple[Head, ...]:
        """Return the heads selected by `all`, `largest` or numbers such as `1,3`."""
        if who == "all" or not self.heads:
            return self.heads
        if who == "largest":
            return (max(self.heads, key=lambda head: head.unit),)
        numbers = {int(part) for part in who.split(",")}
        return tuple(head for head in self.heads if head.number in numbers)


def find_heads(
    faces: Sequence[Face],
    *,
    smiles: Sequence[Smile] = (),
    eyes: Sequence[Eyes] = (),
    people: Matte8 | None,
    width: int,
    height: int,
) -> tuple[Head, ...]:
    """Return the heads of faces, from the left.

    faces: in pixels of the canvas; smiles, eyes: of the same faces in the same order, or empty.
    people: their coverage; a head ends where it ends.
    """
    heads = []
    for index, face in enumerate(faces):
        head = Head(
            number=0,
            face=face,
            smile=smiles[index] if smiles else None,
            eyes=eyes[index] if eyes else None,
        )
        if people is not None:
            head = _measure_head(head, people, width, height)
        heads.append(head)
    heads.sort(key=lambda head: head.middle[0])
    return tuple(replace(head, number=number) for number, head in enumerate(heads, start=1))


def _measure_head(head: Head, people: Matte8, width: int, height: int) -> Head:
    """Return a head with its crown and its skull's middle, where people's coverage shows them."""

    def ends(starts_at: float, most: float, step: float, up: float | None) -> float | None:
        """Return the distance along a ray at which people end; None if they do not."""
        for count in range(round((most - starts_at) / abs(step)) + 1):
            far = starts_at + count * abs(step)
            across = math.copysign(far, step)
            point = head.at(head.skull, far) if up is None else head.at(head.skull + across, up)
            if not _covers(people, point, width, height):
                return far
        # Another person behind, or hanging hair: the end is unknown.
        return None

    crown = ends(*CROWN_RANGE, _STEP, None) or CROWN_HEIGHT
    left, right = (ends(0.0, _WIDEST, side * _STEP, _FOREHEAD) for side in (-1, 1))
    skull_offset = None
    if left is not None and right is not None and left + right >= _NARROWEST:
        skull_offset = head.skull + (right - left) / 2
    return replace(head, crown=crown, skull_offset=skull_offset)


def _covers(people: Matte8, point: Point, width: int, height: int) -> bool:
    rows, columns = people.shape
    x, y = math.floor(point[0] * columns / width), math.floor(point[1] * rows / height)
    return 0 <= x < columns and 0 <= y < rows and bool(people[y, x] >= _PEOPLE_FROM)


def _midpoint(first: Point, second: Point) -> Point:
    return (first[0] + second[0]) / 2, (first[1] + second[1]) / 2


@dataclass(frozen=True, slots=True)
class FilterVerdict:
    """Whether a filter drew something, and what or why not, in words for users."""

    applied: bool
    reason: str


class Filter(Protocol):
    """A filter, named like its file and its card; deterministic for one seed."""

    def draw(self, picture: Srgb8 | Srgba8, scene: Scene, parameters: Parameters) -> FilterVerdict:
        """Draw on a picture in place, and return the verdict.

        picture: (H, W, 3), or (H, W, 4) with straight alpha, where fully transparent pixels stay
        (0, 0, 0, 0) unless the filter draws on them.  parameters: complete.
        """
        ...


def apply(
    picture: Srgb8 | Srgba8, asked: Sequence[AskedFilter], seen: Scene
) -> tuple[AppliedFilter, ...]:
    """Draw the recipe's filters on a picture, in place, and return the result of each.

    picture: (H, W, 3), or (H, W, 4) with straight alpha, of the canvas's size.
    """
    results = []
    for filter_ in asked:
        verdict = load_plugin(filter_.name).draw(picture, seen, filter_.parameters)
        results.append(AppliedFilter(filter_.name, verdict.applied, verdict.reason))
    return tuple(results)


def list_names() -> frozenset[str]:
    """Return the names of the available filters: the modules among the plugins."""
    return frozenset(module.name for module in pkgutil.iter_modules(plugins.__path__))


def load_plugin(name: str) -> Filter:
    """Return a filter.  Raises KeyError when no plugin has this name."""
    if name not in list_names():
        raise KeyError(name)
    # A contract test checks that each module implements Filter.
    return cast("Filter", importlib.import_module(f"{plugins.__name__}.{name}"))


def make_scene(
    faces: Sequence[Face],
    smiles: Smiles | None,
    frame: Frame,
    *,
    matte: Matte8 | None,
    photo_width: int,
    hides_others: bool,
    mood: Mood | None,
    seed: int,
) -> Scene:
    """Return the scene of a photo on its canvas.

    faces: in pixels of the photo; smiles: of the same faces.  matte: (h, w) uint8; None without.
    hides_others: whether faces outside of the matte are behind a new background.
    """
    people = None if matte is None else _place_people(matte, photo_width, frame)
    kept = [
        index
        for index, face in enumerate(faces)
        if matte is None or not hides_others or is_covered(face, matte, photo_width)
    ]
    heads = find_heads(
        [face_to_canvas(faces[index], frame) for index in kept],
        smiles=[] if smiles is None else [smiles.smiles[index] for index in kept],
        eyes=[] if smiles is None else [smiles.eyes[index] for index in kept],
        people=people,
        width=frame.width,
        height=frame.height,
    )
    return Scene(frame.width, frame.height, heads, mood=mood, people=people, seed=seed)


def _place_people(matte: Matte8, photo_width: int, frame: Frame) -> Matte8:
    """Return a small map of the people on the canvas."""
    share = min(1.0, _PEOPLE_PX / max(frame.width, frame.height))
    small = Frame(
        width=max(1, round(share * frame.width)),
        height=max(1, round(share * frame.height)),
        scale=share * frame.scale * photo_width / matte.shape[1],
        left=share * frame.left,
        top=share * frame.top,
    )
    return place_photo(matte, small, beyond=cv2.BORDER_CONSTANT)
