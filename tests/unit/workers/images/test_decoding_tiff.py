"""TIFFs of every kind: each is decoded to the right pixels, or refused by its name."""

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.errors import ImageUnreadable, UnsupportedMedia
from smart_filter_shared.security import photo_header
from smart_filter_workers import images
from smart_filter_workers.results import Bytes

WHITE_IS_0, BLACK_IS_0, COLOR, PALETTE, INK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
COMPRESSION, BIT_ORDER, PLANES, COLOR_MAP, EXTRA, FORMAT = 259, 266, 284, 320, 338, 339
DEFLATE: Final = 8


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its tags with their values, and the bytes of its strips."""

    tags: Mapping[int, Sequence[int]]
    strips: Sequence[bytes]


def page(
    samples: NDArray[np.generic], photometric: int, tags: Mapping[int, int | list[int]]
) -> Page:
    """Return a page of (H, W, samples) numbers; further tags describe how they are stored."""
    height, width, count = samples.shape
    about = {
        256: [width],
        257: [height],
        258: [samples.dtype.itemsize * 8] * count,
        262: [photometric],
        277: [count],
        278: [height],
        **{tag: [value] if isinstance(value, int) else value for tag, value in tags.items()},
    }
    planes = np.moveaxis(samples, -1, 0) if tags.get(PLANES) == 2 else [samples]
    strips = [plane.tobytes() for plane in planes]
    if tags.get(COMPRESSION) == DEFLATE:
        strips = [zlib.compress(strip) for strip in strips]
    return Page(about, strips)


def write_tiff(*pages: Page, order: str = "<") -> bytes:
    """Return a TIFF of these pages, all values as numbers of 32 bits."""
    content = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    for number, page in enumerate(pages):
        tags = {
            **page.tags,
            273: [0] * len(page.strips),
            279: [len(strip) for strip in page.strips],
        }
        lengths = [4 * len(values) if len(values) > 1 else 0 for values in tags.values()]
        strips_at = len(content) + 2 + 12 * len(tags) + 4 + sum(lengths)
        ends = np.cumsum(tags[279]).tolist()
        tags[273] = [strips_at, *(strips_at + end for end in ends[:-1])]
        entries, longer, longer_at = b"", b"", strips_at - sum(lengths)
        for tag, values in sorted(tags.items()):
            packed = struct.pack(f"{order}{len(values)}I", *values)
            if len(values) > 1:
                place = struct.pack(order + "I", longer_at + len(longer))
                longer += packed
                packed = place
            entries += struct.pack(order + "HHI", tag, 4, len(values)) + packed
        following = strips_at + ends[-1] if number + 1 < len(pages) else 0
        content += struct.pack(order + "H", len(tags)) + entries
        content += struct.pack(order + "I", following) + longer + b"".join(page.strips)
    return content


ACROSS, DOWN = np.meshgrid(np.arange(64) * 4, np.arange(48) * 5)
RGB = np.stack([ACROSS, DOWN, (ACROSS + DOWN) // 2], axis=-1).astype(np.uint8)
GRAY, ALPHA = RGB[..., :1], RGB[..., 1:2]
ON_WHITE = 255 - (255.0 - RGB) * ALPHA / 255
# By ITU-R BT.601, full range, as TIFF's default coefficients.
LUMA = RGB @ np.array([0.299, 0.587, 0.114])
CHROMA = [(RGB[..., 2] - LUMA) / 1.772 + 128, (RGB[..., 0] - LUMA) / 1.402 + 128]
IN_YCBCR = np.stack([LUMA, *CHROMA], axis=-1).round().clip(0, 255).astype(np.uint8)
# L* 50 without color is sRGB 119.
GRAY_IN_LAB = np.zeros_like(RGB) + np.array([128, 0, 0], np.uint8)


def deep(levels: Bytes, order: str = "<") -> NDArray[np.generic]:
    return (levels.astype(np.uint16) * 257).astype(f"{order}u2")


def joined(*samples: Bytes) -> Bytes:
    return np.concatenate(samples, axis=-1)


def packed(bits: int, photometric: int, tags: dict[int, int]) -> Page:
    """Return a page of gray levels in fewer than 8 bits."""
    levels = GRAY[..., 0] >> 8 - bits
    if photometric == WHITE_IS_0:
        levels = (1 << bits) - 1 - levels
    in_bits = np.unpackbits(levels[..., None], axis=-1)[..., 8 - bits :].reshape(48, -1)
    rows = np.packbits(in_bits, axis=-1, bitorder="little" if BIT_ORDER in tags else "big")
    made = page(rows[..., None], photometric, tags)
    return Page({**made.tags, 256: [64], 258: [bits]}, made.strips)


READABLE = {
    "8-bit RGB": (RGB, COLOR, {}, RGB),
    "16-bit RGB": (deep(RGB), COLOR, {}, RGB),
    "8-bit RGBA": (joined(RGB, ALPHA), COLOR, {EXTRA: 2}, ON_WHITE),
    "16-bit RGBA": (deep(joined(RGB, ALPHA)), COLOR, {EXTRA: 2}, ON_WHITE),
    "8-bit RGB and another sample": (joined(RGB, ALPHA), COLOR, {EXTRA: 0}, RGB),
    "8-bit CMYK": (joined(255 - RGB, 0 * GRAY), INK, {}, RGB),
    "16-bit CMYK": (deep(joined(255 - RGB, 0 * GRAY)), INK, {}, RGB),
    "YCbCr": (IN_YCBCR, YCBCR, {530: [1, 1]}, RGB),
}
IN_ONE_PLANE = {
    "8-bit gray": (GRAY, BLACK_IS_0, {}, GRAY),
    "16-bit gray": (deep(GRAY), BLACK_IS_0, {}, GRAY),
    "8-bit gray whose white is 0": (255 - GRAY, WHITE_IS_0, {}, GRAY),
    "8-bit gray with alpha": (
        joined(GRAY, ALPHA),
        BLACK_IS_0,
        {EXTRA: 2},
        255 - (255.0 - GRAY) * ALPHA / 255,
    ),
    "Lab": (GRAY_IN_LAB, LAB, {}, np.full_like(RGB, 119)),
}
STORED = {
    "": {},
    ", deflated": {COMPRESSION: DEFLATE},
}
FILES = [
    pytest.param(
        write_tiff(
            page(samples.astype(samples.dtype.newbyteorder(order)), kind, tags | stored | planes),
            order=order,
        ),
        expected,
        id=f"{name}{how}{', planes' if planes else ''}, {order}",
    )
    for name, (samples, kind, tags, expected) in (READABLE | IN_ONE_PLANE).items()
    for how, stored in STORED.items()
    for planes in ({}, {PLANES: 2})
    for order in "<>"
    if name in READABLE or not planes
]


@pytest.mark.parametrize(("content", "expected"), FILES)
def test_pixels_are_right_in_every_layout(content: bytes, expected: NDArray[np.generic]) -> None:
    photo_header.read_header(io.BytesIO(content))

    seen = images.decode(content).srgb

    # Two roundings: to YCbCr or Lab and back.
    assert np.abs(seen - expected.astype(np.float64)).max() <= 2


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("photometric", [WHITE_IS_0, BLACK_IS_0])
@pytest.mark.parametrize("tags", [{}, {COMPRESSION: DEFLATE}])
def test_gray_of_few_bits_is_spread_to_white(
    bits: int, photometric: int, tags: dict[int, int]
) -> None:
    seen = images.decode(write_tiff(packed(bits, photometric, tags))).srgb

    assert np.abs(seen - (GRAY >> 8 - bits) * (255 / ((1 << bits) - 1))).max() <= 1


def test_bits_of_a_fax_may_be_reversed() -> None:
    seen = images.decode(write_tiff(packed(1, WHITE_IS_0, {BIT_ORDER: 2}))).srgb

    assert (seen == (GRAY >> 7) * 255).all()


def with_palette(levels: int) -> Page:
    made = page(GRAY, PALETTE, {})
    return Page({**made.tags, COLOR_MAP: np.tile(np.arange(256) * levels, 3).tolist()}, made.strips)


def test_palette_of_a_tiff_has_16_bits() -> None:
    assert (images.decode(write_tiff(with_palette(257))).srgb == GRAY).all()


REFUSED = {
    "16-bit gray whose white is 0": page(deep(GRAY), WHITE_IS_0, {}),
    "16-bit gray with alpha": page(deep(joined(GRAY, ALPHA)), BLACK_IS_0, {EXTRA: 2}),
    "8-bit gray with alpha in separate planes": page(
        joined(GRAY, ALPHA), BLACK_IS_0, {EXTRA: 2, PLANES: 2}
    ),
    "8-bit gray whose white is 0 with alpha": page(joined(GRAY, ALPHA), WHITE_IS_0, {EXTRA: 2}),
    "8-bit gray with more samples a pixel": page(RGB, BLACK_IS_0, {}),
    "8-bit CMYK with alpha": page(joined(RGB, GRAY, ALPHA), INK, {EXTRA: 2}),
    "32-bit floating-point gray": page(GRAY.astype(np.float32), BLACK_IS_0, {FORMAT: 3}),
    "32-bit floating-point RGB": page(RGB.astype(np.float32), COLOR, {FORMAT: 3}),
    "16-bit floating-point RGB": page(RGB.astype(np.float16), COLOR, {FORMAT: 3}),
    "16-bit signed gray": page(GRAY.astype(np.int16), BLACK_IS_0, {FORMAT: 2}),
    "8-bit signed gray": page(GRAY.view(np.int8), BLACK_IS_0, {FORMAT: 2}),
    "32-bit gray": page(GRAY.astype(np.uint32), BLACK_IS_0, {}),
    "16-bit palette": page(deep(GRAY), PALETTE, {COLOR_MAP: 65535}),
    "8-bit ICC Lab": page(RGB, 9, {}),
    "8-bit Lab in separate planes": page(RGB, LAB, {PLANES: 2}),
    "8-bit colors of number 4": page(GRAY, 4, {}),
    "16-bit RGB in reversed bits": page(deep(RGB), COLOR, {BIT_ORDER: 2}),
}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", REFUSED)
def test_kind_without_decoder_is_refused_by_name(kind: str, order: str) -> None:
    words = f"is a TIFF of {kind}; save it as RGB with 8 or 16 bits a sample"
    content = write_tiff(REFUSED[kind], order=order)

    with pytest.raises(UnsupportedMedia, match=words):
        photo_header.read_header(io.BytesIO(content))
    with pytest.raises(ImageUnreadable, match=words):
        images.decode(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            page(RGB, COLOR, {COMPRESSION: 50001}),
            "with compression WebP; save it with LZW or without compression",
        ),
        (page(RGB, COLOR, {COMPRESSION: 12345}), "with compression number 12345; save"),
        (with_palette(1), "whose palette has 8 bits instead of 16; save it as RGB"),
    ],
)
def test_rare_compression_or_palette_is_refused_by_name(content: Page, words: str) -> None:
    with pytest.raises(UnsupportedMedia, match=f"a TIFF {words}"):
        photo_header.read_header(io.BytesIO(write_tiff(content)))


THUMBNAIL = page(RGB[::8, ::8], COLOR, {254: 1})
PHOTO = page(RGB, COLOR, {254: 0})


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([PHOTO, page(255 - RGB, COLOR, {})], RGB),
        ([THUMBNAIL, PHOTO], RGB),
        ([THUMBNAIL, THUMBNAIL, PHOTO], RGB),
        ([THUMBNAIL], RGB[::8, ::8]),
        ([THUMBNAIL] * 20 + [PHOTO], RGB[::8, ::8]),
    ],
    ids=["first page", "second", "third", "only a thumbnail", "too many"],
)
def test_photo_is_the_first_page_that_is_no_thumbnail(pages: list[Page], expected: Bytes) -> None:
    content = write_tiff(*pages)

    header = photo_header.read_header(io.BytesIO(content))

    assert (header.height, header.width) == expected.shape[:2]
    assert (images.decode(content).srgb == expected).all()
