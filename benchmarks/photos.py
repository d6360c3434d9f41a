"""Make selfies of any size, each with different bytes."""

import itertools
import struct
from collections.abc import Iterator
from pathlib import Path

import cv2

_PHOTO = Path(__file__).parents[1] / "tests" / "data" / "astronaut.png"
_QUALITY = 90
# More than the learned edges that one worker process keeps, but not more than those of two.
_LEVELS = 16
_COMMENT = b"\xff\xfe"  # Source: ITU-T T.81, table B.1

# Sides of square photos of 1 and 12 megapixels, in pixels.
SIDE_OF_1_MP = 1000
SIDE_OF_12_MP = 3464


def selfies(side: int) -> Iterator[bytes]:
    """Yield endless JPEGs of side × side pixels, each with a different comment.

    Photos in a row differ in brightness too, so a single worker keeps nothing that serves the next
    one.
    """
    photo = cv2.imread(str(_PHOTO))
    if photo is None:
        raise FileNotFoundError(_PHOTO)
    scaled = cv2.resize(photo, (side, side), interpolation=cv2.INTER_CUBIC)
    contents = [_encode(cv2.convertScaleAbs(scaled, beta=level)) for level in range(_LEVELS)]
    for number in itertools.count():
        content = contents[number % _LEVELS]
        comment = f"number {number}".encode()
        segment = _COMMENT + struct.pack(">H", len(comment) + 2) + comment
        yield content[:2] + segment + content[2:]


def _encode(bgr: cv2.typing.MatLike) -> bytes:
    done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise ValueError(f"OpenCV encoded no JPEG of {bgr.shape} pixels")
    return encoded.tobytes()
