"""The results of each stage, which later stages read: pictures and numbers only.

Every coordinate is in pixels of the upright photo, x to the right and y down, the origin
at the top left corner of the top left pixel. Array fields become artifacts in storage;
all other fields are kept in the stage's row. "left" and "right" are the person's own.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.pipeline import StageName
from smart_filter_shared.printability import Printability
from smart_filter_shared.rating import SmileLevel

# (H, W, 3) uint8, RGB, sRGB transfer curve.
Srgb8: TypeAlias = NDArray[np.uint8]
# (H, W) uint8: coverage by the subject, 0 none, 255 full; linear, not gamma-coded.
Matte8: TypeAlias = NDArray[np.uint8]
# The same in 65,535 steps.
Matte16: TypeAlias = NDArray[np.uint16]
# (H, W) uint8: the number of the person that covers most of a pixel, 1 the leftmost; 0 no person.
InstanceMap: TypeAlias = NDArray[np.uint8]

# A pixel shows a person when the matte is above one half. An integer: numpy would convert the
# matte to compare it with a float.
HALF_LEVEL: Final = 127
# A photo has no person when people cover less than this share of it, by the API contract.
MIN_PEOPLE_SHARE: Final = 0.005

Point: TypeAlias = tuple[float, float]

# Shares of a face's expression, summing to 1, in the order of
# `smart_filter_shared.catalog.emotions`.
Emotion: TypeAlias = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Photo:
    """The upload, decoded and turned upright.

    srgb: (H, W, 3) uint8 sRGB at full resolution, on white where the upload is transparent.
    format: the format of the upload: jpg, png, webp, avif, heic, gif, bmp or tiff.
    taken_at: by the camera's clock; read as UTC if it names no time zone.
    exif: the unparsed block from its TIFF header on; empty if the upload has none, or a long one.
    alpha: (H, W) uint8, the upload's own coverage; None if it is opaque.
    """

    srgb: Srgb8
    format: str
    taken_at: dt.datetime | None = None
    exif: bytes = b""
    alpha: Matte8 | None = None


class Edit(StrEnum):
    """A change of the photo that a file shows, as a sentence for its provenance."""

    BACKGROUND_REPLACED = "The background was replaced."
    BACKGROUND_REMOVED = "The background was removed."
    BACKGROUND_BLURRED = "The background was blurred."
    FILTERED = "Filters were drawn on the picture."
    RESIZED = "The picture was resized."
    CROPPED = "The picture was cropped or extended."


# Edits that put something else into the photo.
COMPOSING_EDITS: Final = frozenset({Edit.BACKGROUND_REPLACED, Edit.FILTERED})


@dataclass(frozen=True, slots=True)
class EncodedFile:
    """A finished file: its bytes, their media type, and its size in pixels.

    quality: 1..100; None where the format has none.
    blurhash: a short text from which a blurred preview is drawn; None when it was not requested.
    edits: what was changed, of a file that is to carry its provenance; None: it carries none.
    """

    content: bytes
    media_type: str
    width: int
    height: int
    format: str
    quality: int | None = None
    blurhash: str | None = None
    edits: tuple[Edit, ...] | None = None


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line drawn by a person: its corners and its width in pixels of the upright photo.

    keep: whether the line marks people.
    snap: what each point marks in place of the line, which then has no width: a small region of
        the photo, or a part of similar color; None for the line.
    """

    points: tuple[Point, ...]
    keep: bool
    width: float = 0
    snap: Literal["part", "region"] | None = None


@dataclass(frozen=True, slots=True)
class MatteDrawing:
    """A drawn correction of a matte: a complete mask, or strokes over the matte.

    mask: (H, W) uint8 at the upright photo's size, 255 people; None for strokes.
    """

    mask: Matte8 | None = None
    strokes: tuple[Stroke, ...] = ()


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face.

    box: x, y, width, height; score: the detector's confidence, 0..1.
    landmarks: right eye, left eye, nose, right mouth corner, left mouth corner.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: tuple[Point, Point, Point, Point, Point]


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
class PreparedPhoto:
    """The result of `prepare`.

    width, height: the upright photo's; format: the format of the upload.
    proxy_srgb: (h, w, 3) uint8 sRGB, the upright photo shrunk for models; x scales by
        width / w and y by height / h.
    proposals: faces found by a light detector; a better detector may find others.
    quarter_turns: how often the decoded photo was turned by 90° counter-clockwise to stand
        upright, 0 to 3.
    fingerprint: 64 bits that are alike for photos of one scene
        (smart_filter_shared.albums).
    taken_at: by the camera's clock.
    preview: the proxy as a JPEG without metadata, for display.
    """

    width: int
    height: int
    format: str
    proxy_srgb: Srgb8
    proposals: tuple[Face, ...]
    quarter_turns: int = 0
    fingerprint: int | None = None
    taken_at: dt.datetime | None = None
    preview: EncodedFile | None = None


@dataclass(frozen=True, slots=True)
class DetectedPerson:
    """A person that a model tells apart from the others in a photo.

    number: from left to right, 1 the leftmost, counting all persons.  box: x, y, width, height.
    kept: whether the recipe selects this person.
    """

    number: int
    box: tuple[float, float, float, float]
    kept: bool


@dataclass(frozen=True, slots=True)
class AttachedThing:
    """A thing that a person holds or wears, or a lost part of the person, added to the matte.

    box: x, y, width, height.  person: the number of its person; None if the model does not tell
    persons apart.
    """

    box: tuple[float, float, float, float]
    person: int | None


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The result of `segmentation`.

    matte: (h, w) uint8 at the proxy's size.
    coverage: the share of the photo, 0..1, where the matte of all persons, kept or not, is above
        one half; 0 when none is kept.
    persons: how many kept persons the model tells apart; None if it does not.
    confidence: how far an ensemble's members, or the networks of a model, agree, 0..1; None if
        that is unknown.
    needs_review: whether they agree less than the recipe, or the model, requires.
    stronger: the model to reroute the stage to, if the recipe asks for that.
    certain: whether a face or a body was recognized; if not, the matte may show something else.
    any_subject: whether the matte shows whatever stands out, not people alone.
    debug: a picture of the model's steps, if requested.
    owners: the person of each pixel, (h, w) uint8, if persons were requested one by one.
    found: all persons that the model tells apart, kept or not; None if it does not.
    attached: what was added to the kept persons; None if the model looks for no attached things.
    """

    matte: Matte8
    coverage: float
    persons: int | None
    confidence: float | None = None
    needs_review: bool = False
    stronger: str | None = None
    certain: bool = True
    any_subject: bool = False
    debug: EncodedFile | None = None
    owners: InstanceMap | None = None
    found: tuple[DetectedPerson, ...] | None = None
    attached: tuple[AttachedThing, ...] | None = None


@dataclass(frozen=True, slots=True)
class Faces:
    """The result of `face`: faces from left to right by the middle of their boxes."""

    faces: tuple[Face, ...]


@dataclass(frozen=True, slots=True)
class Smiles:
    """The result of `smile`: smile and eyes of each face of `Faces`, in the same order."""

    smiles: tuple[Smile, ...]
    eyes: tuple[Eyes, ...]


@dataclass(frozen=True, slots=True)
class ScoreTerms:
    """The terms of a background's score, 0..1 each (`backgrounds/scoring.py`)."""

    mood: float
    contrast: float
    harmony: float
    variety: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A background that was considered, its score 0..1, and the terms of the score."""

    name: str
    score: float
    terms: ScoreTerms


@dataclass(frozen=True, slots=True)
class ChosenBackground:
    """The background that was used, and why.

    kind: keep, transparent, color, preset, blur or file; name: the preset's, or None.
    reason: a sentence for people, built from the deciding scores.
    candidates: the best five by score, the used one first; empty if the photo did not decide.
    light: the direction of the light on the people, -1 left to 1 right; 0 if not measured.
    """

    kind: str
    name: str | None
    keywords: tuple[str, ...]
    reason: str
    candidates: tuple[Candidate, ...] = ()
    light: float = 0.0


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
class CompositeResult:
    """The result of `composite`: the files that the job requested.

    cutout: the people on a transparent background, with straight alpha.
    persons: a zip of one cutout per person, and of their positions in the photo.
    zip: a zip of the people's colors, without alpha, and of the matte.
    regions: the map of the photo's regions (`photo_regions.encode_map`).
    thumbnail: the image, small.
    frame: the position of the photo in all of them.
    foreground: x, y, width, height around the people, in whole pixels; None without people.
    printability: how well the files print; None unless requested.
    filters: the outcomes of the requested filters, in order.
    """

    image: EncodedFile | None
    matte: EncodedFile | None
    background: ChosenBackground | None
    cutout: EncodedFile | None = None
    persons: EncodedFile | None = None
    zip: EncodedFile | None = None
    regions: EncodedFile | None = None
    thumbnail: EncodedFile | None = None
    frame: Frame | None = None
    foreground: tuple[int, int, int, int] | None = None
    printability: Printability | None = None
    filters: tuple[FilterResult, ...] = ()


# The result of each stage; `Stage.result` names the field of an `Inputs` that requests it.
RESULT_TYPES: Final[Mapping[StageName, type]] = {
    StageName.PREPARE: PreparedPhoto,
    StageName.SEGMENTATION: Segmentation,
    StageName.FACE: Faces,
    StageName.SMILE: Smiles,
    StageName.COMPOSITE: CompositeResult,
}
