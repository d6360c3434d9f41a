"""Build HEIC files box by box around pictures that were coded once.

The project has no HEVC encoder. The pictures below are our own drawings, coded by x265 through
pillow-heif 1.4 at 64×64 pixels; the upper 48 rows are the picture.
"""

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image

SIZE: Final = (64, 48)


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """A coded picture: its decoder configuration, and its own bytes."""

    setup: bytes
    content: bytes


# Quarters of red (200, 30, 30), green (30, 160, 40), blue (30, 40, 190) and white, clockwise
# from the top left; whole chroma, quality 80.
QUARTERS: Final = CodedPicture(
    base64.b64decode(
        "AQQIAAAAnjgAAAAAHvAA/P/4+AAADwNgAAEAF0ABDAH//wQIAAADAJ44AAADAAAeugJAYQABACpCAQEECAAAAwCe"
        "OAAAAwAAHpAEECCy3VyU1zcBDQYEAAADAGQAAAMABCBiAAEACEQBwXMYMAiQ"
    ),
    base64.b64decode(
        "AAABDSgBrwT47Frp+t/6j///+R/7L8Wjy33LILp99udkl6Mv/9FtKZbE23dvC0gnjy20tt6fudCAZC47dqE6qxo4"
        "AtPgZbeLR1CFIz+XJ/+s5P/wPOJXCVn/hn//a07KX+1zl/UqC+kcFX0xuuTy+ar7/kKfJWMeyQZFkjcEtDC9ic/k"
        "mjKMBt6ANPmQpCAL2hEwkgYT3foWpsmfPZTD2ycm78pLYczplaC3eEedgJUYZPu0I6QfnSUhCfW4Fu9XuPqXUL0t"
        "neEvGNSD/syoPvaw1eVtck++X8uH+63VMI0g4Ny6Sr9BSwK+5/AxZ8YzmLMHmnzwziD7FuhfSbRkXX/JUWBMc2L8"
        "G9hJBSO6uJUY"
    ),
)
# Gray alone, 128 of 255, as alpha is coded.
HALF: Final = CodedPicture(
    base64.b64decode(
        "AQQIAAAAn/gAAAAA//AA/Pz4+AAADwNgAAEAF0ABDAH//wQIAAADAJ/4AAADAAD/ugJAYQABACVCAQEECAAAAwCf"
        "+AAAAwAA/8CCBBZbq5Ka5sCAAAAMgAAAAwCEYgABAAZEAcFxiRI="
    ),
    base64.b64decode("AAAACygBrgtwmIfcf4Jg"),
)
# Gray (64, 64, 64) of 255, 10 bits.
TEN_BITS: Final = CodedPicture(
    base64.b64decode(
        "AQQIAAAAnDgAAAAA//AA/P/6+gAADwNgAAEAF0ABDAH//wQIAAADAJw4AAADAAD/ugJAYQABAClCAQEECAAAAwCc"
        "OAAAAwAA/5AEECCbLdXJTXNwENBgQAAABkAAAAMAQmIAAQAIRAHBcDBgkSA="
    ),
    base64.b64decode(
        "AAAAOCgBrwW4H3mAZv//+ZpsxwyuaPpA1QNUDVA1QQZEGRBkQZEGRBkQZEGtNVkzCWUDXtpyq7B9Yibc"
    ),
)


# The same quarters, 192×128 pixels, half chroma, quality 60.
LARGE_QUARTERS: Final = CodedPicture(
    base64.b64decode(
        "AQNwAAAAAAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMA"
        "kAAAAwAAAwAeoBggIFlupJKa5uAhoMCAAAAMgAAAAwCEYgABAAdEAcFysGJA"
    ),
    base64.b64decode(
        "AAABQygBrwnRrIAhOXVf//0Y3//8I08h+1ywdBzDy7jbrzz585w/y0D//iqZju4X/4C0PQ1e+hCOwN8Ye//60ZEB"
        "8wK1/7JwPjyAVMO4rOmgOt0+d53Lk21bvmWxov6aOrD5/Z8qQ7d6QjMDA9MRrHe/KbQwE/q0RnWEuC9S+gh9zMjI"
        "1CQcgb8dO0vdCggWtcwIECC5cHcUI8pyEZDyx6ngbu2zdOwuZhe/i190r/2D9o/1U8lUwZ6Nw7nfCKOlr0FEtdZh"
        "E569nDtiVpHgNzAOhpocSwNtu0tbgsafXzexZLC9/Fr7pX/sH7R/qp3PyGaA50t/Azo56TIMOFneSUe/+SPbWnTL"
        "Yl8mggC7b6D2gKH65n4n25IXERBa9ljps+Ny3OLSwdhnY//glqdP1C0kXtTyCaz/9s4YTv/s25gfv5SBdK6A"
    ),
)


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a file.

    properties: boxes that apply to it.  references: kind, and the numbers of other items. Items are
    numbered from 1 in order; the first is the main picture.
    """

    kind: bytes
    content: bytes
    properties: tuple[bytes, ...] = ()
    references: tuple[tuple[bytes, Sequence[int]], ...] = ()


def box(kind: bytes, content: bytes) -> bytes:
    """Return a box. Source: ISO/IEC 14496-12, 4.2."""
    return struct.pack(">I4s", len(content) + 8, kind) + content


def ispe(width: int, height: int) -> bytes:
    """Return the box with a picture's size."""
    return box(b"ispe", struct.pack(">III", 0, width, height))


def rotation_box(quarters: int) -> bytes:
    """Return the box that rotates a picture by `quarters` times 90°, counter-clockwise."""
    return box(b"irot", bytes((quarters,)))


def crop_box(width: int, height: int) -> bytes:
    """Return the box that crops 64×64 pixels to those at the top left."""
    offsets = ((width - 64, 2), (height - 64, 2))
    sides = struct.pack(">IIII", width, 1, height, 1)
    return box(b"clap", sides + b"".join(struct.pack(">iI", *offset) for offset in offsets))


def profile(icc: bytes) -> bytes:
    return box(b"colr", b"prof" + icc)


def coded_item(
    picture: CodedPicture,
    *properties: bytes,
    references: tuple[tuple[bytes, Sequence[int]], ...] = (),
) -> Item:
    """Return a coded picture of 64×64 pixels."""
    described = (ispe(64, 64), box(b"hvcC", picture.setup))
    return Item(b"hvc1", picture.content, (*described, *properties), references)


def alpha_of(number: int, picture: CodedPicture = HALF) -> Item:
    kind = box(b"auxC", bytes(4) + b"urn:mpeg:hevc:2015:auxid:1\0")
    return coded_item(picture, kind, crop_box(*SIZE), references=((b"auxl", (number,)),))


def grid(columns: int, rows: int, parts: Sequence[int], size: tuple[int, int]) -> Item:
    """Return a picture made of others side by side. Source: ISO/IEC 23008-12, 6.6.2.3."""
    content = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, *size)
    return Item(b"grid", content, (ispe(*size),), ((b"dimg", parts),))


def overlay(parts: Sequence[int], size: tuple[int, int]) -> Item:
    """Return a picture made of others on top of each other. Source: ISO/IEC 23008-12, 6.6.2.2."""
    places = bytes(8 * len(parts))
    content = struct.pack(">BB8xII", 0, 1, *size) + places
    return Item(b"iovl", content, (ispe(*size),), ((b"dimg", parts),))


def exif_of(number: int, orientation: int) -> Item:
    """Return the EXIF of a picture. Source: ISO/IEC 23008-12, annex A.2."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    return Item(b"Exif", bytes(4) + tags.tobytes()[6:], (), ((b"cdsc", (number,)),))


def quarters(*properties: bytes) -> bytes:
    """Return a photo: the quarters, and nothing else."""
    return a_heic(coded_item(QUARTERS, crop_box(*SIZE), *properties))


def a_heic(*items: Item, brand: bytes = b"heic") -> bytes:
    start = box(b"ftyp", brand + bytes(4) + b"mif1" + brand)
    properties = list(dict.fromkeys(shared for item in items for shared in item.properties))
    listed, places, references, associations = b"", b"", b"", b""
    for number, item in enumerate(items, 1):
        listed += box(b"infe", struct.pack(">IHH4sB", 2 << 24, number, 0, item.kind, 0))
        indices = [properties.index(shared) + 1 for shared in item.properties]
        associations += struct.pack(">HB", number, len(indices))
        associations += b"".join(struct.pack(">H", index) for index in indices)
        for kind, targets in item.references:
            count = len(targets)
            references += box(kind, struct.pack(f">HH{count}H", number, count, *targets))
    boxes = [
        box(b"hdlr", bytes(8) + b"pict" + bytes(13)),
        box(b"pitm", struct.pack(">IH", 0, 1)),
        box(b"iinf", struct.pack(">IH", 0, len(items)) + listed),
        box(
            b"iprp",
            box(b"ipco", b"".join(properties))
            + box(b"ipma", struct.pack(">II", 1, len(items)) + associations),
        ),
        *([box(b"iref", bytes(4) + references)] if references else []),
    ]
    iloc_bytes = 8 + 8 + 14 * len(items)
    at = len(start) + 8 + 4 + sum(map(len, boxes)) + iloc_bytes + 8
    for number, item in enumerate(items, 1):
        places += struct.pack(">HHHII", number, 0, 1, at, len(item.content))
        at += len(item.content)
    iloc = box(b"iloc", struct.pack(">IHH", 0, 0x4400, len(items)) + places)
    meta = box(b"meta", bytes(4) + b"".join(boxes) + iloc)
    return start + meta + box(b"mdat", b"".join(item.content for item in items))
