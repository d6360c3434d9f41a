"""The segments of a JPEG, and a clean copy of one whose segments are faulty.

Phones, photo booths and old editors write files without an end, with bytes between the segments, or
with broken metadata. Other programs open them, since no pixel is affected.
Source: ITU-T T.81, annex B.
"""

import re
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from smart_filter_shared.errors import ImageUnreadable

# Large files have hundreds of segments; millions of a few bytes each would take minutes.
_MAX_SEGMENTS: Final = 10_000
# Excludes zeros after 0xFF, which are pixels, restart markers, and fill bytes.
_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


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
_END: Final = b"\xff\xd9"
_RESTART: Final = re.compile(rb"\xff[\xd0-\xd7]")
_COEFFICIENTS: Final = 64
# Selection of a sequential scan: coefficients 0 to 63, all of their bits (B.2.3).
_WHOLE_SELECTION: Final = bytes((0, _COEFFICIENTS - 1, 0))
_LEAST_SCAN_BYTES: Final = 6  # of the header of one component
_HEIGHT: Final = slice(1, 3)
_BLOCK_PX: Final = 8
# Most share of a picture that may be incomplete; a row of blocks is less than 1 % of a photo.
_MAX_LAST_ROW: Final = 0.05


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
