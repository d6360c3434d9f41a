"""The results of each stage with their pictures, which later stages read.

Array fields become artifacts in storage; the facts, which smart_filter_shared.results has with the
meaning of coordinates, are kept in the stage's row.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.pipeline import StageName
from smart_filter_shared.results import (
    CompositeFacts,
    Faces,
    Point,
    PreparedFacts,
    SegmentationFacts,
    Smiles,
)

# (H, W, 3) uint8, RGB, sRGB transfer curve.
Srgb8: TypeAlias = NDArray[np.uint8]
# (H, W, 4) uint8: sRGB and straight (not premultiplied) alpha.
Srgba8: TypeAlias = NDArray[np.uint8]
# Any shape.
Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]
Bytes: TypeAlias = NDArray[np.uint8]
Bools: TypeAlias = NDArray[np.bool_]
# (H, W) uint8: coverage by the subject, 0 none, 255 full; linear, not gamma-coded.
Matte8: TypeAlias = NDArray[np.uint8]
# The same in 65,535 steps.
Matte16: TypeAlias = NDArray[np.uint16]
# (H, W) uint8: the number of the person that covers most of a pixel, 1 the leftmost; 0 no person.
InstanceMap: TypeAlias = NDArray[np.uint8]

# A pixel shows a person when the matte is above one half. An integer: numpy would convert the
# matte to compare it with a float.
HALF_LEVEL: Final = 127
WHOLE_LEVEL: Final = 255
# Above a tenth, what it shows of the photo is visible.
SEEN_LEVEL: Final = 25


@dataclass(frozen=True, slots=True)
class Photo:
    """The upload, decoded and turned upright.

    srgb: (H, W, 3) uint8 sRGB at full resolution, on white where the upload is transparent.
    format: the format of the upload: jpg, png, webp, avif, heic, gif, bmp or tiff.
    taken_at: by the camera's clock; read as UTC if it names no time zone.
    exif: the unparsed block from its TIFF header on; empty if the upload has none, or a long one.
    alpha: (H, W) uint8, the upload's own coverage; None if it is opaque.
    quantum: as in `smart_filter_shared.results.CopyTraces`.
    """

    srgb: Srgb8
    format: str
    taken_at: dt.datetime | None = None
    exif: bytes = b""
    alpha: Matte8 | None = None
    quantum: float | None = None


class Edit(StrEnum):
    """A change of the photo that a file shows, as a sentence for its provenance."""

    FACES_REPLACED = "Faces were replaced by the same people's in other photos."
    BACKGROUND_REPLACED = "The background was replaced."
    BACKGROUND_REMOVED = "The background was removed."
    BACKGROUND_BLURRED = "The background was blurred."
    LIGHT_CORRECTED = "The light was corrected."
    FILTERED = "Filters were drawn on the picture."
    LOGO_ADDED = "A logo was drawn on the picture."
    RESIZED = "The picture was resized."
    CROPPED = "The picture was cropped or extended."


# Edits that put something else into the photo.
COMPOSING_EDITS: Final = frozenset(
    {Edit.FACES_REPLACED, Edit.BACKGROUND_REPLACED, Edit.FILTERED, Edit.LOGO_ADDED}
)


@dataclass(frozen=True, slots=True)
class EncodedFile:
    """A finished file: its bytes, their media type, and its size in pixels.

    quality: 1..100; None where the format has none.
    blurhash: a short text from which a blurred preview is drawn; None when it was not requested.
    edits: what was changed, of a file that is to carry its provenance; None: it carries none.
    swaps: the person of each replaced face, from left to right, and the number of the photo that
        the face is from; both from 1.
    """

    content: bytes
    media_type: str
    width: int
    height: int
    format: str
    quality: int | None = None
    blurhash: str | None = None
    edits: tuple[Edit, ...] | None = None
    swaps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line drawn by a person: its corners and its width in pixels of the upright photo.

    keep: whether the line marks people.
    snap: what the line marks: the small regions of the photo, or the parts of similar color, below
        its points; with a width, only what the line covers of them. None marks all it covers.
    """

    points: tuple[Point, ...]
    keep: bool
    width: float = 0
    snap: Literal["part", "region"] | None = None


@dataclass(frozen=True, slots=True)
class MatteDrawing:
    """A drawn correction of a matte: a complete mask, or strokes over the matte.

    mask: (H, W) uint8 at the upright photo's size, 255 people; None for strokes.
    as_sent: whether it is in the pixels of the photo as it was sent; a mask is then the matte
        exactly.
    """

    mask: Matte8 | None = None
    strokes: tuple[Stroke, ...] = ()
    as_sent: bool = False


@dataclass(frozen=True, slots=True)
class PreparedPhoto(PreparedFacts):
    """The result of `prepare`.

    proxy_srgb: (h, w, 3) uint8 sRGB, the upright photo shrunk for models; x scales by
        width / w and y by height / h.
    preview: the proxy as a JPEG without metadata, for display.
    """

    proxy_srgb: Srgb8 = field(kw_only=True)
    preview: EncodedFile | None = None


@dataclass(frozen=True, slots=True)
class Segmentation(SegmentationFacts):
    """The result of `segmentation`.

    matte: (h, w) uint8 at the proxy's size.
    debug: a picture of the model's steps, if requested.
    owners: the person of each pixel, (h, w) uint8, if persons were requested one by one.
    evidence: (h', w') uint8, small: where any network sees a person, or a thing that one holds, 0
        nowhere to 255; a blur stays away from it.  None where the matte is all that counts.
    """

    matte: Matte8 = field(kw_only=True)
    debug: EncodedFile | None = None
    owners: InstanceMap | None = None
    evidence: Matte8 | None = None


@dataclass(frozen=True, slots=True)
class CompositeResult(CompositeFacts):
    """The result of `composite`: the files that the job requested.

    cutout: the people on a transparent background, with straight alpha.
    persons: a zip of one cutout per person, and of their positions in the photo.
    zip: a zip of the people's colors, without alpha, and of the matte.
    regions: the map of the photo's regions (`photo_regions.encode_map`).
    thumbnail: the image, small.
    sheet: the image many times on a paper.
    """

    image: EncodedFile | None = None
    matte: EncodedFile | None = None
    cutout: EncodedFile | None = None
    persons: EncodedFile | None = None
    zip: EncodedFile | None = None
    regions: EncodedFile | None = None
    thumbnail: EncodedFile | None = None
    sheet: EncodedFile | None = None


# The result of each stage; `Stage.result` names the field of an `Inputs` that requests it.
RESULT_TYPES: Final[Mapping[StageName, type]] = {
    StageName.PREPARE: PreparedPhoto,
    StageName.SEGMENTATION: Segmentation,
    StageName.FACE: Faces,
    StageName.SMILE: Smiles,
    StageName.COMPOSITE: CompositeResult,
}
