"""Encode PNG files, optimized for speed, or for size at ten times the time.

Measured on photos with designs as background: docs/measurements.md, "Files".
"""

import io
import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray
from PIL import Image

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Matte16, Srgb8

_HEADER_BYTES: Final = 33  # the signature and the first chunk
_RGBA: Final = 4
_METERS_PER_INCH: Final = 0.0254
# Zlib's default: a photo's grain barely compresses, and higher levels take five times as long.
_LEVEL_SMALL: Final = 6
# ISA-L's levels end at 3, which takes twice the time of 2 for no fewer bytes.
_LEVEL_FAST: Final = 2
# Source: third edition of PNG, 9.2: each row is stored as its difference to the row above. Of the
# five filters it makes the smallest files here, and it needs one subtraction.
_FILTER_UP: Final = 2
_STRIP_ROWS: Final = 256  # bounds the memory for filtered rows
# Third edition of PNG, 11.2.1: the color type by the number of channels.
_COLOR_TYPES: Final = {1: 0, 3: 2, 4: 6}
# Third edition of PNG, 11.3.3.4: keyword, no compression, no language. ISO 16684-3, 1.1.5: keyword.
_XMP_KEYWORD: Final = b"XML:com.adobe.xmp\0\0\0\0\0"
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def encode(
    pixels: Srgb8 | Matte8 | Matte16,
    *,
    small: bool,
    tags: bytes,
    dots_per_inch: int | None = None,
    xmp: bytes = b"",
) -> bytes:
    """Return a PNG of gray, (H, W) uint8 or uint16, or of (H, W, 3) or (H, W, 4) uint8.

    small: whether to spend ten times the time for a tenth fewer bytes.
    tags: EXIF, from its TIFF header on; may be empty.
    dots_per_inch: print resolution to write; None writes none.
    xmp: an XMP packet; may be empty.
    """
    if pixels.ndim not in {2, 3} or (pixels.ndim == 3 and pixels.shape[2] not in {3, _RGBA}):  # noqa: PLR2004 - axes
        raise ValueError(f"{pixels.shape} is not the shape of a picture")
    if small and pixels.dtype == np.uint8:
        plain = _encode_small(pixels.astype(np.uint8, copy=False))
    else:
        plain = _encode_fast(pixels)
    # Third edition of PNG, 11.3.2.5: the byte of sRGB is the rendering intent, 0 perceptual.
    extra = [_chunk(b"sRGB", b"\0")]
    if dots_per_inch is not None:
        across = round(dots_per_inch / _METERS_PER_INCH)
        extra.append(_chunk(b"pHYs", struct.pack(">IIB", across, across, 1)))  # 11.3.5.3
    if tags:
        extra.append(_chunk(b"eXIf", tags))  # 11.3.5.4
    if xmp:
        extra.append(_chunk(b"iTXt", _XMP_KEYWORD + xmp))
    return b"".join((plain[:_HEADER_BYTES], *extra, plain[_HEADER_BYTES:]))


def _encode_fast(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """Return a PNG, compressed by ISA-L: a fifth of zlib's time for fewer bytes."""
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1  # noqa: PLR2004 - axes
    color_type, bits = _COLOR_TYPES[channels], 8 * pixels.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", header),
            *(_chunk(b"IDAT", content) for content in _compress(pixels) if content),
            _chunk(b"IEND", b""),
        )
    )


def _compress(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Iterator[bytes]:
    """Yield the compressed rows, strip by strip."""
    compressor = isal_zlib.compressobj(_LEVEL_FAST)
    above = np.zeros((1, pixels[:1].nbytes), np.uint8)
    for top in range(0, len(pixels), _STRIP_ROWS):
        rows = _row_bytes(pixels[top : top + _STRIP_ROWS])
        filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
        filtered[:, 0] = _FILTER_UP
        np.subtract(rows[:1], above, out=filtered[:1, 1:])
        np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
        above = rows[-1:]
        yield compressor.compress(filtered)
    yield compressor.flush()


def _row_bytes(strip: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Return the rows' bytes, (h, bytes): the high byte first, and black under alpha 0."""
    if strip.ndim == 3 and strip.shape[2] == _RGBA:  # noqa: PLR2004 - axes
        strip = np.asarray(cv2.copyTo(strip, strip[..., 3]), np.uint8)
    if strip.dtype == np.uint16:
        strip = strip.astype(">u2")
    return np.ascontiguousarray(strip).reshape(len(strip), -1).view(np.uint8)


def _encode_small(pixels: NDArray[np.uint8]) -> bytes:
    if pixels.ndim == 3 and pixels.shape[2] == _RGBA:  # noqa: PLR2004 - axes
        pixels = np.asarray(cv2.copyTo(pixels, pixels[..., 3]), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=_LEVEL_SMALL)
    return file.getvalue()


def _chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk. Source: third edition of PNG, 5.3."""
    # ISA-L's checksum takes a quarter of zlib's time.
    checksum = isal_zlib.crc32(content, isal_zlib.crc32(kind))
    return b"".join((struct.pack(">I4s", len(content), kind), content, struct.pack(">I", checksum)))
