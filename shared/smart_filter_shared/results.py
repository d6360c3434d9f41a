"""The results of stages that every process reads: numbers and words, neither arrays nor files.

Every coordinate is in pixels of the upright photo, x to the right and y down, the origin
at the top left corner of the top left pixel. "left" and "right" are the person's own. Workers add
arrays and files (smart_filter_workers.results); all fields here are kept in the stage's row.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar

from pydantic import TypeAdapter

from smart_filter_shared.printability import Printability
from smart_filter_shared.rating import Rating, SmileLevel, rate

# A photo has no person when people cover less than this share of it, by the API contract.
MIN_PEOPLE_SHARE: Final = 0.005

Point: TypeAlias = tuple[float, float]

# Shares of a face's expression, summing to 1, in the order of
# `smart_filter_shared.catalog.emotions`.
Emotion: TypeAlias = tuple[float, ...]

Facts = TypeVar("Facts")


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face.

    box: x, y, width, height; score: the detector's confidence, 0..1.
    landmarks: right eye, left eye, nose, right mouth corner, left mouth corner.
    added: whether a user added it.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: tuple[Point, Point, Point, Point, Point]
    added: bool = False


@dataclass(frozen=True, slots=True)
class Smile:
    """How much one face smiles: its level and the score 0..1 that the level was cut from.

    emotion: the expression of the face; None if the model does not read it, or cannot here.
    """

    level: SmileLevel
    score: float
    emotion: Emotion | None = None


@dataclass(frozen=True, slots=True)
class Eyes:
    """Whether each eye is open; None if that is unknown, which counts as not open."""

    left_open: bool | None
    right_open: bool | None


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """How well one face is seen in the proxy; what is not measured is None.

    turn: 0 straight ahead, the tangent of the head's yaw times about 0.6.
    blur_px: as in `smart_filter_shared.printability.FacePrint`.
    grain: noise in levels of 255; features of a small face count as noise.
    brightest: the luma that a twentieth of the pixels reaches, 0..1.
    clipped: share of pixels with a clipped red, green or blue, 0..1.
    """

    turn: float = 0.0
    blur_px: float | None = None
    grain: float | None = None
    brightest: float | None = None
    clipped: float | None = None


@dataclass(frozen=True, slots=True)
class Faces:
    """The result of `face`: faces from left to right by the middle of their boxes."""

    faces: tuple[Face, ...]


@dataclass(frozen=True, slots=True)
class Smiles:
    """The result of `smile`: smile, eyes and quality of each face of `Faces`, in the same order."""

    smiles: tuple[Smile, ...]
    eyes: tuple[Eyes, ...]
    qualities: tuple[FaceQuality, ...] = ()


@dataclass(frozen=True, slots=True)
class PreparedFacts:
    """What `prepare` found.

    width, height: the upright photo's; format: the format of the upload.
    proposals: faces found by a light detector; a better detector may find others.
    quarter_turns: how often the decoded photo was turned by 90° counter-clockwise to stand
        upright, 0 to 3.
    fingerprint: 64 bits that are alike for photos of one scene
        (smart_filter_shared.albums).
    taken_at: by the camera's clock.
    """

    width: int
    height: int
    format: str
    proposals: tuple[Face, ...] = ()
    quarter_turns: int = 0
    fingerprint: int | None = None
    taken_at: dt.datetime | None = None


class PersonRole(StrEnum):
    """What a person is in a photo; recipes that name no numbers keep subjects only.

    BYSTANDER: one without a face, who is not a main person of a photo of people with faces.
    POSSIBLE: what only one network sees as a person.
    """

    SUBJECT = "subject"
    BYSTANDER = "bystander"
    POSSIBLE = "possible"


@dataclass(frozen=True, slots=True)
class DetectedPerson:
    """A person that a model tells apart from the others in a photo.

    number: from left to right, 1 the leftmost; the possible ones come after all others.
    box: x, y, width, height.  kept: whether the recipe selects this person.
    """

    number: int
    box: tuple[float, float, float, float]
    kept: bool
    role: PersonRole = PersonRole.SUBJECT


@dataclass(frozen=True, slots=True)
class AttachedThing:
    """A thing that a person holds or wears, or a lost part of the person, added to the matte.

    box: x, y, width, height.  person: the number of its person; None if the model does not tell
    persons apart.
    """

    box: tuple[float, float, float, float]
    person: int | None


class LowerEnd(StrEnum):
    """Where the people of a photo end below, from the easiest to place elsewhere to the hardest.

    FEET: they stand or walk, and their feet are in the photo.  BORDER: its lower border cuts them
    off at the hips or above.  THIGHS: between hips and knees.  OTHER: they sit, lie or jump, are
    cut off lower, or something hides where they end.
    """

    FEET = "feet"
    BORDER = "border"
    THIGHS = "thighs"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class SegmentationFacts:
    """What `segmentation` found.

    coverage: the share of the photo, 0..1, where the matte is above one half.
    persons: how many kept persons the model tells apart; None if it does not.
    confidence: how far an ensemble's members, or the networks of a model, agree, 0..1; None if
        that is unknown.
    needs_review: whether they agree less than the recipe, or the model, requires.
    stronger: the model to reroute the stage to, if the recipe asks for that.
    any_subject: whether the matte shows whatever stands out, not people alone.
    found: all persons that the model tells apart, kept or not; None if it does not.
    lower_end: None if the model does not tell.
    outline_spread: how far apart two networks draw the outline at its median place, as a share of
        the photo's longest side; None if the model does not ask two.
    unclaimed_share: the area next to people that only one of them takes for a part of them, as a
        share of the people's area; None if the model does not ask two.
    attached: what was added to the kept persons; None if the model looks for no attached things.
    """

    coverage: float = 0.0
    persons: int | None = None
    confidence: float | None = None
    needs_review: bool = False
    stronger: str | None = None
    any_subject: bool = False
    found: tuple[DetectedPerson, ...] | None = None
    lower_end: LowerEnd | None = None
    outline_spread: float | None = None
    unclaimed_share: float | None = None
    attached: tuple[AttachedThing, ...] | None = None


def rate_faces(smiled: Smiles) -> Rating | None:
    """Return the rating of a photo; None without faces."""
    if not smiled.smiles:
        return None
    open_eyes = sum(
        is_open is True for eyes in smiled.eyes for is_open in (eyes.left_open, eyes.right_open)
    )
    return rate([smile.level for smile in smiled.smiles], open_eyes)


def count_people(segmented: SegmentationFacts, faces: Faces | None) -> int | None:
    """Return the number of kept persons; for a model that separates none, an estimate by faces.

    faces: None when they were not searched; then None for people whom the model does not separate.
    """
    if segmented.persons is not None:
        return segmented.persons
    if segmented.coverage < MIN_PEOPLE_SHARE:
        return 0
    least = 0 if segmented.any_subject else 1
    return None if faces is None else max(least, len(faces.faces))


@dataclass(frozen=True, slots=True)
class BackgroundTerms:
    """The terms of a background's score, each 0 to 1.

    mood: how well it matches the mood of the faces.  contrast: how well the people stand out from
    it.  harmony: how well its hues match clothes, hair and skin.  blending: how little remains of
    the old background in hair show on it.  variety: random, from the seed.
    """

    mood: float
    contrast: float
    harmony: float
    blending: float
    variety: float


@dataclass(frozen=True, slots=True)
class BackgroundCandidate:
    """A background that was considered; request it with `preset:NAME`.  score: 0 to 1."""

    name: str
    score: float
    terms: BackgroundTerms


@dataclass(frozen=True, slots=True)
class OutlineContrast:
    """The contrast of people to the background along their outline, in CIE L*a*b*.

    lightness: mean difference of L*.  chroma: mean distance in a* and b*.  weakest: distance in
    L*a*b* that four fifths of the outline exceed; about 2 is just visible.
    """

    lightness: float
    chroma: float
    weakest: float


@dataclass(frozen=True, slots=True)
class ChosenBackground:
    """The background that was used, and why.

    kind: keep, transparent, color, preset, blur or file; name: the preset's, or None.
    reason: a sentence for people, built from the deciding scores.
    candidates: the best five by score, the used one first; empty if the photo did not decide.
    light: the direction of the light on the people, -1 left to 1 right; 0 if not measured.
    blur: the strength of a blur, 0..1; 0 for other kinds.
    contrast: how far the people stand out; None for the photo's own background and transparency.
    """

    kind: str
    name: str | None
    keywords: tuple[str, ...]
    reason: str
    candidates: tuple[BackgroundCandidate, ...] = ()
    light: float = 0.0
    blur: float = 0.0
    contrast: OutlineContrast | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """The position of the photo on the picture's canvas.

    width, height: the canvas, in pixels.  scale: canvas pixels per pixel of the photo.
    left, top: the photo's upper left corner, in pixels of the canvas.
    """

    width: int
    height: int
    scale: float
    left: float
    top: float

    def place(self, point: Point) -> Point:
        """Return the position of a point of the photo on the canvas."""
        return self.left + self.scale * point[0], self.top + self.scale * point[1]


@dataclass(frozen=True, slots=True)
class FilterResult:
    """The outcome of a filter: whether it drew anything, and a reason for people."""

    name: str
    applied: bool
    reason: str


@dataclass(frozen=True, slots=True)
class CompositeFacts:
    """What `composite` decided and measured.

    background: None when nothing was composed.  frame: the position of the photo in all files.
    foreground: x, y, width, height around the people, in whole pixels; None without people.
    printability: how well the files print; None unless requested.
    filters: the outcomes of the requested filters, in order.
    """

    background: ChosenBackground | None = None
    frame: Frame | None = None
    foreground: tuple[int, int, int, int] | None = None
    printability: Printability | None = None
    filters: tuple[FilterResult, ...] = ()


_ADAPTERS: Final[Mapping[type, TypeAdapter[Any]]] = {
    kind: TypeAdapter(kind)
    for kind in (PreparedFacts, SegmentationFacts, Faces, Smiles, CompositeFacts)
}


def read_facts(result: Mapping[str, Any] | None, kind: type[Facts]) -> Facts | None:
    """Return the facts in a stored result of a stage; None without a result.

    Raises pydantic.ValidationError when the row holds something else.
    """
    if result is None:
        return None
    facts: Facts = _ADAPTERS[kind].validate_python(result["facts"])
    return facts
