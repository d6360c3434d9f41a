"""What each stage makes, and what the next ones read: pictures and numbers only.

Every coordinate is in pixels of the upright photo, x to the right and y down, the origin
at the top left corner of the top left pixel. Array fields become artifacts in storage;
all else is kept in the stage's row. "left" and "right" are the person's own.
"""

import datetime as dt
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.printability import Printability
from smart_filter_shared.rating import SmileLevel

# (H, W, 3) uint8, RGB, sRGB transfer curve.
Srgb8: TypeAlias = NDArray[np.uint8]
# (H, W) uint8: coverage by the subject, 0 none, 255 whole; linear, not gamma-coded.
Matte8: TypeAlias = NDArray[np.uint8]
# The same in 65,535 steps.
Matte16: TypeAlias = NDArray[np.uint16]
# (H, W) uint8: the number of the person that a pixel shows most of, 1 the leftmost; 0 nobody.
Owners: TypeAlias = NDArray[np.uint8]

Point: TypeAlias = tuple[float, float]

# Shares of a face's expression, summing to 1, in the order of `smart_filter_shared.emotions`.
Emotion: TypeAlias = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Photo:
    """The upload, decoded and turned upright.

    srgb: (H, W, 3) uint8 sRGB at full resolution.
    format: what it came as: jpg, png, webp, avif or heic.
    taken_at: by the camera's clock, which counts as UTC where it names no zone.
    exif: as it came, from its TIFF header on, unread; empty when it has none, or a long one.
    """

    srgb: Srgb8
    format: str
    taken_at: dt.datetime | None = None
    exif: bytes = b""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A finished file: its bytes, their media type, and its size in pixels.

    quality: 1..100; None where the format has none.
    blurhash: a few letters that a blurred preview is drawn from; None when nobody asked.
    """

    content: bytes
    media_type: str
    width: int
    height: int
    format: str
    quality: int | None = None
    blurhash: str | None = None


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line that somebody drew: its corners and its width in pixels of the upright photo.

    keep: whether what it covers is people.
    """

    points: tuple[Point, ...]
    width: float
    keep: bool


@dataclass(frozen=True, slots=True)
class Drawn:
    """What somebody drew to correct a matte: all of it anew, or strokes over it.

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

    emotion: what else it shows; None where a model does not read that, or cannot here.
    """

    level: SmileLevel
    score: float
    emotion: Emotion | None = None


@dataclass(frozen=True, slots=True)
class Eyes:
    """Whether each eye is open; None when it cannot be told, which counts as not open."""

    left_open: bool | None
    right_open: bool | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `prepare` makes.

    width, height: the upright photo's; format: what it came as.
    proxy_srgb: (h, w, 3) uint8 sRGB, the upright photo shrunk for models; x scales by
        width / w and y by height / h.
    proposals: faces that a light detector sees; a better detector may differ.
    quarter_turns: how often the decoded photo was turned by 90° counter-clockwise to stand
        upright, 0 to 3.
    fingerprint: 64 bits that are alike for photos of one scene (smart_filter_shared.albums); None
        in what older workers have stored.
    taken_at: by the camera's clock.
    preview: the proxy as a JPEG without metadata, to be looked at; None in what older workers
        have stored.
    """

    width: int
    height: int
    format: str
    proxy_srgb: Srgb8
    proposals: tuple[Face, ...]
    quarter_turns: int = 0
    fingerprint: int | None = None
    taken_at: dt.datetime | None = None
    preview: Encoded | None = None


@dataclass(frozen=True, slots=True)
class PersonFound:
    """A person that a model tells apart from the others in a photo.

    number: from left to right, 1 the leftmost, whoever is kept.  box: x, y, width, height.
    kept: whether the recipe wants this one.
    """

    number: int
    box: tuple[float, float, float, float]
    kept: bool


@dataclass(frozen=True, slots=True)
class Segmented:
    """What `segmentation` makes.

    matte: (h, w) uint8 at the proxy's size.
    coverage: the share of the photo, 0..1, where the matte is above one half.
    persons: how many of those that are kept the model tells apart; None when it does not.
    confidence: how far an ensemble's members agree, 0..1; None for a single model.
    needs_review: whether they agree less than the recipe wants.
    stronger: the model that should do it instead, when the recipe wants that then.
    debug: a picture of the model's steps, when it was asked for.
    owners: whose each pixel is, (h, w) uint8, when persons were asked for one by one.
    found: all whom the model tells apart, kept or not; None when it does not.
    """

    matte: Matte8
    coverage: float
    persons: int | None
    confidence: float | None = None
    needs_review: bool = False
    stronger: str | None = None
    debug: Encoded | None = None
    owners: Owners | None = None
    found: tuple[PersonFound, ...] | None = None


@dataclass(frozen=True, slots=True)
class Faces:
    """What `face` makes: faces from left to right by the middle of their boxes."""

    faces: tuple[Face, ...]


@dataclass(frozen=True, slots=True)
class Smiles:
    """What `smile` makes: for each face of `Faces`, in the same order, its smile and eyes."""

    smiles: tuple[Smile, ...]
    eyes: tuple[Eyes, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """What makes a background's score, 0..1 each (`backgrounds/scoring.py`)."""

    mood: float
    contrast: float
    harmony: float
    variety: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A background that could have been used, its score 0..1, and what made it."""

    name: str
    score: float
    terms: Terms


@dataclass(frozen=True, slots=True)
class Chosen:
    """The background that was used, and why.

    kind: keep, transparent, color, preset, blur or file; name: the preset's, or None.
    reason: a sentence for people, built from the scores that decided.
    candidates: the best five by score, the one that is used first; none where the photo did
        not decide.
    light: where the people's light comes from, -1 left to 1 right; 0 where nobody looked.
    """

    kind: str
    name: str | None
    keywords: tuple[str, ...]
    reason: str
    candidates: tuple[Candidate, ...] = ()
    light: float = 0.0


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the photo lies on the picture's canvas.

    width, height: the canvas, in pixels.  scale: pixels of the canvas a pixel of the photo.
    left, top: where the photo's upper left corner lies, in pixels of the canvas.
    """

    width: int
    height: int
    scale: float
    left: float
    top: float

    def place(self, point: Point) -> Point:
        """Return where a point of the photo lies on the canvas."""
        return self.left + self.scale * point[0], self.top + self.scale * point[1]


@dataclass(frozen=True, slots=True)
class Filtered:
    """What became of a filter: whether it drew anything, and what, or why not, for people."""

    name: str
    applied: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Composited:
    """What `composite` makes: the files that the job was asked for.

    cutout: the people on nothing, with straight alpha, whatever the background.
    persons: a zip of each of them on nothing, and of where in the photo they are.
    zip: one of their colours, without alpha, and of the matte.
    thumbnail: the image, small.
    frame: where the photo lies in all of them.
    foreground: x, y, width, height around the people in them, in whole pixels; None without.
    printability: how well they print; None unless faces and eyes were looked at.
    filters: what became of those that were asked for, in order.
    """

    image: Encoded | None
    matte: Encoded | None
    background: Chosen | None
    cutout: Encoded | None = None
    persons: Encoded | None = None
    zip: Encoded | None = None
    thumbnail: Encoded | None = None
    frame: Frame | None = None
    foreground: tuple[int, int, int, int] | None = None
    printability: Printability | None = None
    filters: tuple[Filtered, ...] = ()
