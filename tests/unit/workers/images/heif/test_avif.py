import io
import struct

import numpy as np
import pytest
from PIL import Image

from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable
from smart_filter_tests.heic import box
from smart_filter_tests.pictures import encode
from smart_filter_workers import images
from smart_filter_workers.images.heif import avif, avif_strips
from smart_filter_workers.images.metadata import exif_filter
from smart_filter_workers.results import Srgb8

MOST_PIXELS = 1000


def bits(*numbers: tuple[int, int]) -> bytes:
    """Pack numbers of given bit widths, highest bit first, padded with zeros."""
    text = "".join(f"{number:0{count}b}" for number, count in numbers)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


def unit(kind: int, content: bytes) -> bytes:
    return bytes((kind << 3 | 2, len(content))) + content


def size(width: int, height: int) -> list[tuple[int, int]]:
    """Return the size fields at the end of a sequence header, in 16 bits each."""
    return [(15, 4), (15, 4), (width - 1, 16), (height - 1, 16)]


REDUCED = [(0, 3), (1, 1), (1, 1), (8, 5)]
# Timing with a long interval, a decoder model of 10 bits, display delays, and two operating points,
# one of them high enough to have a tier.
WHOLE = [
    *[(0, 3), (0, 1), (0, 1), (1, 1), (1, 32), (25, 32), (1, 1), (1, 3), (2, 2)],
    *[(1, 1), (9, 5), (1, 32), (4, 5), (4, 5), (1, 1), (1, 5)],
    *[(1, 12), (9, 5), (0, 1), (1, 1), (5, 10), (6, 10), (0, 1), (1, 1), (3, 4)],
    *[(2, 12), (4, 5), (0, 1), (0, 1)],
]


def an_avif(coded: bytes, *, version: int = 0, in_idat: bool = False) -> bytes:
    """Return the boxes that lead to one coded picture at the end of the file."""
    wide = "I" if version == 2 else "H"
    entry = struct.pack(f">{wide}H4s", 1, 0, b"av01")
    infe = box(b"infe", bytes((3 if version == 2 else 2, 0, 0, 0)) + entry + b"\0")
    iinf = box(b"iinf", struct.pack(">IH", 0, 1) + infe)

    def iloc(offset: int) -> bytes:
        method = struct.pack(">H", int(in_idat)) if version else b""
        where = struct.pack(">HHII", 0, 1, offset, len(coded))
        one = struct.pack(f">{wide}", 1) + method + where
        count = struct.pack(f">{wide}", 1)
        return box(b"iloc", bytes((version, 0, 0, 0, 0x44, 0)) + count + one)

    ftyp = box(b"ftyp", b"avif" + bytes(4) + b"mif1avif")
    if in_idat:
        return ftyp + box(b"meta", bytes(4) + iinf + iloc(0) + box(b"idat", coded))
    before = len(ftyp + box(b"meta", bytes(4) + iinf + iloc(0))) + 8
    return ftyp + box(b"meta", bytes(4) + iinf + iloc(before)) + box(b"mdat", coded)


PLACES = [
    *({"version": version, "in_idat": False} for version in (0, 1, 2)),
    *({"version": version, "in_idat": True} for version in (1, 2)),
]


@pytest.mark.parametrize("fields", [REDUCED, WHOLE], ids=["still", "video"])
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_size_is_found_wherever_the_picture_lies(
    fields: list[tuple[int, int]], place: dict[str, bool]
) -> None:
    coded = unit(2, b"") + unit(1, bits(*fields, *size(400, 300)))
    file = an_avif(coded, **place)

    with pytest.raises(ImageTooLarge, match="coded as 400×300 pixels"):
        avif.sanitize(file, most_pixels=400 * 300 - 1)
    assert avif.sanitize(file, most_pixels=400 * 300) == file


def test_largest_of_several_sequence_headers_counts() -> None:
    coded = b"".join(unit(1, bits(*REDUCED, *size(side, side))) for side in (10, 200, 20))

    with pytest.raises(ImageTooLarge, match="coded as 200×200 pixels"):
        avif.sanitize(an_avif(coded), most_pixels=MOST_PIXELS)


@pytest.mark.parametrize(
    "coded",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(unit(6, bytes(9)), id="no-sequence-header"),
        pytest.param(unit(1, bits(*REDUCED, (15, 4))), id="header-cut"),
        pytest.param(b"\x0a" + b"\xff" * 9, id="length-without-end"),
        pytest.param(unit(2, b"") * 5000 + unit(1, bits(*REDUCED, *size(9, 9))), id="too-many"),
    ],
)
def test_picture_without_its_size_is_unreadable(coded: bytes) -> None:
    with pytest.raises(ImageUnreadable):
        avif.sanitize(an_avif(coded), most_pixels=MOST_PIXELS)


def test_overlapping_parts_are_not_joined() -> None:
    file = bytearray(an_avif(unit(1, bits(*REDUCED, *size(9, 9))) + bytes(2_000_000)))
    iloc = file.index(b"iloc") + 4
    parts = struct.pack(">H", 5_000) + struct.pack(">II", 0, len(file)) * 5_000
    place = iloc + 12
    longer = bytes(file[:place]) + parts + bytes(file[place + 10 :])
    grown = len(longer) - len(file)
    for name in (b"iloc", b"meta"):
        at = longer.index(name) - 4
        (length,) = struct.unpack_from(">I", longer, at)
        longer = longer[:at] + struct.pack(">I", length + grown) + longer[at + 4 :]

    with pytest.raises(ImageUnreadable, match="overlap"):
        avif.sanitize(longer, most_pixels=MOST_PIXELS)


def coded_larger_than_it_says(width: int, height: int, *, animated: bool) -> bytes:
    large = Image.new("RGB", (width, height))
    frames = {"save_all": True, "append_images": [large]} if animated else {}
    content = encode(large, "AVIF", speed=10, **frames)
    says = struct.pack(">II", width, height)
    assert says in content
    return content.replace(says, struct.pack(">II", 64, 64))


@pytest.mark.parametrize("animated", [False, True])
def test_avif_of_the_encoder_has_its_coded_size(*, animated: bool) -> None:
    content = coded_larger_than_it_says(400, 300, animated=animated)

    with pytest.raises(ImageTooLarge, match="coded as 400×300 pixels"):
        avif.sanitize(content, most_pixels=400 * 300 - 1)


def a_ramp(width: int, height: int) -> Srgb8:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x % 256, y % 256, (x + y) // 2 % 256], axis=-1).astype(np.uint8)


def encoded(pixels: Srgb8) -> bytes:
    return images.encode_avif(pixels, quality=95).content


def read(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


@pytest.mark.parametrize(("width", "height"), [(160, 256), (161, 255), (120, 300)])
def test_strips_make_one_picture(width: int, height: int) -> None:
    pixels = a_ramp(width, height)

    content = avif_strips.encode_strips(pixels, encoded, tags=b"", strip_px=160 * 64)

    assert read(content).size == (width, height)
    assert np.abs(np.asarray(read(content)).astype(int) - pixels).mean() <= 2
    assert images.decode(content).srgb.shape == (height, width, 3)


def test_strips_keep_alpha_exactly_and_tags() -> None:
    alpha = np.random.default_rng(3).integers(0, 256, (200, 160), dtype=np.uint8)
    tags = exif_filter.filter_tags(b"", width=160, height=200, dots_per_inch=300)

    content = avif_strips.encode_strips(
        np.dstack([a_ramp(160, 200), alpha]), encoded, tags=tags, strip_px=160 * 64
    )

    assert np.array_equal(np.asarray(read(content))[..., 3], alpha)
    assert read(content).getexif()[0x011A] == 300
    assert images.decode(content).exif == tags


def test_strips_of_different_kinds_are_not_joined() -> None:
    alpha = np.full((200, 160), 255, np.uint8)
    alpha[:64] = 100  # the encoder leaves out the alpha of the others

    whole = np.dstack([a_ramp(160, 200), alpha])

    assert avif_strips.encode_strips(whole, encoded, tags=b"", strip_px=160 * 64) is None


@pytest.mark.slow  # the encoder takes three seconds
def test_large_pictures_are_made_of_strips() -> None:
    large = np.full((3550, 3550, 3), 90, np.uint8)

    content = images.encode_avif(large, quality=80).content

    assert b"grid" in content
    assert np.abs(np.asarray(read(content)).astype(int) - 90).max() <= 2


@pytest.mark.slow  # the encoder takes more than a second
@pytest.mark.parametrize("animated", [False, True])
def test_avif_coded_larger_than_its_declared_size_is_not_decoded(*, animated: bool) -> None:
    content = coded_larger_than_it_says(8000, 6400, animated=animated)

    with pytest.raises(ImageTooLarge, match="coded as 8000×6400 pixels"):
        images.decode(content)


def with_meta_at_the_end(content: bytes, more: bytes) -> bytes:
    """Return an AVIF whose meta box is the last one, so that it can have more children."""
    at = content.index(b"meta")
    length = int.from_bytes(content[at - 4 : at])
    meta = content[at + 4 : at - 4 + length]
    return content[:at] + b"free" + content[at + 4 :] + box(b"meta", meta + more)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        # libavif looks through all items for each of these numbers.
        (box(b"iref", bytes(4) + box(b"dimg", bytes(48 * 1024))), "more items than a photo"),
        (box(b"iprp", box(b"ipma", bytes(48 * 1024))), "more items than a photo"),
        (box(b"free", b"") * 2000, "more than 2000 boxes"),
    ],
)
def test_avif_of_too_many_items_or_boxes_is_refused(more: bytes, words: str) -> None:
    content = encode(Image.new("RGB", (16, 16), "red"), "AVIF")

    with pytest.raises(ImageUnreadable, match=words):
        images.decode(with_meta_at_the_end(content, more))

    assert images.decode(with_meta_at_the_end(content, box(b"free", b""))).srgb.shape == (16, 16, 3)


def test_avif_that_hides_its_brand_is_not_decoded_unchecked() -> None:
    content = encode(Image.new("RGB", (16, 16), "red"), "AVIF")
    length = int.from_bytes(content[:4])
    brands = b"msf1" + bytes(4) + b"msf1" * 20 + b"avifmif1miaf"
    moved = box(b"ftyp", brands) + content[length:]

    with pytest.raises(ImageUnreadable, match="it is a video"):
        images.decode(moved)
