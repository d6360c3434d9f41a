"""Find the page of a TIFF that holds the photo, and name a page that no decoder here reads rightly.

Source: TIFF 6.0, sections 2 to 23; Adobe Photoshop TIFF notes 2 and 3; Adobe DNG 1.7, chapter 4.
"""

import struct
from dataclasses import dataclass
from typing import IO, Final

from smart_filter_shared.security.other_formats import RAW

SIGNATURES: Final = (b"II*\0", b"MM\0*")
DIRECTORY_AT: Final = slice(4, 8)

# Pages that are read in search of the photo: it follows its thumbnails, seldom more than two.
_MAX_PAGES: Final = 8
# Scanners write a few dozen entries.
_MAX_ENTRIES: Final = 1000
# Values of an entry that are read: as many as a palette has.
_MAX_VALUES: Final = 768
_ENTRY_BYTES: Final = 12
_INLINE_BYTES: Final = 4
_LAYOUTS: Final = {1: "B", 3: "H", 4: "I"}  # BYTE, SHORT and LONG
_CANON_AT: Final = slice(8, 10)

_SUBFILE_TYPE, _SUB_DIRECTORIES, _DNG_VERSION = 254, 330, 50706
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_BIT_ORDER, _SAMPLES, _PLANES, _PALETTE = 266, 277, 284, 320
_EXTRA_SAMPLES, _SAMPLE_FORMAT = 338, 339

_UNSIGNED, _SEPARATE_PLANES, _LOWEST_BIT_FIRST = 1, 2, 2
_FORMATS: Final = {2: "signed ", 3: "floating-point ", 5: "complex ", 6: "complex "}
_ALPHA: Final = frozenset({1, 2})
_BYTE_BITS: Final = 8
_OLD_JPEG, _JPEG = 6, 7
# None, fax (three), LZW, both JPEGs, Deflate (two), PackBits, LZMA and Zstandard.
_COMPRESSIONS: Final = {1, 2, 3, 4, 5, _OLD_JPEG, _JPEG, 8, 32946, 32773, 34925, 50000}
_COMPRESSION_NAMES: Final = {
    **dict.fromkeys((33003, 33004, 33005, 34712), "JPEG 2000"),
    **dict.fromkeys((50002, 52546), "JPEG XL"),
    34887: "LERC",
    34933: "PNG",
    50001: "WebP",
}
_FROM_WHITE, _GRAY, _RGB, _INDEXED, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
_SENSOR_COLORS: Final = {32803, 34892}  # of raw files
_COLOR_NAMES: Final = {
    _FROM_WHITE: "gray whose white is 0",
    _GRAY: "gray",
    _RGB: "RGB",
    _INDEXED: "palette",
    _CMYK: "CMYK",
    _YCBCR: "YCbCr",
    _LAB: "Lab",
    9: "ICC Lab",
    10: "ITU Lab",
    32844: "LogL",
    32845: "LogLuv",
}
_COLOR_SAMPLES: Final = {_RGB: 3, _CMYK: 4, _YCBCR: 3, _LAB: 3, 9: 3, 10: 3, 32845: 3}
# Colors and bits that Pillow decodes to the right pixels, with the most samples next to them and
# whether one of these may be alpha.
_READABLE: Final = {
    **{(_FROM_WHITE, bits): (0, False) for bits in (1, 2, 4, 8)},
    **{(_GRAY, bits): (0, False) for bits in (1, 2, 4, 16)},
    (_GRAY, 8): (1, True),
    (_RGB, 8): (3, True),
    (_RGB, 16): (1, True),
    **{(_INDEXED, bits): (0, False) for bits in (1, 2, 4)},
    (_INDEXED, 8): (1, True),
    (_CMYK, 8): (2, False),
    (_CMYK, 16): (0, False),
    (_YCBCR, 8): (0, False),
    (_LAB, 8): (0, False),
}
_REMEDY: Final = "save it as RGB with 8 or 16 bits a sample"


@dataclass(frozen=True, slots=True)
class TiffPage:
    """The page of a photo.

    directory: its position in the file, as the header stores it.  width, height: in pixels as
    stored, 0 if missing.  refusal: its kind and what to save it as; None for one that is accepted.
    """

    directory: bytes
    width: int
    height: int
    refusal: str | None


def find_photo(file: IO[bytes]) -> TiffPage:
    """Return the first page that is no thumbnail; the first one of a file that has only these.

    Raises struct.error for a file that is cut.
    """
    file.seek(0)
    start = file.read(_CANON_AT.stop)
    order = "<" if start.startswith(b"II") else ">"
    page = first = _Directory(file, order, struct.unpack(order + "I", start[DIRECTORY_AT])[0])
    is_raw = (
        start[_CANON_AT] == b"CR"
        or _DNG_VERSION in first.entries
        or (first.is_reduced and _SUB_DIRECTORIES in first.entries)
    )
    for _ in range(_MAX_PAGES):
        if not page.is_reduced or is_raw:
            break
        page = _Directory(file, order, page.following) if page.following else first
    else:
        page = first
    return TiffPage(
        struct.pack(order + "I", page.at),
        page.number(_WIDTH, 0),
        page.number(_HEIGHT, 0),
        RAW if is_raw else _find_refusal(page),
    )


class _Directory:
    """The tags of a page; `entries` holds their type, count and value or its position."""

    def __init__(self, file: IO[bytes], order: str, at: int) -> None:
        self.at = at
        self._file = file
        self._order = order
        file.seek(at)
        (count,) = struct.unpack(order + "H", file.read(2))
        count = min(count, _MAX_ENTRIES)
        listed = file.read(count * _ENTRY_BYTES)
        self.entries = {
            tag: (kind, values, content)
            for tag, kind, values, content in (
                struct.unpack_from(order + "HHI4s", listed, number * _ENTRY_BYTES)
                for number in range(count)
            )
        }
        (self.following,) = struct.unpack(order + "I", file.read(4).ljust(4, b"\0"))
        self.is_reduced = bool(self.number(_SUBFILE_TYPE, 0) & 1)

    def number(self, tag: int, default: int) -> int:
        """Return the first value of a tag."""
        return (*self.values(tag), default)[0]

    def values(self, tag: int) -> tuple[int, ...]:
        """Return the values of a tag, at most _MAX_VALUES; empty without it."""
        kind, count, content = self.entries.get(tag, (0, 0, b""))
        layout = f"{self._order}{min(count, _MAX_VALUES)}{_LAYOUTS.get(kind, 'I')}"
        length = struct.calcsize(layout)
        if length > _INLINE_BYTES:
            self._file.seek(struct.unpack(self._order + "I", content)[0])
            content = self._file.read(length)
        return struct.unpack_from(layout, content)


def _find_refusal(page: _Directory) -> str | None:
    compression = page.number(_COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        name = _COMPRESSION_NAMES.get(compression, f"number {compression}")
        return f"a TIFF with compression {name}; save it with LZW or without compression"
    color = _YCBCR if compression == _OLD_JPEG else page.number(_PHOTOMETRIC, _FROM_WHITE)
    if color in _SENSOR_COLORS:
        return RAW
    if color == _INDEXED and max(page.values(_PALETTE), default=0) <= 0xFF:  # noqa: PLR2004
        return f"a TIFF whose palette has 8 bits instead of 16; {_REMEDY}"
    needed = _COLOR_SAMPLES.get(color, 1)
    samples = page.number(_SAMPLES, needed if compression == _JPEG else 1)
    bits = {*page.values(_BITS)[:samples]} or {1}
    formats = {*page.values(_SAMPLE_FORMAT)[:samples]} - {_UNSIGNED}
    has_alpha = not _ALPHA.isdisjoint(page.values(_EXTRA_SAMPLES))
    is_planar = samples > 1 and page.number(_PLANES, 1) == _SEPARATE_PLANES
    is_reversed = page.number(_BIT_ORDER, 1) == _LOWEST_BIT_FIRST
    most_extra, may_be_alpha = _READABLE.get((color, max(bits)), (-1, False))
    if (
        len(bits) == 1
        and not formats
        and samples - needed <= most_extra
        and (may_be_alpha or not has_alpha)
        and not (is_planar and color in {_GRAY, _LAB})
        and not (is_reversed and (max(bits) > _BYTE_BITS or samples > needed or color > _INDEXED))
    ):
        return None
    words = (
        f"{'/'.join(map(str, sorted(bits)))}-bit ",
        _FORMATS.get(min(formats, default=_UNSIGNED), ""),
        _COLOR_NAMES.get(color, f"colors of number {color}"),
        " with alpha" * has_alpha,
        " with more samples a pixel" * (samples > needed and not has_alpha),
        " in separate planes" * is_planar,
        " in reversed bits" * is_reversed,
    )
    return f"a TIFF of {''.join(words)}; {_REMEDY}"
