"""How much decoding a HEIC asks for is known from its references, before a decoder sees it."""

import io
import struct
from dataclasses import replace

import pytest
from PIL import Image

from smart_filter_shared.errors import ImageUnreadable, UnsupportedMedia
from smart_filter_shared.security import heif_items, photo_header
from smart_filter_shared.security.heif_items import Expansion, ItemsRefused
from smart_filter_tests.heic import (
    QUARTERS,
    SIZE,
    Item,
    a_heic,
    alpha_of,
    box,
    coded_item,
    grid,
    ispe,
    overlay,
    quarters,
)
from smart_filter_tests.pictures import encode
from smart_filter_workers import images

TILE = coded_item(QUARTERS)
AUXILIARY = box(b"auxC", bytes(4) + b"urn:com:apple:photo:2020:aux:hdrgainmap\0")


def levels(*widths: int, tile: Item = TILE) -> bytes:
    """Return overlays of overlays: each is made of all pictures of the next level."""
    items, first = list[Item](), 2
    for above, width in zip((1, *widths), widths, strict=False):
        items += [overlay(range(first, first + width), SIZE)] * above
        first += width
    return a_heic(*items, *[tile] * widths[-1])


def identity(part: int) -> Item:
    """Return a picture that is another one, cropped or turned."""
    return Item(b"iden", b"", (ispe(64, 64),), ((b"dimg", (part,)),))


def map_tones(base: int, gains: int) -> Item:
    """Return an HDR picture that is a base and its gains. Source: ISO 21496-1."""
    return Item(b"tmap", bytes(62), (ispe(64, 64),), ((b"dimg", (base, gains)),))


def companion(*masters: int) -> Item:
    return coded_item(QUARTERS, AUXILIARY, references=((b"auxl", masters),))


def phone_photo(*, tiles: int = 48) -> bytes:
    """Return a photo as phones store it: tiles, a thumbnail, depth, gains, and one for HDR."""
    first = 6
    return a_heic(
        grid(tiles // 6, 6, range(first, first + tiles), (64 * (tiles // 6), 384)),
        companion(1),
        companion(1),
        coded_item(QUARTERS, references=((b"thmb", (1,)),)),
        map_tones(1, 3),
        *[TILE] * tiles,
    )


ACCEPTED = {
    "one picture": quarters(),
    "phone": phone_photo(),
    "phone of 48 megapixels": phone_photo(tiles=192),
    "alpha": a_heic(TILE, alpha_of(1)),
    "identity of a grid": a_heic(identity(2), grid(1, 1, [3], (64, 64)), TILE),
    "two levels": levels(9, 90),
    "references of another kind in a circle": a_heic(
        coded_item(QUARTERS, references=((b"cdsc", (2,)), (b"thmb", (2,)))),
        coded_item(QUARTERS, references=((b"cdsc", (1,)), (b"thmb", (1,)))),
    ),
    "made of itself in name only": a_heic(TILE, overlay([1], SIZE)),
}
REFUSED = {
    "six levels of ten": ("over 2 levels deep", levels(10, 10, 10, 10, 10, 10)),
    "three levels": ("over 2 levels deep", levels(1, 1, 1)),
    "identities of identities": (
        "long chain",
        a_heic(*(identity(number) for number in range(2, 700)), TILE),
    ),
    "a thousand pictures": ("more than 1000 pictures", levels(31, 33)),
    "a thousand tiles": (
        "more than 1000 pictures",
        a_heic(grid(40, 40, [2] * 1600, (2560, 2560)), TILE),
    ),
    "nine thousand layers": ("more than 1000 pictures", a_heic(overlay([2] * 9000, SIZE), TILE)),
    "alphas of tiles": (
        "more than 1000 pictures",
        a_heic(overlay([2] * 100, SIZE), TILE, *[companion(2)] * 20),
    ),
    "large layers": (
        "over 300 megapixels",
        a_heic(overlay([2] * 20, SIZE), replace(TILE, properties=(ispe(5000, 4000),))),
    ),
    "the same megabyte again": (
        "same pictures too often",
        a_heic(overlay([2] * 40, SIZE), replace(TILE, content=QUARTERS.content + bytes(1_000_000))),
    ),
    "made of itself": ("made of itself", a_heic(overlay([1], SIZE))),
    "each made of the other": ("made of itself", a_heic(overlay([2], SIZE), overlay([1], SIZE))),
    "its own companion": (
        "made of itself",
        a_heic(coded_item(QUARTERS, references=((b"auxl", (1,)),))),
    ),
    "companions of companions": (
        "long chain",
        a_heic(TILE, *(companion(number) for number in range(1, 600))),
    ),
}


def measure(content: bytes) -> Expansion:
    return heif_items.measure_expansion(io.BytesIO(content))


@pytest.mark.parametrize("kind", ACCEPTED)
def test_photo_of_a_few_items_is_accepted_at_the_door_and_by_the_decoder(kind: str) -> None:
    content = ACCEPTED[kind]

    photo_header.read_header(io.BytesIO(content))
    assert images.decode(content).format == "heic"


@pytest.mark.parametrize("kind", REFUSED)
def test_photo_that_expands_is_refused_by_the_walk(kind: str) -> None:
    words, content = REFUSED[kind]

    with pytest.raises(ItemsRefused, match=words):
        measure(content)


def test_photo_that_expands_is_refused_at_the_door_and_by_the_decoder() -> None:
    words, content = REFUSED["six levels of ten"]

    with pytest.raises(UnsupportedMedia, match=f"^the photo has .*{words}; save it as JPEG or PNG"):
        photo_header.read_header(io.BytesIO(content))
    with pytest.raises(ImageUnreadable, match=words):
        images.decode(content)


def test_avif_that_expands_is_refused_too() -> None:
    content = encode(Image.new("RGB", SIZE), "AVIF")
    at = content.index(b"meta")
    length = int.from_bytes(content[at - 4 : at])
    itself = box(b"iref", bytes(4) + box(b"dimg", struct.pack(">HHH", 1, 1, 1)))
    meta = box(b"meta", content[at + 4 : at - 4 + length] + itself)
    expanding = content[:at] + b"free" + content[at + 4 :] + meta

    with pytest.raises(UnsupportedMedia, match="made of itself"):
        photo_header.read_header(io.BytesIO(expanding))


def test_expansion_counts_each_picture_as_often_as_it_is_decoded() -> None:
    content = levels(3, 4)

    expansion = measure(content)

    assert (expansion.depth, expansion.pictures) == (2, 1 + 3 * (1 + 4))
    canvases, tiles = 4 * SIZE[0] * SIZE[1], 12 * 64 * 64
    assert expansion.pixels == canvases + tiles
    assert expansion.coded_bytes == pytest.approx(12 * len(QUARTERS.content), abs=500)


def extents(count: int, *, widths: int) -> bytes:
    """Return an iloc box whose items have many extents of a few bytes, or of none."""
    item = struct.pack(">HHH", 1, 0, count)
    return box(b"iloc", struct.pack(">IBBH", 0, widths, 0, 5000) + item * 5000)


@pytest.mark.parametrize(
    "index",
    [
        extents(65_535, widths=0),
        extents(1000, widths=0x44),
        box(b"iref", bytes(4) + box(b"dimg", struct.pack(">HH", 1, 500))),
        box(b"iref", bytes(4) + struct.pack(">I4s", 5000, b"dimg")),
        box(b"iprp", box(b"ipma", struct.pack(">II", 0, 1 << 31))),
    ],
    ids=["empty extents", "cut extents", "cut references", "cut boxes", "cut sizes"],
)
def test_index_that_says_more_than_it_has_is_walked_to_its_end(index: bytes) -> None:
    content = box(b"ftyp", b"heic" + bytes(4)) + box(b"meta", bytes(4) + index)

    try:
        assert measure(content) == Expansion()
    except struct.error:
        assert len(index) < 48 * 1024
