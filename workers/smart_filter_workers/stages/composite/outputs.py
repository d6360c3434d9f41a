"""Encode the files that a job asks for, as its recipe says, and list what they change."""

import bisect
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from smart_filter_shared.recipe import (
    BackgroundKind,
    DocumentPhoto,
    Edge,
    Effort,
    Format,
    Output,
    Provenance,
    Recipe,
)
from smart_filter_shared.recipe.framing import DOTS_PER_INCH
from smart_filter_shared.results import Frame
from smart_filter_wire.findings import AppliedFilter
from smart_filter_workers import images
from smart_filter_workers.images import EncodingOptions, encoding, previews
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import (
    COMPOSING_EDITS,
    WHOLE_LEVEL,
    CompositeResult,
    Edit,
    EncodedFile,
    Floats,
    InstanceMap,
    Matte8,
    Srgb8,
    Srgba8,
)
from smart_filter_workers.stages.composite import background
from smart_filter_workers.stages.composite.cleanup import harden_matte
from smart_filter_workers.stages.composite.document import print_sheet
from smart_filter_workers.stages.composite.models.base import Compositor, CutOut

# Names of the files as in remove.bg's archives.
COLORS_FILE, MATTE_FILE = "color.jpg", "alpha.png"
_STRIP_ROWS: Final = 128
# Steps from 255 to 65,535 levels: both ends stay the same.
_STEPS: Final = 257

_EDITS = {
    BackgroundKind.BLUR: Edit.BACKGROUND_BLURRED,
    BackgroundKind.TRANSPARENT: Edit.BACKGROUND_REMOVED,
}

INDEX_FILE: Final = "persons.json"
# Pixels with less coverage than this, of 255, are outside a person's outline.
_SEEN_FROM: Final = 26
_FINEST: Final = 100


@dataclass(frozen=True, slots=True)
class Origin:
    """What a file tells of its photo.

    exif: the photo's.  size: its width and height in pixels.  frame: its place in the file.
    swaps: its replaced faces, as in EncodedFile.
    """

    exif: bytes
    size: tuple[int, int]
    frame: Frame
    swaps: tuple[tuple[int, int], ...] = ()


def add_picture_files(
    made: CompositeResult,
    pixels: Srgb8 | Srgba8,
    recipe: Recipe,
    origin: Origin,
    changes: Sequence[Edit],
) -> CompositeResult:
    """Return the result with the requested files of the people on their background.

    pixels: (H, W, 3), or (H, W, 4) with transparency.  changes: of the background, and drawings.
    """
    if Output.IMAGE in recipe.outputs:
        image = _picture(pixels, recipe, origin, changes)
        made = replace(made, image=replace(image, blurhash=previews.compute_blurhash(pixels)))
    document = recipe.framing.document
    if Output.SHEET in recipe.outputs and document is not None:
        sheet = print_sheet.draw(pixels[..., :3], document, recipe.framing.sheet)
        made = replace(made, sheet=images.encode(sheet, _printed(document, pixels.shape[0])))
    if Output.THUMBNAIL in recipe.outputs:
        made = replace(made, thumbnail=previews.encode_thumbnail(pixels))
    return made


def add_cut_out_files(
    made: CompositeResult,
    compositor: Compositor,
    cut: CutOut,
    whole: CutOut,
    *,
    owners: InstanceMap | None,
    recipe: Recipe,
    origin: Origin,
) -> CompositeResult:
    """Return the result with the requested files of the people alone.

    cut: on the canvas; whole: the same at the photo's size.  owners: (h, w) uint8.
    """
    asked = set(recipe.outputs)
    if Output.MATTE in asked:
        made = replace(made, matte=_matte(cut.matte, recipe))
    alone: Srgba8 | None = None
    if {Output.CUTOUT, Output.ZIP} & asked:
        alone = _cut_out_pixels(compositor, cut)
        if Output.CUTOUT in asked:
            cutout = _picture(alone, recipe, origin, [Edit.BACKGROUND_REMOVED])
            made = replace(made, cutout=cutout)
        if Output.ZIP in asked:
            made = replace(made, zip=_layers(alone, cut, recipe))
    if Output.PERSONS in asked and owners is not None:
        rgba = alone if alone is not None and cut is whole else _cut_out_pixels(compositor, whole)
        made = replace(made, persons=zip_persons(rgba, owners, recipe))
    return made


def list_changes(
    drawn: BackgroundKind | None,
    filters: Sequence[AppliedFilter],
    *,
    is_lit: bool,
    has_logo: bool,
) -> list[Edit]:
    """Return the edits of the background and by drawings.

    drawn: the kind of another background; None for the photo's own.  is_lit: whether its light was
    corrected.
    """
    changes: list[Edit] = []
    if drawn is not None:
        changes = [_EDITS.get(drawn, Edit.BACKGROUND_REPLACED)]
    if is_lit:
        changes = [Edit.LIGHT_CORRECTED]
    if any(filter_.applied for filter_ in filters):
        changes.append(Edit.FILTERED)
    if has_logo:
        changes.append(Edit.LOGO_ADDED)
    return changes


def _cut_out_pixels(compositor: Compositor, cut: CutOut) -> Srgba8:
    """Return the people on a transparent ground, (H, W, 4)."""
    height, width = cut.matte.shape
    return compositor.over(cut, background.make_transparent(width=width, height=height))


def _picture(
    pixels: Srgb8 | Srgba8, recipe: Recipe, origin: Origin, changes: Sequence[Edit]
) -> EncodedFile:
    """Return the picture in the recipe's format, within its maximum of bytes.

    Transparent pictures, such as a cut-out, are encoded as PNG when JPEG is requested.
    changes: what the picture shows differently from the photo, besides its frame and its faces.
    """
    transparent = pixels.shape[2] > 3  # noqa: PLR2004 - red, green, blue
    format_ = recipe.format
    marks = recipe.files.provenance != Provenance.NONE
    edits = tuple(_list_edits(origin, changes))
    if format_ == Format.AUTO or (transparent and format_ == Format.JPG):
        format_ = Format.PNG if transparent else Format.JPG
    document = recipe.framing.document
    dots_per_inch = DOTS_PER_INCH if recipe.framing.size.paper else None
    manner = EncodingOptions(
        str(format_),
        quality=recipe.quality,
        small=recipe.files.effort == Effort.SMALL,
        exif=origin.exif if recipe.files.keep_metadata else b"",
        dots_per_inch=dots_per_inch
        if document is None
        else document.dots_per_inch(pixels.shape[0]),
        xmp=encoding.make_packet(encoding.COMPOSITE)
        if marks and COMPOSING_EDITS & set(edits)
        else b"",
    )
    if marks:
        file = images.encode(pixels, manner)
        return replace(file, edits=edits, swaps=origin.swaps)
    most_bytes = recipe.files.max_bytes
    if most_bytes is None:
        return images.encode(pixels, manner)

    def encode(quality: int) -> EncodedFile:
        finer = replace(manner, quality=quality)
        return images.encode_to_fit(pixels, finer, most_bytes=most_bytes)

    file = encode(recipe.quality)
    height, width = pixels.shape[:2]
    least_bytes = 0 if document is None else document.least_bytes(width, height)
    if len(file.content) < least_bytes and file.quality is not None:
        finer = range(recipe.quality, _FINEST)
        place = bisect.bisect_left(finer, least_bytes, key=lambda each: len(encode(each).content))
        file = encode(recipe.quality + place)
    return file


def _printed(document: DocumentPhoto, height_px: int) -> EncodingOptions:
    """Return how a sheet of a document's photos of this height is encoded."""
    return EncodingOptions("jpg", quality=95, dots_per_inch=document.dots_per_inch(height_px))


def _matte(coverage: Matte8, recipe: Recipe) -> EncodedFile:
    """Return the encoded matte in the recipe's bit depth; it has 255 levels in both."""
    small = recipe.files.effort == Effort.SMALL
    if recipe.files.matte_bits == 8:  # noqa: PLR2004 - bits
        return images.encode_png(coverage, small=small)
    return images.encode_png(np.multiply(coverage, _STEPS, dtype=np.uint16))


def _layers(alone: Srgba8, cut: CutOut, recipe: Recipe) -> EncodedFile:
    """Return a zip of the people's colors, without alpha, and of the matte.

    Pixels without people have the nearest edge color: JPEG would smear black into the edges.
    """
    height, width = cut.matte.shape
    near = cv2.convertScaleAbs(_spread_colors(cut))
    colors = cv2.resize(near, (width, height)).astype(np.uint8, copy=False)
    for top in range(0, height, _STRIP_ROWS):  # strips, because a large picture leaves no memory
        rows = slice(top, top + _STRIP_ROWS)
        np.copyto(colors[rows], alone[rows, :, :3], where=alone[rows, :, 3:] > 0)
    small = recipe.files.effort == Effort.SMALL
    files = {
        COLORS_FILE: images.encode_jpeg(colors, quality=recipe.quality, small=small).content,
        MATTE_FILE: images.encode_png(cut.matte, small=small).content,
    }
    return EncodedFile(images.make_zip(files), "application/zip", width, height, "zip")


def _spread_colors(cut: CutOut) -> Floats:
    """Return the map of the people's colors, (h, w, 3) float32, continued beyond the people.

    Each pixel of the map without people gets the color of the nearest one with some.
    """
    height, width = cut.people_srgb.shape[:2]
    coverage = cv2.resize(cut.matte, (width, height), interpolation=cv2.INTER_AREA)
    is_empty = (coverage == 0).astype(np.uint8)
    if is_empty.all():
        return cut.people_srgb
    # A label for each pixel that is 0 in the mask, and of the nearest such pixel elsewhere.
    _, labels = cv2.distanceTransformWithLabels(
        is_empty, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    inside = is_empty == 0
    palette = np.zeros((int(labels.max()) + 1, 3), np.float32)
    palette[labels[inside]] = cut.people_srgb[inside]
    return palette[labels]


def _list_edits(origin: Origin, changes: Sequence[Edit]) -> Iterator[Edit]:
    """Yield the changes, after those of the photo's faces and before those of its frame."""
    if origin.swaps:
        yield Edit.FACES_REPLACED
    yield from changes
    frame, (width, height) = origin.frame, origin.size
    if frame.scale != 1:
        yield Edit.RESIZED
    shown = (round(frame.scale * width), round(frame.scale * height), 0, 0)
    if shown != (frame.width, frame.height, round(frame.left), round(frame.top)):
        yield Edit.CROPPED


@dataclass(frozen=True, slots=True)
class Person:
    """One person: number, 1 is the leftmost; x, y, width, height in pixels of the photo."""

    number: int
    box: tuple[int, int, int, int]
    rgba: Srgba8


def zip_persons(rgba: Srgba8, owners: InstanceMap, recipe: Recipe) -> EncodedFile:
    """Return a zip of cropped `person-1.png` and so on, and an index of their positions.

    rgba: (H, W, 4), all people on a transparent ground, as large as the photo; owners: (h, w)
    uint8.
    """
    small = recipe.files.effort == Effort.SMALL
    files, index = {}, []
    for person in split_persons(rgba, owners, hard=recipe.edge == Edge.HARD):
        name = f"person-{person.number}.png"
        files[name] = images.encode_png(person.rgba, small=small).content
        index.append({"number": person.number, "file": name, "box": person.box})
    height, width = rgba.shape[:2]
    listed = {"photo": {"width": width, "height": height}, "persons": index}
    files[INDEX_FILE] = json.dumps(listed).encode()
    return EncodedFile(images.make_zip(files), "application/zip", width, height, "zip")


def split_persons(rgba: Srgba8, owners: InstanceMap, *, hard: bool = False) -> Iterator[Person]:
    """Yield each person, by number, as a part of the picture of all of them.

    hard: whether each pixel belongs to one person, wholly.

    An edge pixel without an owner belongs to the nearest one.
    """
    numbers = [int(number) for number in np.unique(owners) if number]
    if not numbers:
        return
    nearest = _nearest(owners)
    size = (rgba.shape[1], rgba.shape[0])
    for number in numbers:
        share = np.where(nearest == number, np.uint8(WHOLE_LEVEL), np.uint8(0))
        if len(numbers) > 1:
            share = np.asarray(cv2.resize(share, size, interpolation=cv2.INTER_LINEAR), np.uint8)
            if hard:
                share = harden_matte(share)
            alpha: Matte8 = np.asarray(
                cv2.multiply(rgba[..., 3], share, scale=1 / WHOLE_LEVEL), dtype=np.uint8
            )
        else:
            alpha = rgba[..., 3]
        x, y, width, height = cv2.boundingRect(cv2.inRange(alpha, _SEEN_FROM, WHOLE_LEVEL))
        if width:
            part = (slice(y, y + height), slice(x, x + width))
            cut = np.dstack([rgba[part][..., :3], alpha[part]])
            yield Person(number, (x, y, width, height), cut)


def _nearest(owners: InstanceMap) -> InstanceMap:
    """Return the owner of each pixel; for a pixel without one, the nearest owner."""
    unowned = (owners == 0).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(
        unowned, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Labels number the owned pixels; map each label to its pixel's owner.
    by_label = np.zeros(int(labels.max()) + 1, np.uint8)
    owned = unowned == 0
    by_label[labels[owned]] = owners[owned]
    return by_label[labels]
