"""Decode JPEG by simplejpeg (libjpeg-turbo), the fastest decoder measured.

Headers are parsed here, so that no EXIF or profile can crash a general library.
"""

import itertools
import re
import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from smart_filter_shared.errors import ImageUnreadable
from smart_filter_workers.images import jpeg_segments
from smart_filter_workers.images.jpeg_segments import Marker, find_segments
from smart_filter_workers.images.metadata.exif import EXIF_PREFIX

SIGNATURE: Final = b"\xff\xd8\xff"
# A progressive JPEG consists of scans, usually ten. A scan of a few bytes can cost much time, so
# many can take minutes ("JPEG bomb": libjpeg-turbo's fuzzers stop at 500).
MAX_SCANS: Final = 100
# Pixels of a picture times its scans: 20 scans of 50 megapixels, two seconds of a core at most. A
# hundred take six.
_MAX_SCAN_PIXELS: Final = 1_000_000_000

# libjpeg's warnings: bytes before a marker, and a marker before the last pixels.
_GAP_WARNING: Final = re.compile(r"(\d+) extraneous bytes before marker 0x(\w\w)")
_BEFORE_END: Final = " before marker 0xd9"
_EARLY_END_WARNING: Final = "premature end of data segment"
# Scans whose end is tried as the place of such bytes; photos have about ten. Each try decodes the
# picture, so large ones have fewer: their samples times scans, for color twice the bound above.
_MAX_GAPS: Final = 16
_MAX_TRIED_SAMPLES: Final = 6 * _MAX_SCAN_PIXELS
_BITS: Final = 8  # that libjpeg-turbo decodes with this interface
# Color space requested from simplejpeg, by number of components.
_COLOR_SPACES: Final = {1: "GRAY", 3: "RGB", 4: "CMYK"}


_XMP_PREFIX: Final = b"http://ns.adobe.com/xap/1.0/\x00"  # ISO 16684-3, 1.1.3
_ICC_PREFIX: Final = b"ICC_PROFILE\x00"  # then the chunk's number and the count, a byte each
_FRAME_START: Final = struct.Struct(">BHHB")  # bits per sample, height, width, components


@dataclass(frozen=True, slots=True)
class Header:
    """The data before the first scan.

    bits: per sample; width, height: in pixels, from the frame.  adobe: whether the file has an
    Adobe segment.  exif: the segment with its prefix; icc: the complete profile; xmp: the packet;
    each may be empty.
    """

    bits: int
    width: int
    height: int
    components: int
    adobe: bool
    exif: bytes
    icc: bytes
    xmp: bytes

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
    if header.bits != _BITS:
        raise ImageUnreadable(f"JPEG of {header.bits} bits a sample; save it with 8 bits")
    if header.components not in _COLOR_SPACES:
        raise ImageUnreadable(f"JPEG with {header.components} color components")
    return header


def decode(content: bytes, header: Header) -> NDArray[np.uint8]:
    """Return the pixels, (H, W) or (H, W, channels) uint8, of the header's size and mode.

    CMYK is returned as ink: 255 is full ink, however the file stores it.
    Raises ImageUnreadable when pixels are missing, or there are too many scans.
    """
    size = header.width * header.height
    most_scans = min(MAX_SCANS, _MAX_SCAN_PIXELS // max(1, size))
    if _count_scans(content, enough=most_scans) > most_scans:
        raise ImageUnreadable(
            f"JPEG of {header.width}×{header.height} pixels with more than {most_scans} scans"
        )
    space = _COLOR_SPACES[header.components]
    # libjpeg may find another frame than the walk: it must fit into this buffer.
    buffer = np.empty(size * header.components, np.uint8)
    pixels = _decompress(content, space, buffer)
    if pixels.size != buffer.size:
        raise ImageUnreadable("JPEG: two frames of different size")
    if space == "CMYK" and header.adobe:
        np.invert(pixels, out=pixels)  # Adobe stores CMYK inverted: 255 is no ink
    return pixels


def _decompress(content: bytes, space: str, buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
    pixels, warning = _try(content, space, buffer)
    if warning:
        has_end, repaired = jpeg_segments.repair(content)
        pixels = _decompress_faulty(repaired, space, buffer, has_end=has_end)
    return pixels


def _decompress_faulty(
    content: bytes, space: str, buffer: NDArray[np.uint8], *, has_end: bool
) -> NDArray[np.uint8]:
    """Return the pixels of a repaired JPEG; its last row of blocks may be incomplete.

    has_end: whether the file had an end; otherwise, anything may follow its pixels.
    Decoding stops at the first warning, so a warning about bytes before the end says that all
    pixels were there.  Raises ImageUnreadable for other warnings.
    """
    pixels, warning = _try(content, space, buffer)
    if not warning:
        return pixels
    is_whole = False
    gap = _GAP_WARNING.search(warning)
    if gap is not None and not warning.endswith(_BEFORE_END):
        gaps = jpeg_segments.fill_gaps(content, int(gap[2], 16), int(gap[1]))
        samples = max(1, buffer.size * _count_scans(content))
        most = min(_MAX_GAPS, max(1, _MAX_TRIED_SAMPLES // samples))
        for filled in itertools.islice(gaps, most):
            pixels, remaining = _try(filled, space, buffer)
            if not remaining:
                return pixels
    elif gap is not None:
        padding = content[-2 - int(gap[1]) : -2]
        # Pixels out of step by a fault among them leave other bytes.
        is_whole = not has_end or padding == padding[:1] * len(padding)
    elif warning.endswith(_EARLY_END_WARNING):
        short = jpeg_segments.shorten(content)
        is_whole = short is not None and _try(short, space, np.empty_like(buffer))[1].endswith(
            _BEFORE_END
        )
    if not is_whole:
        raise ImageUnreadable(f"JPEG: {warning}")
    try:
        return _simplejpeg(content, space, buffer, strict=False)
    except ValueError as error:
        raise ImageUnreadable(f"JPEG: {error}") from error


def _try(content: bytes, space: str, buffer: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], str]:
    """Return the pixels, and the first warning; the pixels are incomplete if there is one."""
    try:
        return _simplejpeg(content, space, buffer, strict=True), ""
    except ValueError as error:
        return buffer, str(error)


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
    exif, xmp, icc, adobe, frame = b"", b"", dict[int, bytes](), False, b""
    for marker, start, end in find_segments(content):
        if marker == Marker.SCAN:
            break
        body = content[start:end]
        if marker == Marker.APP1_EXIF and body.startswith(EXIF_PREFIX):
            exif = exif or body
        elif marker == Marker.APP1_EXIF and body.startswith(_XMP_PREFIX):
            xmp = xmp or body[len(_XMP_PREFIX) :]
        elif marker == Marker.APP2_ICC and body.startswith(_ICC_PREFIX):
            number_and_count = body[len(_ICC_PREFIX) :][:2]
            icc[int.from_bytes(number_and_count)] = body[len(_ICC_PREFIX) + 2 :]
        elif marker == Marker.APP14_ADOBE and body.startswith(b"Adobe"):
            adobe = True
        elif marker in jpeg_segments.FRAMES:
            frame = body
    if len(frame) < _FRAME_START.size:
        raise ImageUnreadable("JPEG without a frame header: truncated or corrupt")
    bits, height, width, components = _FRAME_START.unpack_from(frame)
    profile = b"".join(icc[number] for number in sorted(icc))
    return Header(bits, width, height, components, adobe, exif, profile, xmp)


def _count_scans(content: bytes, *, enough: int = 0) -> int:
    """Return the number of scans; a larger number is returned where it is `enough` at most."""
    # A phone may append a video after the picture, with arbitrary bytes.
    most = content.count(b"\xff\xda")
    if most <= enough:
        return most
    return sum(marker == Marker.SCAN for marker, _, _ in find_segments(content))
