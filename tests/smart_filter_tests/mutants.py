"""Photos damaged on their way: the same seed makes the same mutant.

Every accepted format in its variants, changed the way disks, networks and attackers do it: flipped
bytes, cut ends, chunks that are lost, repeated, swapped or describe another picture. PNG checksums
are recomputed half of the time; otherwise every reader would stop there.
"""

import random
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageCms

from smart_filter_tests.described_colors import a_png, an_avif, cicp
from smart_filter_tests.pictures import encode

_PNG_START = b"\x89PNG\r\n\x1a\n"
_SIZE = (120, 90)
_LEAST_BYTES = 64  # smaller files leave nothing to change


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mutated photo: its seed, its original, its mutation and the result."""

    seed: int
    kind: str
    story: str
    content: bytes


def mutant(seed: int, originals: Mapping[str, bytes]) -> Mutant:
    """Make the mutant of a seed from one of `originals()`."""
    dice = random.Random(seed)
    kind = sorted(originals)[seed % len(originals)]
    content, story = originals[kind], []
    for _ in range(dice.choice([1, 1, 2, 3])):
        if len(content) < _LEAST_BYTES:
            break
        change = dice.choice(_CHANGES)
        content = change(content, dice)
        story.append(change.__name__.strip("_"))
    return Mutant(seed, kind, ", ".join(story), content)


def originals() -> dict[str, bytes]:
    """Return a whole photo of every accepted format and variant, by its name."""
    y, x = np.mgrid[0 : _SIZE[1], 0 : _SIZE[0]]
    noise = np.random.default_rng(0).integers(0, 40, (_SIZE[1], _SIZE[0], 3))
    rgb = (np.stack([x * 2, y * 2, (x + y)], axis=-1) % 216 + noise).astype(np.uint8)
    photo = Image.fromarray(rgb)
    alpha = photo.copy()
    alpha.putalpha(photo.getchannel("R"))
    palette = photo.quantize(64)
    exif, icc = _exif(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    frames = {"save_all": True, "append_images": [photo.rotate(90), photo.rotate(180)]}
    deep = (rgb.astype(np.uint16) << 8) + 7
    return {
        "jpeg": encode(photo, "JPEG", exif=exif, icc_profile=icc),
        "jpeg-444": encode(photo, "JPEG", quality=98, subsampling=0),
        "jpeg-progressive": encode(photo, "JPEG", progressive=True, exif=exif),
        "jpeg-grey": encode(photo.convert("L"), "JPEG"),
        "jpeg-cmyk": encode(photo.convert("CMYK"), "JPEG"),
        "png": encode(photo, "PNG", exif=exif, icc_profile=icc),
        "png-alpha": encode(alpha, "PNG"),
        "png-palette": encode(palette, "PNG", transparency=bytes(range(0, 256, 4))),
        "png-16-bit": cv2.imencode(".png", deep)[1].tobytes(),
        "png-16-bit-grey": cv2.imencode(".png", deep[..., 0])[1].tobytes(),
        "png-hdr": a_png(deep, cicp(9, 16)),
        "png-linear": a_png(deep, (b"gAMA", struct.pack(">I", 100_000))),
        "avif-hdr": an_avif(deep >> 6, 10, 9, 16),
        "png-animated": encode(photo, "PNG", **frames),
        "webp": encode(photo, "WEBP", exif=exif, icc_profile=icc),
        "webp-alpha": encode(alpha, "WEBP"),
        "gif": encode(palette, "GIF", **frames),
        "bmp": encode(photo, "BMP"),
        "bmp-palette": encode(palette, "BMP"),
        "tiff": encode(alpha, "TIFF"),
        "tiff-lzw": encode(photo, "TIFF", compression="tiff_lzw"),
        "tiff-jpeg": encode(photo, "TIFF", compression="jpeg"),
        "tiff-cmyk": encode(photo.convert("CMYK"), "TIFF", compression="tiff_adobe_deflate"),
        "tiff-16-bit": cv2.imencode(".tiff", deep)[1].tobytes(),
        "webp-lossless": encode(alpha, "WEBP", lossless=True),
        "webp-animated": encode(photo, "WEBP", **frames),
    }


# --- mutations ---------------------------------------------------------------------------


def _flip_bytes(content: bytes, dice: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(dice.choice([1, 4, 40])):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def _flip_header(content: bytes, dice: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(dice.choice([1, 2, 5])):
        changed[dice.randrange(2, min(len(changed), 220))] = dice.choice([0, 1, 127, 128, 255])
    return bytes(changed)


def _cut_end(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(2, len(content))]


def _cut_middle(content: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(2, len(content))
    return content[:start] + content[start + dice.choice([1, 16, 1000]) :]


def _repeat_middle(content: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(2, len(content))
    return content[:start] + content[start : start + 300] * dice.choice([2, 50]) + content[start:]


def _append_bytes(content: bytes, dice: random.Random) -> bytes:
    return content + dice.randbytes(dice.choice([1, 5000]))


def _change_size(content: bytes, dice: random.Random) -> bytes:
    """Change the size in the header to any value from 0 to far above the limit."""
    width, height = (dice.choice([0, 1, 119, 121, 7000, 65535]) for _ in range(2))
    changed = bytearray(content)
    if content.startswith(_PNG_START) and len(content) > 33:
        changed[16:24] = struct.pack(">II", width, height)
        return _with_checksums(bytes(changed))
    frame = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
    if content.startswith(b"\xff\xd8") and 0 < frame < len(content) - 9:
        changed[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    if content[12:16] == b"VP8X" and len(content) > 30:
        changed[24:30] = struct.pack("<I", max(0, width - 1))[:3] + struct.pack("<I", height)[:3]
    if content[12:16] == b"VP8 " and len(content) > 30:
        changed[26:30] = struct.pack("<HH", width & 0x3FFF, height & 0x3FFF)
    return bytes(changed)


def _drop_chunk(content: bytes, dice: random.Random) -> bytes:
    parts = _parts(content)
    parts.pop(dice.randrange(len(parts)))
    return b"".join(parts)


def _repeat_chunk(content: bytes, dice: random.Random) -> bytes:
    parts = _parts(content)
    at = dice.randrange(len(parts))
    return b"".join([*parts[:at], *[parts[at]] * dice.choice([2, 40]), *parts[at + 1 :]])


def _swap_chunks(content: bytes, dice: random.Random) -> bytes:
    parts = _parts(content)
    first, second = (dice.randrange(len(parts)) for _ in range(2))
    parts[first], parts[second] = parts[second], parts[first]
    return b"".join(parts)


def _corrupt_chunk(content: bytes, dice: random.Random) -> bytes:
    """Change bytes within one chunk; EXIF, profile and palette are as likely as pixels."""
    parts = _parts(content)
    at = dice.randrange(len(parts))
    parts[at] = _flip_bytes(parts[at], dice) if parts[at] else b""
    broken = b"".join(parts)
    return _with_checksums(broken) if dice.random() < 0.5 else broken


_CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_flip_bytes, _flip_header, _cut_end, _cut_middle, _repeat_middle, _append_bytes),
    *(_change_size, _drop_chunk, _repeat_chunk, _swap_chunks, _corrupt_chunk, _corrupt_chunk),
)


# --- formats -----------------------------------------------------------------------------


def _parts(content: bytes) -> list[bytes]:
    """Cut a file into its format's chunks or segments, with the rest as one more."""
    if content.startswith(_PNG_START):
        start, length_of = len(_PNG_START), _png_chunk_length
    elif content.startswith(b"RIFF"):
        start, length_of = 12, _webp_chunk_length
    else:
        start, length_of = 2, _jpeg_segment_length
    parts, at = [content[:start]], start
    while at < len(content):
        length = length_of(content, at) or len(content)
        parts.append(content[at : at + length])
        at += length
    return parts


def _png_chunk_length(content: bytes, at: int) -> int:
    return 12 + int.from_bytes(content[at : at + 4])


def _webp_chunk_length(content: bytes, at: int) -> int:
    size = int.from_bytes(content[at + 4 : at + 8], "little")
    return 8 + size + size % 2


def _jpeg_segment_length(content: bytes, at: int) -> int:
    scan = content[at + 1 : at + 2] == b"\xda"
    return 0 if scan else 2 + int.from_bytes(content[at + 2 : at + 4])


def _with_checksums(content: bytes) -> bytes:
    if not content.startswith(_PNG_START):
        return content
    mended = []
    for part in _parts(content)[1:]:
        body = part[4:-4]
        whole = len(part) == _png_chunk_length(part, 0)
        mended.append(part[:4] + body + struct.pack(">I", zlib.crc32(body)) if whole else part)
    return _PNG_START + b"".join(mended)


def _exif() -> bytes:
    tags = Image.Exif()
    tags[0x0112] = 6  # orientation
    tags[0x010E] = "a description"
    return tags.tobytes()
