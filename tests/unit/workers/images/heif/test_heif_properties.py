import struct
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from smart_filter_shared.errors import ImageUnreadable
from smart_filter_tests.four_colors import (
    BLUE,
    GREEN,
    JPEG_LEVELS,
    RED,
    WHITE,
    corners,
    exif,
    near,
    quarters,
)
from smart_filter_tests.heic import (
    HALF,
    QUARTERS,
    SIZE,
    a_heic,
    alpha_of,
    box,
    coded_item,
    crop_box,
    rotation_box,
)
from smart_filter_tests.pictures import encode
from smart_filter_workers import images

JPEG = encode(quarters(), "JPEG", quality=95)


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


def test_heic_with_a_lost_thumbnail_is_decoded() -> None:
    content = a_heic(coded_item(QUARTERS, crop_box(*SIZE), references=((b"thmb", (9,)),)))

    assert near(corners(content), [RED, GREEN, BLUE, WHITE], JPEG_LEVELS)


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


def test_animated_avif_shows_nothing_outside_the_crop_of_its_frames() -> None:
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

    assert near(corners(moved), [BLUE] * 4, 4 * JPEG_LEVELS)


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


XMP = b"<x:xmpmeta><rdf:Description %s/></x:xmpmeta>"
SIX = XMP % b'tiff:Orientation="6"'


def typed_orientation(kind: int, layout: str) -> bytes:
    """Return EXIF with orientation 6 in a type of integers, big-endian."""
    entry = struct.pack(">HHI", 0x0112, kind, 1) + struct.pack(f">{layout}", 6).ljust(4, b"\0")
    return b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)


# Turned by orientation 6: clockwise by a quarter.
TURNED = [WHITE, RED, GREEN, BLUE]
RAW = "\nexif\n%8d\n%s\n"


def raw_profile(tags: bytes, name: str = "exif", *, compressed: bool = False) -> PngInfo:
    """Return the text that ImageMagick writes instead of the chunk eXIf."""
    chunks = PngInfo()
    lines = "\n".join(tags.hex()[at : at + 72] for at in range(0, 2 * len(tags), 72))
    chunks.add_text(f"Raw profile type {name}", RAW % (len(tags), lines), zip=compressed)
    return chunks


def xmp_of_png(packet: bytes) -> PngInfo:
    chunks = PngInfo()
    chunks.add_itxt("XML:com.adobe.xmp", packet.decode())
    return chunks


TURNING = {
    "raw profile": (encode(quarters(), "PNG", pnginfo=raw_profile(exif(6))), TURNED),
    "compressed raw profile": (
        encode(quarters(), "PNG", pnginfo=raw_profile(exif(6), "APP1", compressed=True)),
        TURNED,
    ),
    "broken raw profile": (
        encode(quarters(), "PNG", pnginfo=raw_profile(b"nonsense")),
        [RED, GREEN, BLUE, WHITE],
    ),
    "XMP of a JPEG": (encode(quarters(), "JPEG", quality=95, xmp=SIX), TURNED),
    "XMP of a PNG": (encode(quarters(), "PNG", pnginfo=xmp_of_png(SIX)), TURNED),
    "XMP of a WebP": (encode(quarters(), "WEBP", lossless=True, xmp=SIX), TURNED),
    "XMP as an element": (
        encode(quarters(), "JPEG", quality=95, xmp=b"<tiff:Orientation>6</tiff:Orientation>"),
        TURNED,
    ),
    "XMP against EXIF": (
        encode(quarters(), "JPEG", quality=95, exif=exif(1), xmp=SIX),
        [RED, GREEN, BLUE, WHITE],
    ),
    "XMP with EXIF that has none": (
        encode(quarters(), "JPEG", quality=95, exif=exif(0), xmp=SIX),
        TURNED,
    ),
    **{
        f"EXIF in type {kind}": (
            encode(quarters(), "JPEG", quality=95, exif=typed_orientation(kind, layout)),
            TURNED,
        )
        for kind, layout in {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}.items()
    },
    "XMP without meaning": (
        encode(quarters(), "JPEG", quality=95, xmp=XMP % b'tiff:Orientation="9"'),
        [RED, GREEN, BLUE, WHITE],
    ),
}


@pytest.mark.parametrize("kind", TURNING)
def test_orientation_is_read_from_every_place_where_programs_write_it(kind: str) -> None:
    content, expected = TURNING[kind]

    assert near(corners(content), expected, JPEG_LEVELS)


def with_gain_map(base: bytes, gain: bytes) -> bytes:
    """Return a JPEG with a second one behind it, as Ultra HDR and MPO have them."""
    xmp = b"http://ns.adobe.com/xap/1.0/\0" + XMP % b'hdrgm:Version="1.0"'
    segment = b"\xff\xe1" + (len(xmp) + 2).to_bytes(2) + xmp
    return base[:2] + segment + base[2:] + gain


GAIN = encode(Image.new("L", (64, 48), 200), "JPEG")
APPLE_GAIN = box(b"auxC", bytes(4) + b"urn:com:apple:photo:2020:aux:hdrgainmap\0")


@pytest.mark.parametrize(
    "content",
    [
        with_gain_map(JPEG, GAIN),
        with_gain_map(JPEG, GAIN[:-2]),
        encode(quarters(), "MPO", quality=95, save_all=True, append_images=[quarters()]),
        a_heic(
            coded_item(QUARTERS, crop_box(*SIZE)),
            coded_item(HALF, APPLE_GAIN, references=((b"auxl", (1,)),)),
        ),
    ],
    ids=["Ultra HDR", "Ultra HDR cut in its map", "MPO", "HEIC of Apple"],
)
def test_gain_map_is_neither_a_frame_nor_alpha_and_the_base_is_the_photo(content: bytes) -> None:
    photo = images.decode(content)

    assert photo.alpha is None
    assert near(corners(photo.srgb), [RED, GREEN, BLUE, WHITE], JPEG_LEVELS)
