"""HEIC, the photos of many phones: checked, then decoded by libheif.

A few kilobytes can name a picture of thousands of large tiles, or overlay one picture on itself ten
thousand times. So all parts of the photo are added up before any of it is decoded.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Final

import numpy as np
import pi_heif
from PIL import Image

from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable
from smart_filter_shared.security import isobmff
from smart_filter_workers.images.heif import hevc
from smart_filter_workers.images.heif.heif_items import (
    BoundedFile,
    ItemEntry,
    extract_tiff,
    read_contents,
    read_entries,
)
from smart_filter_workers.images.heif.heif_properties import (
    TRANSFORMS,
    Property,
    Transform,
    read_color,
    read_primary,
    read_properties,
    read_transforms,
)
from smart_filter_workers.images.metadata.code_points import ColorDescription
from smart_filter_workers.images.metadata.icc_profiles import flatten_to_srgb
from smart_filter_workers.results import Matte8, Srgb8

# Limit of decoded pixels per accepted pixel: tiles may extend over the photo's right and lower
# borders, and alpha is a picture of its own.
_MAX_DECODE_RATIO: Final = 2.2
# A photo's tiles are 512 pixels wide; a hundred megapixels need four hundred of them.
_MAX_REFERENCES: Final = 10_000
_MAX_DEPTH: Final = 8
_CODED, _GRID, _OVERLAY, _SAME = b"hvc1", b"grid", b"iovl", b"iden"
_EXIF: Final = b"Exif"
# The parts of a picture, its alpha, and whether its colors are multiplied with it.
_PIXEL_REFERENCES: Final = frozenset({b"dimg", b"auxl", b"prem"})
_ALPHA: Final = (
    b"urn:mpeg:hevc:2015:auxid:1\0",
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0",
)
# Errors that libheif's wrapper raises on bad bytes; any other is a bug here.
_PI_HEIF_ERRORS: Final = (
    OSError,
    ValueError,
    SyntaxError,
    RuntimeError,
    EOFError,
    IndexError,  # a file without pictures
)


def decode(
    content: bytes, *, most_pixels: int, most_side_px: int
) -> tuple[Srgb8, Matte8 | None, bytes]:
    """Return the main picture upright, (H, W, 3) uint8 sRGB over white, its alpha, and its EXIF.

    The alpha is (H, W) uint8, None for an opaque picture.

    The picture's orientation is set by its properties, never by EXIF (ISO/IEC 23008-12, 6.5.10 and
    annex A).
    Raises ImageTooLarge for more than `most_pixels`, a side above `most_side_px`, or when far more
    must be decoded for them; ImageUnreadable when it is not a whole HEIC.
    """
    picture_file = sanitize(content, most_pixels=most_pixels)
    color = picture_file.color
    is_deep = color is not None and color.is_hdr
    try:
        file = pi_heif.open_heif(
            picture_file.content, convert_hdr_to_8bit=not is_deep, hdr_to_16bit=True
        )
        picture = file[file.primary_index]
        width, height = picture.size
        if width * height > most_pixels:
            raise ImageTooLarge(f"{width}×{height} pixels; at most {most_pixels} are accepted")
        if max(width, height) > most_side_px:
            raise ImageTooLarge(
                f"{width}×{height} pixels; at most {most_side_px} a side are accepted"
            )
        icc = picture.info.get("icc_profile") or b""
        # Copy: the picture's memory is freed with it, even while arrays refer to it.
        samples = np.array(picture)
        del picture, file
    except _PI_HEIF_ERRORS as error:
        raise ImageUnreadable(f"not a whole HEIC: {error}") from error
    if samples.ndim == 2:  # noqa: PLR2004 - gray of a color format; its profile is for colors
        samples = np.stack([samples] * 3, axis=-1)
    deep = samples[..., :3] if samples.dtype == np.uint16 else None
    image = Image.fromarray(samples if deep is None else (samples >> 8).astype(np.uint8))
    srgb, alpha = flatten_to_srgb(image, icc, description=color, deep=deep)
    for transform in picture_file.transforms:
        srgb = transform.apply(srgb)
        alpha = None if alpha is None else transform.apply(alpha)
    return srgb, alpha, picture_file.exif


@dataclass(frozen=True, slots=True)
class SanitizedFile:
    """A file with only its main picture, not cropped or turned.

    transforms: what is to be done to its pixels.  exif: from its TIFF header on; may be empty.
    """

    content: bytes
    color: ColorDescription | None
    transforms: Sequence[Transform]
    exif: bytes


def sanitize(content: bytes, *, most_pixels: int) -> SanitizedFile:
    """Return the file with only its main picture.

    Depth maps, thumbnails, other pictures and descriptions are not part of the photo, but a decoder
    would read all of them and unpack compressed ones. libheif refuses small crops of large
    pictures, and does not turn alpha with its picture: crop and turn are removed from both.
    Raises ImageTooLarge when decoding the main picture costs too much, ImageUnreadable when the
    cost is unknown.
    """
    file = BoundedFile(content)
    try:
        items = _items(file)
        costs = _Costs(items)
        canvas_px, decoded_px = costs.count(items.primary)
        boxes = [held.box for held in items.properties.get(items.primary, ())]
        # Some cameras describe the color of the tiles, and not of the picture made of them.
        parts = [
            held.box
            for part in items.parts.get(items.primary, ())
            for held in items.properties.get(part, ())
        ]
        color, transforms = read_color(file, [*boxes, *parts]), read_transforms(file, boxes)
    except (struct.error, IndexError) as error:
        raise ImageUnreadable(f"not a whole HEIC: {error}") from error
    except KeyError as error:
        raise ImageUnreadable(f"not a whole HEIC: it lacks {error}") from error
    if canvas_px > most_pixels:
        raise ImageTooLarge(f"{canvas_px} pixels; at most {most_pixels} are accepted")
    if decoded_px > _MAX_DECODE_RATIO * most_pixels:
        raise ImageTooLarge(f"made of {decoded_px} pixels; at most {most_pixels} are accepted")
    kept = _keep_pixels(content, items, costs.counted)
    return SanitizedFile(kept, color, transforms, items.exif)


def _keep_pixels(content: bytes, items: "_Items", counted: frozenset[int]) -> bytes:
    """Return the file without what is not part of its main picture's own pixels."""
    changed = bytearray(content)
    for entry in items.entries:
        if entry.number not in counted:
            changed[entry.kind_at : entry.kind_at + 4] = b"none"
    # Even a reference to an item that does not exist, such as a lost thumbnail, fails libheif.
    for kind_at in items.descriptions_at:
        changed[kind_at : kind_at + 4] = b"free"
    for number in (items.primary, *items.alphas.get(items.primary, ())):
        for held in items.properties.get(number, ()):
            if held.box.kind in TRANSFORMS:
                # 0 is no property (9.3.1).
                end = held.association_at + held.association_bytes
                changed[held.association_at : end] = bytes(held.association_bytes)
    return bytes(changed)


@dataclass(frozen=True, slots=True)
class _Items:
    """The file's items, by number.

    parts: the items that an item consists of, in order; alphas: the pictures of an item's alpha.
    codings: the decoder's configuration; contents: the item's own bytes.  descriptions_at: places
    of the kinds of references that are not about pixels.
    """

    primary: int
    properties: Mapping[int, Sequence[Property]]
    entries: Sequence[ItemEntry]
    kinds: Mapping[int, bytes]
    parts: Mapping[int, Sequence[int]]
    alphas: Mapping[int, Sequence[int]]
    codings: Mapping[int, bytes]
    contents: Mapping[int, bytes]
    exif: bytes
    descriptions_at: Sequence[int]


class _Costs:
    """Counts the pixels of items, and the pixels decoded for them."""

    def __init__(self, items: _Items) -> None:
        self._items = items
        self._pixels: dict[int, tuple[int, int]] = {}

    @property
    def counted(self) -> frozenset[int]:
        """The items counted up to now, with the items that they consist of."""
        return frozenset(self._pixels)

    def count(self, number: int, depth: int = 0) -> tuple[int, int]:
        """Return the pixels of the largest canvas, and of all decoded pictures.

        Raises IndexError for circular references, KeyError for missing items.
        """
        if depth > _MAX_DEPTH:
            raise IndexError("pictures are nested without end")
        if number not in self._pixels:
            self._pixels[number] = self._count(number, depth + 1)
        return self._pixels[number]

    def _count(self, number: int, depth: int) -> tuple[int, int]:
        items, kind = self._items, self._items.kinds[number]
        below = [self.count(item, depth) for item in items.alphas.get(number, ())]
        if kind == _CODED:
            width, height = hevc.largest_size(items.codings[number], items.contents[number])
            canvas = width * height
            below.append((canvas, canvas))
        elif kind in {_GRID, _OVERLAY, _SAME}:
            canvas = _canvas(kind, items.contents.get(number, b""))
            below += [self.count(item, depth) for item in items.parts[number]]
        else:
            raise IndexError(f"its picture has the kind {kind!r}")
        return max((canvas, *(canvas_px for canvas_px, _ in below))), sum(
            decoded for _, decoded in below
        )


def _canvas(kind: bytes, content: bytes) -> int:
    """Return the pixels of a derived picture by its header. Source: ISO/IEC 23008-12, 6.6.2."""
    if kind == _SAME:
        return 0
    at = 4 if kind == _GRID else 2 + 8  # after version and flags, then rows and columns or a color
    width, height = struct.unpack_from(">II" if content[1] & 1 else ">HH", content, at)
    return int(width * height)


# --- parse the file ---------------------------------------------------------------------


def _items(file: IO[bytes]) -> _Items:
    (meta,) = _require_one(isobmff.find(file, b"meta"))
    boxes = {box.kind: box for box in isobmff.children(file, meta)}
    listed = tuple(read_entries(file, boxes[b"iinf"]))
    kinds = {entry.number: entry.kind for entry in listed}
    properties = read_properties(file, boxes[b"iprp"])
    # The first configuration counts, as for decoders.
    codings = {
        number: held.box.read(file)
        for number, every in properties.items()
        for held in reversed(every)
        if held.box.kind == b"hvcC"
    }
    auxiliary = {
        number: held.box.read(file)[4:]
        for number, every in properties.items()
        for held in every
        if held.box.kind == b"auxC"
    }
    parts: dict[int, list[int]] = {}
    alphas: dict[int, list[int]] = {}
    descriptions_at: list[int] = []
    if b"iref" in boxes:
        for kind, source, targets, kind_at in _references(file, boxes[b"iref"]):
            if kind not in _PIXEL_REFERENCES:
                descriptions_at.append(kind_at)
            if kind == b"dimg":
                parts.setdefault(source, []).extend(targets)
            elif kind == b"auxl" and auxiliary.get(source, b"").startswith(_ALPHA):
                for target in targets:
                    alphas.setdefault(target, []).append(source)
    wanted = {item for item, kind in kinds.items() if kind in {_CODED, _GRID, _OVERLAY, _EXIF}}
    idat = boxes[b"idat"].start if b"idat" in boxes else 0
    contents = dict(read_contents(file, boxes[b"iloc"].read(file), wanted, idat))
    exif = next((contents[item] for item in contents if kinds[item] == _EXIF), b"")
    return _Items(
        primary=read_primary(file, boxes[b"pitm"]),
        properties=properties,
        entries=listed,
        kinds=kinds,
        parts=parts,
        alphas=alphas,
        codings=codings,
        contents=contents,
        exif=extract_tiff(exif),
        descriptions_at=descriptions_at,
    )


def _require_one(metas: Iterator[isobmff.Box]) -> tuple[isobmff.Box]:
    first = next(metas, None)
    if first is None or next(metas, None) is not None:
        raise IndexError("it does not have exactly one box meta")
    return (first,)


def _references(
    file: IO[bytes], iref: isobmff.Box
) -> Iterator[tuple[bytes, int, tuple[int, ...], int]]:
    """Yield kind, source, targets, and the kind's place in the file.

    Source: ISO/IEC 14496-12, 8.11.12 (iref).
    """
    layout = "I" if iref.read(file)[0] else "H"
    total = 0
    for box in isobmff.children(file, isobmff.Box(iref.kind, iref.start + 4, iref.end)):
        content = box.read(file)
        source, count = struct.unpack_from(f">{layout}H", content)
        total += count
        if total > _MAX_REFERENCES:
            raise IndexError("pictures refer to too many pictures")
        targets = struct.unpack_from(f">{count}{layout}", content, struct.calcsize(f">{layout}H"))
        yield box.kind, int(source), targets, box.kind_at
