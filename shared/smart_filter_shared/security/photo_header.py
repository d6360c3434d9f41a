"""Read the format and size of a photo from its header, without decoding pixels.

A general library would read a WebP completely, and a broken EXIF block or profile could make it
fail; only the bytes below are needed. Corrupt pixels are found later, by the stage `prepare`.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import IO

from smart_filter_shared.errors import PhotoTooLarge, SizeUnreadable, UnsupportedMedia
from smart_filter_shared.security import heif_items, other_formats, tiff_header

# Bytes of a photo, of a background and of a logo, in each way to send one.
MAX_PHOTO_BYTES = 40_000_000
MAX_PIXELS = 50_000_000
# Longest side of a photo in pixels: libjpeg's limit. Sides are limited in addition to the product,
# because some work is done per row or strip.
MAX_SIDE_PX = 65_500
ACCEPTED = "accepted are JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP and TIFF"

# Depth maps and long profiles fill hundreds of segments; more suggest a malicious file.
_MAX_JPEG_SEGMENTS = 2000
# Bytes before a marker that belong to no segment: cameras and editors write a few.
_MAX_JPEG_STRAY_BYTES = 4096

# Markers: ITU-T T.81, table B.1. Frame headers are SOF0 to SOF15 except the markers DHT, JPG
# and DAC in the same range; TEM and RST have no length.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
# Start of image, end of image and start of scan: no frame header follows.
_JPEG_NO_HEADER = frozenset({0xD8, 0xD9, 0xDA})
_JPEG_BITS = 8
_JPEG_LS_FRAME = b"\xf7"
# Hierarchical frames, and lossless ones with arithmetic coding.
_JPEG_FRAMES_WITHOUT_DECODER = frozenset({0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF})
_JPEG_LENGTH_BYTES = 2
_PNG_FIRST_CHUNK = (13, b"IHDR")
_WEBP_LOSSLESS_SIGNATURE = 0x2F
_WEBP_LOSSY_START = b"\x9d\x01\x2a"
_14_BITS = 0x3FFF
_BMP_CORE_BYTES = 12  # the second header of OS/2, with sides of 16 bits


class PhotoFormat(StrEnum):
    """The accepted media types of a photo."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    WEBP = "image/webp"
    AVIF = "image/avif"
    HEIC = "image/heic"
    GIF = "image/gif"
    BMP = "image/bmp"
    TIFF = "image/tiff"


_MADE_OF_ITEMS = frozenset({PhotoFormat.AVIF, PhotoFormat.HEIC})
_SIMPLE_STARTS = {
    b"GIF87a": PhotoFormat.GIF,
    b"GIF89a": PhotoFormat.GIF,
    b"BM": PhotoFormat.BMP,
    **dict.fromkeys(tiff_header.SIGNATURES, PhotoFormat.TIFF),
}


@dataclass(frozen=True, slots=True)
class PhotoHeader:
    """Format and size of a photo; width and height in pixels as stored, before EXIF rotation."""

    format: PhotoFormat
    width: int
    height: int


def read_header(file: IO[bytes], *, called: str = "photo", sent_as: str = "photo") -> PhotoHeader:
    """Read and return the header of a photo; the file is left at any position.

    called: its name in error messages.  sent_as: the field that they point to.
    Raises UnsupportedMedia for a file of another type, its subclass SizeUnreadable for a broken
    header or no pixels, and PhotoTooLarge for more than MAX_PIXELS or a side above MAX_SIDE_PX.
    """
    pointer = f"/{sent_as}"
    file.seek(0)
    start = file.read(heif_items.SIGNATURE_BYTES)
    if not start:
        raise UnsupportedMedia(f"the {called} is empty; {ACCEPTED}", pointer=pointer)
    format_ = _format_of(start)
    if format_ is None:
        raise UnsupportedMedia(
            f"the {called} is {other_formats.describe(start)}; {ACCEPTED}", pointer=pointer
        )
    try:
        width, height = _SIZES[format_](file)
    except _OtherKind as error:
        raise UnsupportedMedia(f"the {called} is {error}", pointer=pointer) from None
    except (_BrokenHeader, struct.error):
        name = format_.name
        raise SizeUnreadable(
            f"the {called}'s {name} header is broken; {ACCEPTED}", pointer=pointer
        ) from None
    if width == 0 or height == 0:
        raise SizeUnreadable(
            f"the {called} is {width} × {height} pixels; {ACCEPTED}", pointer=pointer
        )
    if width * height > MAX_PIXELS:
        raise PhotoTooLarge(
            f"the {called} is {width} × {height} pixels; "
            f"at most {MAX_PIXELS // 1_000_000} megapixels are accepted",
            pointer=pointer,
        )
    if max(width, height) > MAX_SIDE_PX:
        raise PhotoTooLarge(
            f"the {called} is {width} × {height} pixels; "
            f"at most {MAX_SIDE_PX} pixels a side are accepted",
            pointer=pointer,
        )
    if format_ in _MADE_OF_ITEMS:
        _check_items(file, called, pointer)
    return PhotoHeader(format_, width, height)


def _check_items(file: IO[bytes], called: str, pointer: str) -> None:
    """Raise UnsupportedMedia for a picture that is made of too many others."""
    try:
        heif_items.measure_expansion(file)
    except heif_items.ItemsRefused as error:
        raise UnsupportedMedia(
            f"the {called} {error}; save it as JPEG or PNG", pointer=pointer
        ) from None
    except struct.error:
        raise SizeUnreadable(
            f"the {called}'s list of items is broken; {ACCEPTED}", pointer=pointer
        ) from None


class _BrokenHeader(Exception):
    """The header does not follow its format."""


class _OtherKind(Exception):
    """The file is of a kind that no decoder here reads; the message says which, and what to do."""


def _format_of(start: bytes) -> PhotoFormat | None:
    if start.startswith(b"\xff\xd8\xff") and start[3:4] != _JPEG_LS_FRAME:
        return PhotoFormat.JPEG
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return PhotoFormat.PNG
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return PhotoFormat.WEBP
    for magic, format_ in _SIMPLE_STARTS.items():
        if start.startswith(magic):
            return format_
    still = heif_items.detect_format(start)
    return None if still is None else PhotoFormat(f"image/{still}")


def _jpeg_size(file: IO[bytes]) -> tuple[int, int]:
    """Walk the segments up to the frame header. Source: ITU-T T.81, B.1.1 and B.2.2."""
    file.seek(2)
    for _ in range(_MAX_JPEG_SEGMENTS):
        marker = _jpeg_marker(file)
        if marker in _JPEG_FRAMES:
            bits, height, width = struct.unpack(">2xBHH", file.read(7))
            if bits != _JPEG_BITS:
                raise _OtherKind(f"a JPEG of {bits} bits a sample; save it with 8 bits")
            if marker in _JPEG_FRAMES_WITHOUT_DECODER:
                raise _OtherKind("a JPEG of a rare kind; save it as baseline or progressive JPEG")
            return width, height
        if marker in _JPEG_STANDALONE:
            continue
        if marker in _JPEG_NO_HEADER:
            raise _BrokenHeader
        (length,) = struct.unpack(">H", file.read(2))
        if length < _JPEG_LENGTH_BYTES:
            raise _BrokenHeader
        file.seek(length - _JPEG_LENGTH_BYTES, 1)
    raise _BrokenHeader


def _jpeg_marker(file: IO[bytes]) -> int:
    """Return the next marker; stray bytes before it are skipped, as decoders do."""
    read = file.read(_MAX_JPEG_STRAY_BYTES)
    # At least one 0xFF precedes a marker; more are fill bytes, and 0 after it is no marker.
    match = re.search(rb"\xff([^\x00\xff])", read)
    if match is None:
        raise _BrokenHeader
    file.seek(match.end() - len(read), 1)
    return match[1][0]


def _png_size(file: IO[bytes]) -> tuple[int, int]:
    """Read the first chunk. Source: PNG (third edition), 11.2.1."""
    file.seek(8)
    length, kind, width, height = struct.unpack(">I4sII", file.read(16))
    if (length, kind) != _PNG_FIRST_CHUNK:
        raise _BrokenHeader
    return width, height


def _webp_size(file: IO[bytes]) -> tuple[int, int]:
    """Read the first chunk. Source: RFC 9649, 2.5 to 2.7; RFC 6386, 9.1; RFC 9649, 3.4."""
    file.seek(12)
    kind = file.read(4)
    file.seek(4, 1)  # the chunk's length
    if kind == b"VP8X":  # the canvas, less one, in 24 bits each
        data = struct.unpack("<4x3s3s", file.read(10))
        width, height = (int.from_bytes(value, "little") + 1 for value in data)
        return width, height
    if kind == b"VP8L":  # 14 bits each, less one
        signature, bits = struct.unpack("<BI", file.read(5))
        if signature != _WEBP_LOSSLESS_SIGNATURE:
            raise _BrokenHeader
        return (bits & _14_BITS) + 1, (bits >> 14 & _14_BITS) + 1
    if kind == b"VP8 ":  # 14 bits each under two bits of scaling
        start_code, width, height = struct.unpack("<3x3sHH", file.read(10))
        if start_code != _WEBP_LOSSY_START:
            raise _BrokenHeader
        return width & _14_BITS, height & _14_BITS
    raise _BrokenHeader


def _gif_size(file: IO[bytes]) -> tuple[int, int]:
    """Read the logical screen. Source: GIF89a, 18."""
    file.seek(6)
    width, height = struct.unpack("<HH", file.read(4))
    return width, height


def _bmp_size(file: IO[bytes]) -> tuple[int, int]:
    """Read the second header; rows may be stored from the top. Source: BITMAPINFOHEADER."""
    file.seek(14)
    (length,) = struct.unpack("<I", file.read(4))
    if length == _BMP_CORE_BYTES:
        width, height = struct.unpack("<HH", file.read(4))
    else:
        width, height = struct.unpack("<ii", file.read(8))
    return max(width, 0), abs(height)


def _tiff_size(file: IO[bytes]) -> tuple[int, int]:
    page = tiff_header.find_photo(file)
    if page.refusal is not None:
        raise _OtherKind(page.refusal)
    return page.width, page.height


def _largest_size(file: IO[bytes]) -> tuple[int, int]:
    """Return the largest size of the pictures in the file: the photo, tiles, a thumbnail.

    Source: ISO/IEC 23008-12, 6.5.3 (ispe).
    """
    boxes = heif_items.find(file, b"meta", b"iprp", b"ipco", b"ispe")
    sizes = [struct.unpack_from(">4xII", box.read(file)) for box in boxes]
    if not sizes:
        raise _BrokenHeader
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return width, height


_SIZES: dict[PhotoFormat, Callable[[IO[bytes]], tuple[int, int]]] = {
    PhotoFormat.JPEG: _jpeg_size,
    PhotoFormat.PNG: _png_size,
    PhotoFormat.WEBP: _webp_size,
    PhotoFormat.AVIF: _largest_size,
    PhotoFormat.HEIC: _largest_size,
    PhotoFormat.GIF: _gif_size,
    PhotoFormat.BMP: _bmp_size,
    PhotoFormat.TIFF: _tiff_size,
}
