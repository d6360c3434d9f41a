"""Read the chunks of a PNG: their bounds, and what they say about its pixels.

Source: third edition of PNG, 5 and 11.
"""

import zlib
from collections.abc import Iterator, Mapping
from typing import Final

from PIL import Image

from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable
from smart_filter_workers.images.metadata.code_points import (
    ColorDescription,
    from_code_points,
    from_gamma,
)
from smart_filter_workers.images.metadata.exif_filter import MAX_BYTES

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
