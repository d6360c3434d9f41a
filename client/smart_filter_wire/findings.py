"""What was found in a photo and decided for its picture; how a take was composed of several.

Every coordinate is in pixels of the upright photo, x to the right and y down, the origin at the top
left corner of the top left pixel. "left" and "right" are the person's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from smart_filter_wire.formats import Landmarks, Pixels, RoundedBox, Scale, Score, described
from smart_filter_wire.words import SmileLevel

_BOX = described("x, y, width, height")

# What an album composes in place of a number of its photos.
TAKE: Final = "take"


@dataclass(frozen=True, slots=True)
class Smile:
    """How much a face smiles; score: 0 to 1."""

    level: SmileLevel
    score: Score


@dataclass(frozen=True, slots=True)
class Eyes:
    """Whether the person's own left and right eye are open; null when it cannot be determined."""

    left_open: bool | None
    right_open: bool | None


@dataclass(frozen=True, slots=True)
class Face:
    """One face, in pixels of the upright photo.

    added: whether a user added it.

    Landmarks: right eye, left eye, nose, right and left mouth corner.
    Emotion: the shares of neutral, happiness, surprise, sadness, anger, disgust, fear and contempt,
    which sum to 1; null when the smile model does not rate them, or emotions are turned off.
    """

    box: RoundedBox = field(metadata=_BOX)
    score: Score
    landmarks: Landmarks
    smile: Smile
    emotion: Mapping[str, float] | None = field(default=None, kw_only=True)
    eyes: Eyes
    added: bool = False


class PersonRole(StrEnum):
    """What a person is in a photo; recipes that name no numbers keep subjects only.

    BYSTANDER: one without a face, who is not a main person of a photo of people with faces.
    POSSIBLE: what only one network sees as a person.
    """

    SUBJECT = "subject"
    BYSTANDER = "bystander"
    POSSIBLE = "possible"


@dataclass(frozen=True, slots=True)
class Person:
    """A person whom the model separates from the others, in pixels of the upright photo.

    number: the number for `persons` of a recipe, 1 for the leftmost; the same in derived jobs with
    the same `segmentation` and `roi`. The possible ones come after all others.
    """

    number: int = field(metadata={"ge": 1})
    box: RoundedBox = field(metadata=_BOX)
    kept: bool = field(
        metadata=described("Whether the recipe's `persons` includes this person"),
    )
    role: PersonRole = field(
        default=PersonRole.SUBJECT,
        metadata=described(
            "`bystander`: shows no face and is no main person of a photo of people with "
            "faces; `possible`: only one network sees a person. A recipe keeps both by their "
            "numbers only"
        ),
    )


@dataclass(frozen=True, slots=True)
class AttachedThing:
    """A thing that a person holds or wears, or a lost part of the person, that the model added.

    All in pixels of the upright photo.
    """

    box: RoundedBox = field(metadata=_BOX)
    person: int | None = field(
        metadata=described(
            "The number of its person; null when the model does not separate persons", ge=1
        )
    )


@dataclass(frozen=True, slots=True)
class Rating:
    """The rating with every term: score = shares.smile × … + shares.eyes × ….

    points: 0 to 100, for people and ranks: the same, but over the known eyes only.
    """

    score: Score
    avg_smiling_score: Score
    open_eye_ratio: Score
    faces: int
    open_eyes: int
    known_eyes: int
    points: int
    weights: Mapping[SmileLevel, float]
    shares: Mapping[str, float]


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
    """The background and why it was chosen; until then, the requested one."""

    kind: str
    name: str | None
    keywords: tuple[str, ...]
    reason: str | None
    candidates: tuple[BackgroundCandidate, ...] = field(
        default=(),
        metadata=described(
            "The five best backgrounds when it was chosen automatically, the chosen one first"
        ),
    )
    contrast: OutlineContrast | None = field(
        default=None,
        metadata=described(
            "Null before it is drawn, for the photo's own background and transparency"
        ),
    )


@dataclass(frozen=True, slots=True)
class Frame:
    """Position of the photo in the image: photo (x, y) is at (left + scale·x, top + scale·y).

    foreground: x, y, width and height of the box around the people in the image; null without
    people, or when they were not detected.
    """

    width: int
    height: int
    scale: Scale
    left: Pixels
    top: Pixels
    foreground: tuple[int, ...] | None = field(metadata={"min_length": 4, "max_length": 4})


@dataclass(frozen=True, slots=True)
class AppliedFilter:
    """The result of a requested filter; null until it is known.

    reason: what was drawn, or why nothing was, as text for people.
    """

    name: str
    applied: bool | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class TakePerson:
    """A person of a take.

    person: from left to right, from 1.  box: x, y, width and height of the face in the take's
    photo.  items: whose face of this person fits, that of the base first.
    """

    person: int
    box: RoundedBox
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TakeSwap:
    """A face from another photo than the base; reason: why."""

    person: int
    item: int
    reason: str


@dataclass(frozen=True, slots=True)
class TakeReport:
    """How a take was composed; items are those of its batch.

    base: the item of the photo that gets the faces; null until the take is composed.
    fallback: why it is that photo, with no other face.
    notes: why other photos or better faces were not used.
    """

    base: int | None = None
    swaps: tuple[TakeSwap, ...] = ()
    people: tuple[TakePerson, ...] = ()
    fallback: str | None = None
    notes: tuple[str, ...] = ()
