"""PNG: encode files, and read what their chunks say about size and color.

A file is optimized for speed, or for size at ten times the time; docs/measurements.md, "Files", has
both for photos with designs as background.

Source: third edition of PNG, 5 and 11.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray
from PIL import Image

from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable
from smart_filter_workers.images.metadata.code_points import (
    ColorDescription,
    from_code_points,
    from_gamma,
)
from smart_filter_workers.images.metadata.exif import MAX_BYTES
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bytes, Matte8, Matte16, Srgb8

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
SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_BITS_AT: Final = 24  # the bits per sample, in the first chunk
_GRAY_WITH_ALPHA: Final = 4  # the color type, in the next byte
_CHUNK_BYTES: Final = 12  # length, name and checksum
_CHECKSUM_BYTES: Final = 4
_ANCILLARY: Final = 0x20  # a bit of the name's first letter
_MAX_BYTES_PER_PIXEL: Final = 8  # 16 bits of red, green, blue and alpha
_SLACK_BYTES: Final = 4096
# Libraries need about 10 µs for each chunk, whatever its size. A photo of 40 MB in chunks of 2 kB
# has this many; encoders write 8 kB and more.
_MAX_CHUNKS: Final = 20_000
# cICP behind its two numbers: samples are RGB, and use their full range.
_RGB_FULL_RANGE: Final = b"\0\1"


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


def _encode_fast(pixels: Bytes | NDArray[np.uint16]) -> bytes:
    """Return a PNG, compressed by ISA-L: a fifth of zlib's time for fewer bytes."""
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1  # noqa: PLR2004 - axes
    color_type, bits = _COLOR_TYPES[channels], 8 * pixels.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    return b"".join(
        (
            SIGNATURE,
            _chunk(b"IHDR", header),
            *(_chunk(b"IDAT", content) for content in _compress(pixels) if content),
            _chunk(b"IEND", b""),
        )
    )


def _compress(pixels: Bytes | NDArray[np.uint16]) -> Iterator[bytes]:
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


def _row_bytes(strip: Bytes | NDArray[np.uint16]) -> Bytes:
    """Return the rows' bytes, (h, bytes): the high byte first, and black under alpha 0."""
    if strip.ndim == 3 and strip.shape[2] == _RGBA:  # noqa: PLR2004 - axes
        strip = np.asarray(cv2.copyTo(strip, strip[..., 3]), np.uint8)
    if strip.dtype == np.uint16:
        strip = strip.astype(">u2")
    return np.ascontiguousarray(strip).reshape(len(strip), -1).view(np.uint8)


def _encode_small(pixels: Bytes) -> bytes:
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


def count_pixel_bytes(content: bytes) -> int:
    """Return the length of a PNG's compressed pixels; 0 for other formats.

    Raises ImageUnreadable for more than _MAX_CHUNKS, which libraries would parse one by one.
    """
    if not content.startswith(SIGNATURE):
        return 0
    return sum(end - start for kind, start, end in _find_chunks(content) if kind == b"IDAT")


def drop_broken(content: bytes) -> bytes:
    """Return a PNG without the broken chunks before its pixels that these do not need.

    Pillow refuses such a picture; other programs show it. Other formats are returned unchanged.
    Source: 5.4 (ancillary chunks), 5.5 (checksum over name and content) and 13.2 (errors).
    """
    if not content.startswith(SIGNATURE):
        return content
    kept, kept_to = list[bytes](), 0
    for kind, start, end in _find_chunks(content):
        if kind == b"IDAT":
            break
        behind = end + _CHECKSUM_BYTES
        checksum = zlib.crc32(content[start - len(kind) : end])
        if kind[0] & _ANCILLARY and content[end:behind] != checksum.to_bytes(_CHECKSUM_BYTES):
            kept.append(content[kept_to : start - _CHUNK_BYTES + _CHECKSUM_BYTES])
            kept_to = behind
    return b"".join((*kept, content[kept_to:])) if kept else content


def refuse_bomb(packed: int, width: int, height: int) -> None:
    """Refuse compressed pixels that are larger than the header's size uncompressed.

    Decoders stop at the header's size and return a picture, but such a file is an attack (a
    "decompression bomb").
    """
    if packed > _MAX_BYTES_PER_PIXEL * width * height + 2 * height + _SLACK_BYTES:
        raise ImageTooLarge(f"{packed} compressed bytes for {width}×{height} pixels")


def correct_mode(image: Image.Image, content: bytes) -> Image.Image:
    """Return a PNG in the mode of its file, its one transparent color in the scale of its pixels.

    Pillow returns 16-bit gray with alpha as color, scales pixels of 2, 4 and 16 bits to 8, and
    keeps the transparent color in the file's scale. That of 16-bit color is left to `read_deep`.
    Source: 11.2.1 (IHDR) and 11.3.1.1 (tRNS).
    """
    if content[_BITS_AT + 1] == _GRAY_WITH_ALPHA:
        return image.convert("LA")
    color = image.info.get("transparency")
    if image.mode == "L" and color is not None:
        image.info["transparency"] = color * 255 // ((1 << read_bits(content)) - 1)
    return image


def read_bits(content: bytes) -> int:
    """Return the bits of a sample."""
    return content[_BITS_AT]


def read_color(image: Image.Image, content: bytes) -> tuple[bytes, ColorDescription | None]:
    """Return the profile that applies to a PNG, or the color that it names instead; none for sRGB.

    Source: 4.3 and 11.3.2 (cICP precedes iCCP, which precedes sRGB, gAMA and cHRM).
    """
    for kind, start, end in _find_chunks(content):
        if kind == b"cICP" and content[start + 2 : end] == _RGB_FULL_RANGE:
            return b"", from_code_points(content[start], content[start + 1])
    icc = image.info.get("icc_profile") or b""
    if icc or "srgb" in image.info:
        return icc, None
    return b"", from_gamma(image.info.get("gamma"), image.info.get("chromaticity"))


def read_raw_profile(info: Mapping[str | tuple[int, int], object]) -> bytes:
    """Return the EXIF that ImageMagick writes as text; empty if missing or broken.

    info: Pillow's.  Source: ImageMagick, coders/png.c: an empty line, the profile's name, its
    length, and hexadecimal digits.
    """
    for name in ("Raw profile type exif", "Raw profile type APP1"):
        text = info.get(name)
        if isinstance(text, str):
            digits = "".join(text[: 3 * MAX_BYTES].split("\n")[3:])
            try:
                return bytes.fromhex(digits)
            except ValueError:
                continue
    return b""


def _find_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind, start and end of each chunk's content, up to the last chunk."""
    at = len(SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if at + _CHUNK_BYTES > len(content):
            return
        length, kind = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        if kind == b"IEND":
            return
        yield kind, at + 8, at + 8 + length
        at += _CHUNK_BYTES + length
    raise ImageUnreadable(f"PNG of more than {_MAX_CHUNKS} chunks; save the picture again")
