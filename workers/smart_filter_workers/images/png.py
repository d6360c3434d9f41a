"""Encode PNG files, optimized for speed, or for size at ten times the time.

Measured on photos with designs as background: docs/measurements.md, "Files".
"""

import io
import struct
import zlib
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smart_filter_workers.results import Matte8, Matte16, Srgb8

_HEADER_BYTES: Final = 33  # the signature and the first chunk
_RGBA: Final = 4
_METERS_PER_INCH: Final = 0.0254
# Zlib's default: a photo's grain barely compresses, and higher levels take five times as long.
_LEVEL_SMALL: Final = 6
# Matches of distance 1 only: photos have hardly any others, and it takes a quarter of the time. One
# filter for all rows takes half the time of trying five. For varied pictures, skipping the search
# for matches saves a quarter of the rest.
_REPETITIVE_OPTIONS: Final = {
    cv2.IMWRITE_PNG_STRATEGY: cv2.IMWRITE_PNG_STRATEGY_RLE,
    cv2.IMWRITE_PNG_FILTER: cv2.IMWRITE_PNG_FILTER_UP,
}
_VARIED_OPTIONS: Final = {
    cv2.IMWRITE_PNG_STRATEGY: cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY,
    cv2.IMWRITE_PNG_FILTER: cv2.IMWRITE_PNG_FILTER_AVG,
}
# Share of pixels equal to the one above from which matches pay off.
_REPETITIVE_FROM: Final = 0.2
_SAMPLED_ROWS: Final = 24


def encode(
    pixels: Srgb8 | Matte8 | Matte16, *, small: bool, tags: bytes, dots_per_inch: int | None = None
) -> bytes:
    """Return a PNG of gray, (H, W) uint8 or uint16, or of (H, W, 3) or (H, W, 4) uint8.

    small: whether to spend ten times the time for a tenth fewer bytes.
    tags: EXIF, from its TIFF header on; may be empty.
    dots_per_inch: print resolution to write; None writes none.
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
    return b"".join((plain[:_HEADER_BYTES], *extra, plain[_HEADER_BYTES:]))


def _encode_fast(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> memoryview:
    manner = _REPETITIVE_OPTIONS
    if pixels.ndim == 2:  # noqa: PLR2004 - gray
        ordered = pixels
    elif pixels.shape[2] == _RGBA:
        ordered = cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA).astype(np.uint8, copy=False)
        _clear_transparent(ordered)
    else:
        ordered = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR).astype(np.uint8, copy=False)
        manner = _REPETITIVE_OPTIONS if _is_repetitive(pixels) else _VARIED_OPTIONS
    options = [int(one) for pair in manner.items() for one in pair]
    _, encoded = cv2.imencode(".png", ordered, [cv2.IMWRITE_PNG_COMPRESSION, 1, *options])
    return encoded.reshape(-1).data


def _is_repetitive(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bool:
    step = max(1, len(pixels) // _SAMPLED_ROWS)
    below, above = pixels[1::step], pixels[::step]
    alike = (below == above[: len(below)]).all(axis=2)
    return alike.size > 0 and float(alike.mean()) >= _REPETITIVE_FROM


def _encode_small(pixels: NDArray[np.uint8]) -> memoryview:
    if pixels.ndim == 3 and pixels.shape[2] == _RGBA:  # noqa: PLR2004 - axes
        pixels = pixels.copy()
        _clear_transparent(pixels)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=_LEVEL_SMALL)
    return file.getbuffer()


def _clear_transparent(pixels: NDArray[np.uint8]) -> None:
    """Set colors under alpha 0 to black, in place."""
    unseen = (pixels[..., 3] == 0).astype(np.uint8)
    cv2.bitwise_xor(pixels, pixels, dst=pixels, mask=unseen)


def _chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk. Source: third edition of PNG, 5.3."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I4s", len(content), kind) + content + struct.pack(">I", checksum)
