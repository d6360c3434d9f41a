"""Large AVIFs, which are made of strips."""

import io

import numpy as np
import pytest
from PIL import Image

from smart_filter_workers import images
from smart_filter_workers.images import avif_strips, metadata
from smart_filter_workers.results import Srgb8


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

    content = avif_strips.packed(pixels, encoded, tags=b"", strip_px=160 * 64)

    assert read(content).size == (width, height)
    assert np.abs(np.asarray(read(content)).astype(int) - pixels).mean() <= 2
    assert images.decode(content).srgb.shape == (height, width, 3)


def test_strips_keep_alpha_exactly_and_tags() -> None:
    alpha = np.random.default_rng(3).integers(0, 256, (200, 160), dtype=np.uint8)
    tags = metadata.kept(b"", width=160, height=200, dots_per_inch=300)

    content = avif_strips.packed(
        np.dstack([a_ramp(160, 200), alpha]), encoded, tags=tags, strip_px=160 * 64
    )

    assert np.array_equal(np.asarray(read(content))[..., 3], alpha)
    assert read(content).getexif()[0x011A] == 300
    assert images.decode(content).exif == tags


def test_strips_of_different_kinds_make_none() -> None:
    alpha = np.full((200, 160), 255, np.uint8)
    alpha[:64] = 100  # the encoder leaves out the alpha of the others

    whole = np.dstack([a_ramp(160, 200), alpha])

    assert avif_strips.packed(whole, encoded, tags=b"", strip_px=160 * 64) is None


@pytest.mark.slow  # the encoder takes three seconds for so many pixels
def test_large_pictures_are_made_of_strips() -> None:
    large = np.full((3550, 3550, 3), 90, np.uint8)

    content = images.encode_avif(large, quality=80).content

    assert b"grid" in content
    assert np.abs(np.asarray(read(content)).astype(int) - 90).max() <= 2
