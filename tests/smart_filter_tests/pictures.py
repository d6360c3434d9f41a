"""Make pictures, and results of stages for them."""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

from smart_filter_workers.results import Photo, PreparedPhoto, Srgb8
from smart_filter_workers.stages.prepare.stage import make_proxy

# (height, width): sizes that break code written for ordinary photos only.
ODD_SIZES = ((1, 1), (2, 3), (37, 41), (3000, 10), (10, 3000), (640, 360))


def noise(height: int, width: int) -> Srgb8:
    """Return (height, width, 3) sRGB in which every pixel is random, the same each time."""
    random = np.random.default_rng(height * 10_007 + width)
    return random.integers(0, 256, (height, width, 3), dtype=np.uint8)


def encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    """Encode a picture as a file of a format that Pillow writes."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def plain(width: int, height: int, color: object, kind: str = "PNG", mode: str = "RGB") -> bytes:
    return encode(Image.new(mode, (width, height), color), kind)


def a_photo(srgb: Srgb8) -> Photo:
    return Photo(srgb=srgb, format="png")


def prepared_photo(srgb: Srgb8) -> PreparedPhoto:
    """Return the photo as `prepare` would hand it on, without proposals."""
    height, width = srgb.shape[:2]
    return PreparedPhoto(
        width=width, height=height, format="png", proxy_srgb=make_proxy(srgb), proposals=()
    )


def a_figure() -> Srgb8:
    """Return (480, 360, 3) sRGB: head and shoulders in a dark jacket and a bright plain wall.

    The head is around (x 180, y 160), the jacket fills the bottom from x 60 to 300.
    """
    picture = np.full((480, 360, 3), (214, 210, 202), np.uint8)
    cv2.ellipse(picture, (180, 480), (120, 210), 0, 0, 360, (38, 44, 66), cv2.FILLED)
    cv2.ellipse(picture, (180, 160), (62, 84), 0, 0, 360, (186, 132, 108), cv2.FILLED)
    cv2.ellipse(picture, (180, 110), (66, 50), 0, 180, 360, (48, 34, 26), cv2.FILLED)
    cv2.rectangle(picture, (154, 225), (206, 290), (178, 124, 100), cv2.FILLED)
    return np.asarray(cv2.GaussianBlur(picture, (5, 5), 0), dtype=np.uint8)


def half_red(height: int, width: int) -> Srgb8:
    """Return (height, width, 3) sRGB: red on the left, black on the right."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2, 0] = 255
    return picture


def red_figure() -> Srgb8:
    """Return (480, 360, 3) sRGB: the outline of `a_figure` in red in front of a gray wall."""
    picture = np.full((480, 360, 3), 128, np.uint8)
    for center, axes in (((180, 480), (120, 210)), ((180, 160), (62, 84))):
        cv2.ellipse(picture, center, axes, 0, 0, 360, (240, 20, 20), cv2.FILLED)
    return picture


def a_png(
    width: int,
    height: int,
    *,
    pixels: bytes,
    depth: int = 8,
    extra: tuple[bytes, bytes] | None = None,
) -> bytes:
    """Return a PNG in color written by hand, so that its header can be false."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0))]
    chunks += [extra] if extra else []
    chunks += [(b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*described) for described in chunks)


def png_header(width: int, height: int) -> bytes:
    """Return the beginning of a PNG of this size."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)


def chunk(name: bytes, body: bytes) -> bytes:
    """Return a chunk of a PNG. Source: third edition of PNG, 5.3."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
