"""A picture of four colors, and the colors near the corners of one."""

import numpy as np
from PIL import Image

from smart_filter_workers import images
from smart_filter_workers.results import Srgb8

# JPEG of flat patches at quality 95: only YCbCr rounding.
JPEG_LEVELS = 4
RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 160, 40), (30, 40, 190), (255, 255, 255)


def quarters() -> Image.Image:
    """Draw a picture whose quarters are red, green, blue and white, clockwise from the top left."""
    picture = Image.new("RGB", (64, 48), WHITE)
    picture.paste(RED, (0, 0, 32, 24))
    picture.paste(GREEN, (32, 0, 64, 24))
    picture.paste(BLUE, (32, 24, 64, 48))
    return picture


def corners(picture: bytes | Srgb8) -> list[tuple[int, ...]]:
    """Return the colors near the four corners of a picture, clockwise from the top left."""
    srgb = images.decode(picture).srgb if isinstance(picture, bytes) else picture
    assert srgb.dtype == np.uint8
    return [tuple(map(int, srgb[y, x])) for y, x in ((4, 4), (4, -5), (-5, -5), (-5, 4))]


def near(seen: list[tuple[int, ...]], expected: list[tuple[int, ...]], levels: int) -> bool:
    """Return whether no channel differs by more than `levels`."""
    return int(np.abs(np.array(seen) - np.array(expected)).max()) <= levels


def exif(orientation: int) -> bytes:
    """Return EXIF with an orientation."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()
