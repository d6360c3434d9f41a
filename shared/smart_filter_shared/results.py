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

from smart_filter_shared.rating import Rating, SmileLevel, rate
from smart_filter_shared.typed_json import read_as
from smart_filter_wire import findings, jobs
from smart_filter_wire.findings import AppliedFilter, AttachedThing, Eyes, Person
from smart_filter_wire.formats import FaceBox, Point
from smart_filter_wire.printability import DocumentReport, Printability

# A photo has no person when people cover less than this share of it, by the API contract.
MIN_PEOPLE_SHARE: Final = 0.005

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

    box: FaceBox
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
class Head:
    """How a head is held, by the points of its face; angles in degrees, 0 straight ahead.

    chin: its lowest row, in its middle column.  eyes: the middle between both.  hairline: its
    middle.  yaw: above 0 to the person's right; pitch: above 0
    downward; roll: above 0 clockwise on the picture.
    mouth_open: from lip to lip, in distances of the outer corners of the eyes.
    """

    chin: Point
    eyes: Point
    hairline: Point
    yaw: float
    pitch: float
    roll: float
    mouth_open: float


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """How well one face is seen in the proxy; what is not measured is None.

    turn: 0 straight ahead, the tangent of the head's yaw times about 0.6.
    blur_px: as in `smart_filter_wire.printability.FacePrint`.
    grain: noise in levels of 255; features of a small face count as noise.
    brightest: the luma that a twentieth of the pixels reaches, 0..1.
    clipped: share of pixels with a clipped red, green or blue, 0..1.
    head: None if the models find no points on the face.
    """

    turn: float = 0.0
    blur_px: float | None = None
    grain: float | None = None
    brightest: float | None = None
    clipped: float | None = None
    head: Head | None = None


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
class CopyTraces:
    """What editing and storing again left in a photo (`smart_filter_shared.copies`).

    shorter_px: its shorter side, without bars.
    quantum: mean step of the JPEG's low frequencies, in levels; None for another format.
    blocks, crispness: how visible the blocks of a JPEG are, and its fine detail.
    frame: share of the picture that black or white bars take; plain_corners: whether all its
        corners are black, or white.
    edges: where it has edges, 16 × 16 bytes in hexadecimal.
    was_turned: whether it lay on its side.  is_from_camera: whether a camera's time is in the file.
    """

    shorter_px: int
    quantum: float | None
    blocks: float
    crispness: float
    frame: float
    plain_corners: bool
    edges: str
    was_turned: bool = False
    is_from_camera: bool = False


@dataclass(frozen=True, slots=True)
class PreparedFacts(jobs.Photo):
    """What `prepare` found.

    width, height: the upright photo's; format: the format of the upload.
    quarter_turns: how often the decoded photo was turned by 90° counter-clockwise to stand
        upright, 0 to 3.
    proposals: faces found by a light detector; a better detector may find others.
    fingerprint: 64 bits that are alike for photos of one scene
        (smart_filter_shared.albums).
    taken_at: by the camera's clock.
    traces: by which the best of several copies is chosen.
    """

    proposals: tuple[Face, ...] = ()
    fingerprint: int | None = None
    taken_at: dt.datetime | None = None
    traces: CopyTraces | None = None


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
    found: tuple[Person, ...] | None = None
    lower_end: LowerEnd | None = None
    outline_spread: float | None = None
    unclaimed_share: float | None = None
    attached: tuple[AttachedThing, ...] | None = None


def rate_faces(smiled: Smiles) -> Rating | None:
    """Return the rating of a photo; None without faces."""
    if not smiled.smiles:
        return None
    return rate([smile.level for smile in smiled.smiles], smiled.eyes)


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
class ChosenBackground(findings.ChosenBackground):
    """The background that was used, and why.

    kind: keep, transparent, color, preset, blur or file; name: the preset's, or None.
    reason: a sentence for people, built from the deciding scores.
    candidates: the best five by score, the used one first; empty if the photo did not decide.
    light: the direction of the light on the people, -1 left to 1 right; 0 if not measured.
    blur: the strength of a blur, 0..1; 0 for other kinds.
    contrast: how far the people stand out; None for the photo's own background and transparency.
    """

    reason: str
    light: float = 0.0
    blur: float = 0.0


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
class CompositeFacts:
    """What `composite` decided and measured.

    background: None when nothing was composed.  frame: the position of the photo in all files.
    foreground: x, y, width, height around the people, in whole pixels; None without people.
    printability: how well the files print; None unless requested.
    document_report: whether the picture suits the recipe's document; None without one.
    filters: the outcomes of the requested filters, in order.
    """

    background: ChosenBackground | None = None
    frame: Frame | None = None
    foreground: tuple[int, int, int, int] | None = None
    printability: Printability | None = None
    document_report: DocumentReport | None = None
    filters: tuple[AppliedFilter, ...] = ()


def read_facts(result: Mapping[str, Any] | None, kind: type[Facts]) -> Facts | None:
    """Return the facts in a stored result of a stage; None without a result.

    Raises pydantic.ValidationError when the row holds something else.
    """
    return None if result is None else read_as(kind, result["facts"])
