"""A picture's time at the decoder follows its pixels and bytes."""

import numpy as np
import pytest
from PIL import Image

from smart_filter_tests import heic
from smart_filter_tests.heic import QUARTERS, SIZE, a_heic, coded_item, grid, ispe, overlay
from smart_filter_tests.pictures import encode
from smart_filter_workers.decoder.turns import estimate_cost


def a_png(width: int, height: int) -> bytes:
    """Return the start of a PNG, as far as it says its size."""
    content = bytearray(encode(Image.new("L", (1, 1)), "PNG"))
    content[16:24] = width.to_bytes(4) + height.to_bytes(4)
    return bytes(content)


LAYERS = a_heic(
    overlay([2], SIZE),
    overlay(range(3, 13), (64, 64)),
    *(coded_item(QUARTERS, ispe(5000, 1000)) for _ in range(10)),
)


# As phones write 12 MP: 48 tiles, and a map with a quarter of the pixels.
PHONE_GRID = a_heic(
    grid(8, 6, range(2, 50), (4032, 3024)),
    *(coded_item(QUARTERS, ispe(512, 512)) for _ in range(48)),
    coded_item(QUARTERS, ispe(2016, 1512), references=((b"auxl", [1]),)),
)


@pytest.mark.parametrize(
    ("content", "seconds"),
    [
        (heic.quarters(), 10),
        (b"no picture", 10),
        (a_png(1000, 1000), 10.9),
        (a_png(4000, 3000), 20.8),
        (a_png(1000, 1000) + bytes(4_000_000), 11.9),
        (LAYERS, 55),
        (a_png(10_000, 5000) + bytes(40_000_000), 60),
    ],
    ids=["small", "no picture", "1 MP", "12 MP", "1 MP of 4 MB", "layers of 50 MP", "most"],
)
def test_limit_follows_pixels_and_bytes(content: bytes, seconds: float) -> None:
    assert np.isclose(estimate_cost(content).limit_seconds, seconds, atol=0.1)


@pytest.mark.parametrize(
    ("content", "is_large"),
    [
        (b"no picture", False),
        (a_png(4000, 3000), False),
        (a_png(4000, 4000), True),
        (LAYERS, True),
        (PHONE_GRID, False),
    ],
    ids=["no picture", "12 MP", "16 MP", "layers of 50 MP", "tiles and gain map of a phone"],
)
def test_picture_with_more_pixels_than_an_ordinary_photo_is_large(
    content: bytes,
    is_large: bool,  # noqa: FBT001 - a table
) -> None:
    assert estimate_cost(content).is_large == is_large
