import contextlib
import io
import struct
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable, UnusablePhoto
from smart_filter_tests import heic
from smart_filter_tests.heic import (
    LARGE_QUARTERS,
    QUARTERS,
    SIZE,
    Item,
    a_heic,
    alpha_of,
    box,
    coded_item,
    crop_box,
    exif_of,
    grid,
    ispe,
    overlay,
    rotation_box,
)
from smart_filter_tests.pictures import encode
from smart_filter_workers import images
from smart_filter_workers.images.metadata import exif
from unit.four_colors import (
    BLUE,
    GREEN,
    JPEG_LEVELS,
    RED,
    WHITE,
    corners,
    near,
    quarters,
)


def a_crop(
    left: int, top: int, width: int, height: int, whole: tuple[int, int] = (64, 64)
) -> bytes:
    """Return the box of a crop. Source: ISO/IEC 14496-12, 12.1.4."""
    across, down = 2 * left + width - whole[0], 2 * top + height - whole[1]
    return box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, across, 2, down, 2))


def mirror_box(axis: int) -> bytes:
    return box(b"imir", bytes((axis,)))


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ((crop_box(*SIZE),), [RED, GREEN, BLUE, WHITE]),
        ((crop_box(*SIZE), mirror_box(0)), [WHITE, BLUE, GREEN, RED]),
        ((crop_box(*SIZE), mirror_box(1)), [GREEN, RED, WHITE, BLUE]),
        ((crop_box(*SIZE), rotation_box(1)), [GREEN, BLUE, WHITE, RED]),
        ((crop_box(*SIZE), rotation_box(3), mirror_box(1)), [RED, WHITE, BLUE, GREEN]),
        ((a_crop(0, 0, 20, 20),), [RED] * 4),
        ((a_crop(40, 30, 9, 9), rotation_box(1)), [BLUE] * 4),
    ],
)
def test_heic_is_cropped_turned_and_mirrored_with_its_alpha(
    properties: tuple[bytes, ...], expected: list[tuple[int, ...]]
) -> None:
    half = alpha_of(1)

    opaque = images.decode(a_heic(coded_item(QUARTERS, *properties)))
    seen_through = images.decode(a_heic(coded_item(QUARTERS, *properties), half))

    assert near(corners(opaque.srgb), expected, JPEG_LEVELS)
    over_white = (np.array(expected) * 128 + 255 * 127) / 255
    assert near(corners(seen_through.srgb), over_white, JPEG_LEVELS)
    assert seen_through.alpha is not None
    assert seen_through.alpha.shape == opaque.srgb.shape[:2]
    assert set(seen_through.alpha.ravel()) == {128}


def test_colors_that_were_multiplied_by_their_alpha_are_divided_again() -> None:
    picture = coded_item(QUARTERS, crop_box(*SIZE), references=((b"prem", (2,)),))

    photo = images.decode(a_heic(picture, alpha_of(1)))

    divided = np.minimum(np.array([RED, GREEN, BLUE, WHITE]) * 255 / 128, 255)
    over_white = (divided * 128 + 255 * 127) / 255
    assert near(corners(photo.srgb), over_white, 2 * JPEG_LEVELS)


def an_avif_with(properties: tuple[bytes, ...], **options: object) -> bytes:
    """Return an AVIF whose pictures have more properties; its old description is left out."""
    content = encode(quarters(), "AVIF", subsampling="4:4:4", quality=95, **options)
    at = content.index(b"meta") - 4
    meta = content[at + 8 : at + int.from_bytes(content[at : at + 4])]
    inside = dict(walk(meta[4:]))
    about = dict(walk(inside[b"iprp"]))
    count = len(list(walk(about[b"ipco"])))
    more = bytes(0x80 | count + 1 + index for index in range(len(properties)))
    ipma = about[b"ipma"]
    number, held = struct.unpack_from(">HB", ipma, 8)
    first = struct.pack(">HB", number, held + len(more)) + ipma[11 : 11 + held] + more
    ipma = ipma[:8] + first + ipma[11 + held :]
    inside[b"iprp"] = box(b"ipco", about[b"ipco"] + b"".join(properties)) + box(b"ipma", ipma)
    moved = box(b"meta", meta[:4] + b"".join(box(*item) for item in inside.items()))
    return content[: at + 4] + b"free" + content[at + 8 :] + moved


def walk(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(content):
        length = int.from_bytes(content[at : at + 4])
        yield content[at + 4 : at + 8], content[at + 8 : at + length]
        at += length


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ((a_crop(36, 28, 20, 16, SIZE),), [BLUE] * 4),
        ((a_crop(16, 0, 32, 24, SIZE),), [RED, GREEN, GREEN, RED]),
        ((a_crop(16, 0, 32, 24, SIZE), rotation_box(1)), [GREEN, GREEN, RED, RED]),
        ((a_crop(16, 0, 32, 24, SIZE), mirror_box(1)), [GREEN, RED, RED, GREEN]),
    ],
)
def test_avif_shows_nothing_outside_its_crop(
    properties: tuple[bytes, ...], expected: list[tuple[int, ...]]
) -> None:
    assert near(corners(an_avif_with(properties)), expected, 2 * JPEG_LEVELS)


def test_animated_avif_with_a_crop_of_its_frames_alone_is_refused() -> None:
    content = encode(quarters(), "AVIF", save_all=True, append_images=[quarters()], quality=95)
    at = content.index(b"moov") - 4
    movie = bytearray(content[at : at + int.from_bytes(content[at : at + 4])])
    crop = a_crop(36, 28, 20, 16, SIZE)
    behind = movie.index(b"av1C") - 4
    movie[behind:behind] = crop
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"av01"):
        place = movie.index(kind) - 4
        movie[place : place + 4] = (int.from_bytes(movie[place : place + 4]) + 40).to_bytes(4)
    moved = content[: at + 4] + b"free" + content[at + 8 :] + bytes(movie)

    with pytest.raises(ImageUnreadable, match="animated AVIF have a crop"):
        images.decode(moved)


def test_avif_with_several_crops_is_refused() -> None:
    crops = (a_crop(36, 28, 20, 16, SIZE), a_crop(0, 0, 8, 8, SIZE))

    with pytest.raises(ImageUnreadable, match="cannot be read; save the photo as JPEG"):
        images.decode(an_avif_with(crops))


def test_avif_is_decoded_with_its_exif_and_also_when_that_is_broken() -> None:
    tags = exif.filter_tags(b"", width=64, height=48, dots_per_inch=300)
    content = images.encode_avif(np.asarray(quarters()), quality=95, tags=tags).content

    whole = images.decode(content).exif
    broken = images.decode(content.replace(whole, b"nothing".ljust(len(whole))))

    assert Image.open(io.BytesIO(content)).getexif()[0x011A] == 300
    assert len(whole) > 50
    assert whole in content
    assert near(corners(broken.srgb), [RED, GREEN, BLUE, WHITE], 2 * JPEG_LEVELS)


@pytest.mark.parametrize(
    "crop",
    [
        a_crop(64, 48, 8, 8, SIZE),
        a_crop(0, 0, 0, 0, SIZE),
        box(b"clap", bytes(32)),
        box(b"clap", bytes(8)),
    ],
    ids=["outside", "empty", "divided by zero", "cut"],
)
def test_crop_without_pixels_is_refused(crop: bytes) -> None:
    with pytest.raises(ImageUnreadable):
        images.decode(an_avif_with((crop,)))
    with pytest.raises(ImageUnreadable):
        images.decode(a_heic(coded_item(QUARTERS, crop)))


@pytest.mark.parametrize("orientation", [1, 6])
def test_heic_is_rotated_once_and_not_again_by_its_exif(orientation: int) -> None:
    picture = coded_item(QUARTERS, crop_box(*SIZE), rotation_box(1))

    photo = images.decode(a_heic(picture, exif_of(1, orientation)))

    assert (photo.format, photo.srgb.shape) == ("heic", (64, 48, 3))
    assert near(corners(photo.srgb), [GREEN, BLUE, WHITE, RED], JPEG_LEVELS)
    # libheif frees its pixels with its picture; an earlier version read them later and crashed.
    assert photo.srgb.flags.owndata


def test_tiles_are_joined() -> None:
    photo = images.decode(a_heic(grid(3, 2, range(2, 8), (180, 120)), *TILES))

    assert photo.srgb.shape == (120, 180, 3)
    assert near(corners(photo.srgb[64:112, 64:128]), [RED, GREEN, BLUE, WHITE], JPEG_LEVELS)


@pytest.mark.parametrize("turns", [(), (rotation_box(1),)])
def test_small_crop_of_a_large_picture_is_decoded(turns: tuple[bytes, ...]) -> None:
    described = ispe(192, 128), box(b"hvcC", LARGE_QUARTERS.setup)
    properties = *described, a_crop(120, 80, 30, 20, (192, 128)), *turns

    photo = images.decode(a_heic(Item(b"hvc1", LARGE_QUARTERS.content, properties)))

    assert photo.srgb.shape == ((30, 20, 3) if turns else (20, 30, 3))
    assert near(corners(photo.srgb), [BLUE] * 4, JPEG_LEVELS)


@pytest.mark.parametrize(
    "appended",
    [b"<!-- a tool's note -->", b"\0" * 9, b"\xff" * 99, b"\0\0\1\0free" + b"\0" * 20],
    ids=["text", "zeros", "ones", "cut padding"],
)
@pytest.mark.parametrize(
    "content", [heic.quarters(), encode(quarters(), "AVIF")], ids=["HEIC", "AVIF"]
)
def test_bytes_after_a_photo_are_passed_over(content: bytes, appended: bytes) -> None:
    assert (images.decode(content + appended).srgb == images.decode(content).srgb).all()


CANVAS = overlay([2], (8_000, 7_000))
TOO_LARGE = {
    "canvas": ("8000×7000 pixels", a_heic(CANVAS, coded_item(QUARTERS))),
    "properties": (
        "child boxes",
        a_heic(*[coded_item(QUARTERS, ispe(*SIZE), ispe(64, side)) for side in range(1, 200)]),
    ),
}


@pytest.mark.parametrize("kind", TOO_LARGE)
def test_heic_that_would_take_too_much_is_refused(kind: str) -> None:
    words, content = TOO_LARGE[kind]

    with pytest.raises(ImageTooLarge, match=words):
        images.decode(content)


TILES = [coded_item(QUARTERS) for _ in range(6)]
THUMBNAIL = coded_item(QUARTERS, crop_box(20, 20), references=((b"thmb", (1,)),))
BROKEN = {
    "last tile cut": a_heic(grid(3, 2, range(2, 8), (180, 120)), *TILES)[:-50],
    "thumbnail of a grid without its last tile": a_heic(
        grid(3, 2, range(2, 7), (180, 120)), THUMBNAIL, *TILES[:4]
    ),
    "thumbnail of a picture without set-up": a_heic(
        Item(b"hvc1", QUARTERS.content, (ispe(640, 480),)), THUMBNAIL
    ),
    "made of itself": a_heic(overlay([1], (64, 64))),
    "each of the other": a_heic(overlay([2], (64, 64)), overlay([1], (64, 64))),
    "made of a missing item": a_heic(overlay([7], (64, 64))),
    "made of nothing": a_heic(overlay([], (64, 64))),
    "another coding": a_heic(Item(b"unci", bytes(100))),
    "no set-up": a_heic(Item(b"hvc1", QUARTERS.content)),
    "no size": a_heic(coded_item(replace(QUARTERS, setup=bytes(23)))),
    "pixels cut": heic.quarters()[:-100],
    "header cut": heic.quarters()[:300],
    "ends at once": heic.quarters()[:24],
    "canvas larger than it says": a_heic(
        replace(CANVAS, properties=(ispe(*SIZE),)), coded_item(QUARTERS)
    ),
    "more items than a photo": a_heic(*[Item(b"none", b"")] * 2000),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_heic_is_unreadable(kind: str) -> None:
    with pytest.raises(ImageUnreadable):
        images.decode(BROKEN[kind])


@settings(deadline=None, max_examples=150)  # a busy machine is not a failure
@given(place=st.integers(0, 900), replacement=st.binary(min_size=1, max_size=8))
def test_modified_heic_is_decoded_or_refused(place: int, replacement: bytes) -> None:
    whole = heic.quarters(rotation_box(1))
    broken = whole[:place] + replacement + whole[place + len(replacement) :]

    with contextlib.suppress(UnusablePhoto):
        assert images.decode(broken).srgb.ndim == 3


def coded_larger_than_it_says(width: int, height: int, *, animated: bool) -> bytes:
    large = Image.new("RGB", (width, height))
    frames = {"save_all": True, "append_images": [large]} if animated else {}
    content = encode(large, "AVIF", speed=10, **frames)
    says = struct.pack(">II", width, height)
    assert says in content
    return content.replace(says, struct.pack(">II", 64, 64))


@pytest.mark.slow  # the encoder takes more than a second
@pytest.mark.parametrize("animated", [False, True])
def test_avif_coded_larger_than_it_says_has_the_size_that_it_says(*, animated: bool) -> None:
    content = coded_larger_than_it_says(8000, 6400, animated=animated)

    assert images.decode(content).srgb.shape == (64, 64, 3)


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
