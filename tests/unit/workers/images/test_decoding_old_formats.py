"""GIF, BMP and TIFF: what scanners and old programs send."""

import datetime as dt
import struct

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from smart_filter_tests.pictures import encode
from smart_filter_workers import images
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
from unit.profiles import a_gray_profile

FOUR = [RED, GREEN, BLUE, WHITE]
DEEP = np.asarray(quarters()).astype(np.uint16) * 257
PAGES = {"save_all": True, "append_images": [Image.new("RGB", (64, 48), "black")]}
ORIENTATION = 274


def deep_tiff(bits_of: np.ndarray, compression: int) -> bytes:
    ok, content = cv2.imencode(".tiff", bits_of, [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    assert ok
    return content.tobytes()


def tiled_tiff() -> bytes:
    options = [cv2.IMWRITE_TIFF_ROWSPERSTRIP, 16]
    ok, content = cv2.imencode(".tiff", np.asarray(quarters())[..., ::-1], options)
    assert ok
    return content.tobytes()


COLORS = {
    "TIFF": encode(quarters(), "TIFF"),
    **{
        f"TIFF, {name}": encode(quarters(), "TIFF", compression=name)
        for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits")
    },
    "TIFF, JPEG": encode(quarters(), "TIFF", compression="jpeg", quality=98),
    "TIFF of 16 bits, LZW": deep_tiff(DEEP[..., ::-1], 5),
    "TIFF in strips": tiled_tiff(),
    "TIFF of pages": encode(quarters(), "TIFF", **PAGES),
    "TIFF on its side": encode(
        quarters().transpose(Image.Transpose.ROTATE_90), "TIFF", tiffinfo={ORIENTATION: 6}
    ),
    "TIFF on its side, LZW": encode(
        quarters().transpose(Image.Transpose.ROTATE_90),
        "TIFF",
        tiffinfo={ORIENTATION: 6},
        compression="tiff_lzw",
    ),
    "GIF": encode(quarters(), "GIF"),
    "GIF of frames": encode(quarters(), "GIF", **PAGES),
    "BMP": encode(quarters(), "BMP"),
    "BMP of a palette": encode(quarters().quantize(8), "BMP"),
}


@pytest.mark.parametrize("kind", COLORS)
def test_colors_and_orientation_are_those_of_the_file(kind: str) -> None:
    photo = images.decode(COLORS[kind])

    assert photo.srgb.shape == (48, 64, 3)
    assert photo.format == kind.split(",", maxsplit=1)[0].split(maxsplit=1)[0].lower()
    assert photo.alpha is None
    assert near(corners(photo.srgb), FOUR, JPEG_LEVELS)


@pytest.mark.parametrize(("alpha", "decoded"), [(0, None), (128, 128)])
def test_bmp_without_any_coverage_is_opaque(alpha: int, decoded: int | None) -> None:
    picture = quarters().convert("RGBA")
    picture.putalpha(alpha)
    pixels = encode(picture, "BMP")[54:]
    # Source: BITMAPV4HEADER, with masks of blue, green, red and alpha.
    header = struct.pack("<IiiHHIIiiII", 108, 64, 48, 1, 32, 3, 0, 0, 0, 0, 0)
    masks = struct.pack("<IIII52x", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    start = struct.pack("<2sIII", b"BM", 122 + len(pixels), 0, 122)

    photo = images.decode(start + header + masks + pixels)

    assert (None if photo.alpha is None else set(photo.alpha.ravel())) == (decoded and {decoded})
    assert alpha or near(corners(photo.srgb), FOUR, 0)


GRAY = np.linspace(0, 255, 64, dtype=np.uint8)[None].repeat(48, 0)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("icc", [b"", a_gray_profile()], ids=["no profile", "gray profile"])
def test_gray_of_a_tiff_is_converted_by_its_profile(bits: int, icc: bytes) -> None:
    levels = GRAY if bits == 8 else GRAY.astype(np.uint16) * 257
    light = GRAY / 255
    linear = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)

    seen = images.decode(encode(Image.fromarray(levels), "TIFF", icc_profile=icc)).srgb

    expected = 255 * (linear if icc else light)
    assert np.abs(seen - expected[..., None]).max() <= 1.5


def test_tags_of_a_tiff_are_kept_and_precede_its_xmp() -> None:
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = 1
    tags[ExifTags.Base.Artist] = "Ada"
    tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2001:02:03 04:05:06"
    tags[ExifTags.Base.XMLPacket] = b'<x tiff:Orientation="6"/>'

    photo = images.decode(encode(quarters(), "TIFF", exif=tags.tobytes()))

    assert near(corners(photo.srgb), FOUR, 0)
    assert photo.taken_at == dt.datetime(2001, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
    assert b"Ada" in photo.exif


@pytest.mark.parametrize("kind", ["TIFF", "GIF"])
def test_transparency_is_kept_over_white(kind: str) -> None:
    picture = quarters().convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 32, 24))

    photo = images.decode(encode(picture, kind))

    assert near(corners(photo.srgb), [WHITE, GREEN, BLUE, WHITE], JPEG_LEVELS)
    assert photo.alpha is not None
    assert (photo.alpha[:24, :32] == 0).all()
    assert (photo.alpha[24:] == 255).all()
