"""Decode JPEG by simplejpeg (libjpeg-turbo), the fastest decoder measured.

Headers are parsed here, so that no EXIF or profile can crash a general library.

The segments of a JPEG, and a clean copy of one whose segments are faulty.

Phones, photo booths and old editors write files without an end, with bytes between the segments, or
with broken metadata. Other programs open them, since no pixel is affected.
Source: ITU-T T.81, annex B.
"""

import itertools
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import simplejpeg

from smart_filter_shared.errors import ImageUnreadable
from smart_filter_workers.images.metadata.exif import EXIF_PREFIX
from smart_filter_workers.results import Bytes

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

# Large files have hundreds of segments; millions of a few bytes each would take minutes.
_MAX_SEGMENTS: Final = 10_000
# Excludes zeros after 0xFF, which are pixels, restart markers, and fill bytes.
_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_END: Final = b"\xff\xd9"
_RESTART: Final = re.compile(rb"\xff[\xd0-\xd7]")
_COEFFICIENTS: Final = 64
_LOW_FREQUENCIES: Final = 10
# Selection of a sequential scan: coefficients 0 to 63, all of their bits (B.2.3).
_WHOLE_SELECTION: Final = bytes((0, _COEFFICIENTS - 1, 0))
_LEAST_SCAN_BYTES: Final = 6  # of the header of one component
_HEIGHT: Final = slice(1, 3)
_BLOCK_PX: Final = 8
# Most share of a picture that may be incomplete; a row of blocks is less than 1 % of a photo.
_MAX_LAST_ROW: Final = 0.05


@dataclass(frozen=True, slots=True)
class Header:
    """The data before the first scan.

    bits: per sample; width, height: in pixels, from the frame.  adobe: whether the file has an
    Adobe segment.  exif: the segment with its prefix; icc: the complete profile; xmp: the packet;
    each may be empty.  quantum: mean step of the lowest frequencies, in levels.
    """

    bits: int
    width: int
    height: int
    components: int
    adobe: bool
    exif: bytes
    icc: bytes
    xmp: bytes
    quantum: float | None = None

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


def decode(content: bytes, header: Header) -> Bytes:
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


def _decompress(content: bytes, space: str, buffer: Bytes) -> Bytes:
    pixels, warning = _try(content, space, buffer)
    if warning:
        has_end, repaired = repair(content)
        pixels = _decompress_faulty(repaired, space, buffer, has_end=has_end)
    return pixels


def _decompress_faulty(content: bytes, space: str, buffer: Bytes, *, has_end: bool) -> Bytes:
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
        gaps = fill_gaps(content, int(gap[2], 16), int(gap[1]))
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
        short = shorten(content)
        is_whole = short is not None and _try(short, space, np.empty_like(buffer))[1].endswith(
            _BEFORE_END
        )
    if not is_whole:
        raise ImageUnreadable(f"JPEG: {warning}")
    try:
        return _simplejpeg(content, space, buffer, strict=False)
    except ValueError as error:
        raise ImageUnreadable(f"JPEG: {error}") from error


def _try(content: bytes, space: str, buffer: Bytes) -> tuple[Bytes, str]:
    """Return the pixels, and the first warning; the pixels are incomplete if there is one."""
    try:
        return _simplejpeg(content, space, buffer, strict=True), ""
    except ValueError as error:
        return buffer, str(error)


def _simplejpeg(content: bytes, space: str, buffer: Bytes, *, strict: bool) -> Bytes:
    pixels: Bytes = simplejpeg.decode_jpeg(
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
    quantum: float | None = None
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
        elif marker in FRAMES:
            frame = body
        elif marker == Marker.QUANTIZATION_TABLES and quantum is None:
            quantum = _read_quantum(body)
    if len(frame) < _FRAME_START.size:
        raise ImageUnreadable("JPEG without a frame header: truncated or corrupt")
    bits, height, width, components = _FRAME_START.unpack_from(frame)
    profile = b"".join(icc[number] for number in sorted(icc))
    return Header(bits, width, height, components, adobe, exif, profile, xmp, quantum)


def _read_quantum(tables: bytes) -> float | None:
    """Return the mean of a table's first steps; the first table is that of luma (B.2.4.1)."""
    is_wide = tables[:1] >= b"\x10"  # of 16 bits a step
    layout = struct.Struct(f">{_LOW_FREQUENCIES}{'H' if is_wide else 'B'}")
    steps = tables[1 : 1 + layout.size]
    return sum(layout.unpack(steps)) / _LOW_FREQUENCIES if len(steps) == layout.size else None


def _count_scans(content: bytes, *, enough: int = 0) -> int:
    """Return the number of scans; a larger number is returned where it is `enough` at most."""
    # A phone may append a video after the picture, with arbitrary bytes.
    most = content.count(b"\xff\xda")
    if most <= enough:
        return most
    return sum(marker == Marker.SCAN for marker, _, _ in find_segments(content))


class Marker(IntEnum):
    """The markers used here (ITU-T T.81, table B.1)."""

    TEMPORARY = 0x01
    BASELINE_FRAME = 0xC0
    EXTENDED_FRAME = 0xC1
    PROGRESSIVE_FRAME = 0xC2
    HUFFMAN_TABLES = 0xC4
    ARITHMETIC_PROGRESSIVE_FRAME = 0xCA
    ARITHMETIC_TABLES = 0xCC
    LAST_FRAME = 0xCF
    START = 0xD8
    END = 0xD9
    SCAN = 0xDA
    QUANTIZATION_TABLES = 0xDB
    RESTART_INTERVAL = 0xDD
    APP0_JFIF = 0xE0
    APP1_EXIF = 0xE1
    APP2_ICC = 0xE2
    APP14_ADOBE = 0xEE


# Codes among the frame markers for Huffman tables, an extension and arithmetic tables.
FRAMES: Final = frozenset(range(Marker.BASELINE_FRAME, Marker.LAST_FRAME + 1)) - {0xC4, 0xC8, 0xCC}
# Markers that no length follows.
_STANDALONE: Final = frozenset({Marker.TEMPORARY, Marker.START, Marker.END})
_PROGRESSIVE: Final = frozenset({Marker.PROGRESSIVE_FRAME, Marker.ARITHMETIC_PROGRESSIVE_FRAME})
# The segments that the pixels depend on: the others are metadata.
_NEEDED: Final = FRAMES | {
    Marker.HUFFMAN_TABLES,
    Marker.ARITHMETIC_TABLES,
    Marker.SCAN,
    Marker.QUANTIZATION_TABLES,
    Marker.RESTART_INTERVAL,
    Marker.APP0_JFIF,
    Marker.APP14_ADOBE,
}


def find_segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of the segments, the end marker last if there is one.

    Data between segments, such as a scan's pixels, is skipped as libjpeg does: up to the next
    marker that cannot occur within pixels.  Source: B.1.1.2 to B.1.1.5.
    Raises ImageUnreadable for far more segments than a photo has.
    """
    at = 2
    for _ in range(_MAX_SEGMENTS):
        match = _NEXT_MARKER.search(content, at)
        if match is None:
            return
        marker, at = content[match.end() - 1], match.end()
        if marker in _STANDALONE:
            yield marker, at, at
            if marker == Marker.END:
                return
            continue
        if at + 2 > len(content):
            return
        length = max(2, int.from_bytes(content[at : at + 2]))
        yield marker, at + 2, at + length
        at += length
    raise ImageUnreadable(f"JPEG of more than {_MAX_SEGMENTS} segments")


def repair(content: bytes) -> tuple[bool, bytes]:
    """Return whether a JPEG has an end, and its copy: what its pixels depend on, and an end.

    Markers behind the last pixels of a file without an end are bytes of something else.
    Raises ImageUnreadable when the file has no end and lacks scans of its pixels.
    """
    parts, frame, has_restarts = [b"\xff\xd8"], (0, b""), False
    scans: list[bytes] = []
    scan_at: int | None = None
    for marker, start, end in find_segments(content):
        body = content[start:end]
        if scan_at is not None:
            marker_at = start - (2 if marker in _STANDALONE else 4)
            parts.append(_cut_trailer(content[scan_at:marker_at], has_restarts=has_restarts))
        if marker == Marker.END or (scan_at is not None and _are_complete(*frame, scans)):
            return marker == Marker.END, b"".join((*parts, _END))
        scan_at = end if marker == Marker.SCAN else None
        if marker in FRAMES:
            frame = (marker, body)
        has_restarts |= marker == Marker.RESTART_INTERVAL
        if marker == Marker.SCAN:
            scans.append(body)
            if frame[0] not in _PROGRESSIVE:
                body = body[:-3] + _WHOLE_SELECTION  # some cameras write other numbers
        if marker in _NEEDED:
            parts.append(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body)
    if scan_at is not None:
        pixels = content[scan_at:].removesuffix(b"\xff")
        parts.append(_cut_trailer(pixels, has_restarts=has_restarts))
    if not _are_complete(*frame, scans):
        raise ImageUnreadable("JPEG: truncated before its last scan")
    return False, b"".join((*parts, _END))


def fill_gaps(content: bytes, marker: int, length: int) -> Iterator[bytes]:
    """Yield copies with fill bytes in place of those before one of the scans' next markers.

    Fill bytes may precede any marker (B.1.1.2); other bytes there are a fault without effect.
    """
    previous = None
    for segment_marker, start, _ in find_segments(content):
        at = start - 4
        if previous == Marker.SCAN and segment_marker == marker:
            yield content[: at - length] + b"\xff" * length + content[at:]
        previous = segment_marker


def shorten(content: bytes) -> bytes | None:
    """Return a sequential JPEG without its last row of blocks; None if that is much of it.

    The data of that row remain behind the others, as bytes without effect. A progressive one has
    such data behind each scan, where they hide whether more is missing; it is refused.
    """
    for marker, start, end in find_segments(content):
        if marker in FRAMES:
            body = bytearray(content[start:end])
            samplings = body[7::3]
            if marker in _PROGRESSIVE or not samplings:
                return None
            largest = max(sampling & 15 for sampling in samplings) if len(samplings) > 1 else 1
            row = _BLOCK_PX * largest
            height = int.from_bytes(body[_HEIGHT])
            if row > _MAX_LAST_ROW * height:
                return None
            body[_HEIGHT] = ((height - 1) // row * row).to_bytes(2)
            return content[:start] + body + content[end:]
    return None


def _cut_trailer(pixels: bytes, *, has_restarts: bool) -> bytes:
    """Return a scan's pixels up to a restart marker where the file has none of these."""
    return pixels if has_restarts else _RESTART.split(pixels, maxsplit=1)[0]


def _are_complete(marker: int, frame: bytes, scans: list[bytes]) -> bool:
    """Return whether the scans hold every coefficient of every component, to its last bit."""
    missing = {
        (component, coefficient)
        for component in frame[6::3]
        for coefficient in (range(_COEFFICIENTS) if marker in _PROGRESSIVE else (0,))
    }
    for scan in scans:
        if len(scan) < _LEAST_SCAN_BYTES:
            return False
        first, last, bits = scan[-3:]
        if not bits & 15:
            held = scan[1 : 1 + 2 * scan[0] : 2]
            missing -= {(which, number) for which in held for number in range(first, last + 1)}
    return not missing
