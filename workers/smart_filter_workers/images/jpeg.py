"""Decode JPEG by simplejpeg (libjpeg-turbo), the fastest decoder measured.

Headers are parsed here, so that no EXIF or profile can crash a general library.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from smart_filter_shared.errors import ImageUnreadable
from smart_filter_workers.images import tiff

SIGNATURE: Final = b"\xff\xd8\xff"
# A progressive JPEG consists of scans, usually ten. A scan of a few bytes can cost much time, so
# many can take minutes ("JPEG bomb": libjpeg-turbo's fuzzers stop at 500).
MAX_SCANS: Final = 100

# Large files have hundreds of segments; millions of a few bytes each would take minutes.
_MAX_SEGMENTS: Final = 10_000
# Excludes zeros after 0xFF, which are pixels, restart markers, and fill bytes.
_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")

# libjpeg's message for an error in some cameras' scan headers that does not affect the picture.
_HARMLESS_WARNING: Final = "Invalid SOS parameters for sequential JPEG"
# Color space requested from simplejpeg, by number of components.
_COLOR_SPACES: Final = {1: "GRAY", 3: "RGB", 4: "CMYK"}


class _Marker(IntEnum):
    """The markers used here (ITU-T T.81, table B.1)."""

    FIRST_FRAME = 0xC0
    LAST_FRAME = 0xCF
    END = 0xD9
    SCAN = 0xDA
    APP1_EXIF = 0xE1
    APP2_ICC = 0xE2
    APP14_ADOBE = 0xEE


# Codes among the frame markers for Huffman tables, an extension and arithmetic tables.
_NOT_FRAMES: Final = frozenset({0xC4, 0xC8, 0xCC})
_ICC_PREFIX: Final = b"ICC_PROFILE\x00"  # then the chunk's number and the count, a byte each
_FRAME_START: Final = struct.Struct(">BHHB")  # bits per sample, height, width, components


@dataclass(frozen=True, slots=True)
class Header:
    """The data before the first scan.

    width, height: in pixels, from the frame.  adobe: whether the file has an Adobe segment.
    exif: the segment with its prefix; icc: the complete profile; each may be empty.
    """

    width: int
    height: int
    components: int
    adobe: bool
    exif: bytes
    icc: bytes

    @property
    def mode(self) -> str:
        """Pillow's name of the mode that `decode` returns: L, RGB or CMYK."""
        return _COLOR_SPACES[self.components].replace("GRAY", "L")


def read_header(content: bytes) -> Header:
    """Return the data before the first scan.

    Raises ImageUnreadable when there is no complete header, or a color space that photos do not
    have.
    """
    header = _walk(content)
    if header.components not in _COLOR_SPACES:
        raise ImageUnreadable(f"JPEG with {header.components} color components")
    return header


def decode(content: bytes, header: Header) -> NDArray[np.uint8]:
    """Return the pixels, (H, W) or (H, W, channels) uint8, of the header's size and mode.

    CMYK is returned as ink: 255 is full ink, however the file stores it.
    Raises ImageUnreadable when pixels are missing, or there are too many scans.
    """
    if _has_too_many_scans(content):
        raise ImageUnreadable(f"JPEG with more than {MAX_SCANS} scans")
    space = _COLOR_SPACES[header.components]
    # libjpeg may find another frame than the walk: it must fit into this buffer.
    buffer = np.empty(header.width * header.height * header.components, np.uint8)
    pixels = _decompress(content, space, buffer)
    if pixels.size != buffer.size:
        raise ImageUnreadable("JPEG: two frames of different size")
    if space == "CMYK" and header.adobe:
        np.invert(pixels, out=pixels)  # Adobe stores CMYK inverted: 255 is no ink
    return pixels


def _decompress(content: bytes, space: str, buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
    try:
        return _simplejpeg(content, space, buffer, strict=True)
    except ValueError as error:
        if _HARMLESS_WARNING not in str(error):
            raise ImageUnreadable(f"JPEG: {error}") from error
    try:
        return _simplejpeg(content, space, buffer, strict=False)
    except ValueError as error:
        raise ImageUnreadable(f"JPEG: {error}") from error


def _simplejpeg(
    content: bytes, space: str, buffer: NDArray[np.uint8], *, strict: bool
) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        content,
        colorspace=space,
        fastdct=False,
        fastupsample=False,
        buffer=buffer,
        strict=strict,
    )
    return pixels


def _walk(content: bytes) -> Header:
    """Return the header from the segments before the first scan (ITU-T T.81, annex B)."""
    exif, icc, adobe, frame = b"", dict[int, bytes](), False, b""
    for marker, start, end in _segments(content):
        if marker == _Marker.SCAN:
            break
        body = content[start:end]
        if marker == _Marker.APP1_EXIF and body.startswith(tiff.EXIF_PREFIX):
            exif = exif or body
        elif marker == _Marker.APP2_ICC and body.startswith(_ICC_PREFIX):
            number_and_count = body[len(_ICC_PREFIX) :][:2]
            icc[int.from_bytes(number_and_count)] = body[len(_ICC_PREFIX) + 2 :]
        elif marker == _Marker.APP14_ADOBE and body.startswith(b"Adobe"):
            adobe = True
        elif _Marker.FIRST_FRAME <= marker <= _Marker.LAST_FRAME and marker not in _NOT_FRAMES:
            frame = body
    if len(frame) < _FRAME_START.size:
        raise ImageUnreadable("JPEG without a frame header: truncated or corrupt")
    _, height, width, components = _FRAME_START.unpack_from(frame)
    profile = b"".join(icc[number] for number in sorted(icc))
    return Header(width, height, components, adobe, exif, profile)


def _has_too_many_scans(content: bytes) -> bool:
    # A phone may append a video after the picture, with arbitrary bytes.
    if content.count(b"\xff\xda") <= MAX_SCANS:
        return False
    markers = (marker for marker, _, _ in _segments(content))
    return sum(marker == _Marker.SCAN for marker in markers) > MAX_SCANS


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of the segments up to the end of the picture.

    Data between segments, such as a scan's pixels, is skipped as libjpeg does: up to the next
    marker that cannot occur within pixels.  Source: ITU-T T.81, B.1.1.2 to B.1.1.5.
    """
    at = 2
    for _ in range(_MAX_SEGMENTS):
        found = _NEXT_MARKER.search(content, at)
        if found is None or found.end() + 2 > len(content):
            return
        marker, at = content[found.end() - 1], found.end()
        if marker == _Marker.END:
            return
        length = max(2, int.from_bytes(content[at : at + 2]))
        yield marker, at + 2, at + length
        at += length
    raise ImageUnreadable(f"JPEG of more than {_MAX_SEGMENTS} segments")
