"""Encode lossy WebP with exact alpha, with another method if one has no room."""

import io
from collections.abc import Iterator
from typing import Final

from PIL import Image

from smart_filter_workers.images.metadata.icc_profiles import srgb_profile
from smart_filter_workers.results import Srgb8

# libwebp's methods, 0 to 6: half the time of Pillow's default for a tenth more bytes, same quality.
_METHOD, _METHOD_SMALL = 0, 4
# The first method that limits the space of block modes (half a megabyte in all, RFC 6386, 9.3): 24
# megapixels with a camera's noise exceed it otherwise.
_SAFE_METHOD: Final = 2
# The small method takes 0.3 s a megapixel for 3 % fewer bytes than the safe one: not for pictures
# above this.
_LARGE_PX: Final = 12_500_000
# Pillow's message when there is no room.
_NO_ROOM_ERROR: Final = "encoding error 6"
_STEP: Final = 10


def encode(
    pixels: Srgb8, *, quality: int, small: bool, tags: bytes, xmp: bytes = b""
) -> tuple[bytes, int]:
    """Return a WebP of (H, W, 3) or (H, W, 4) uint8, and its actual quality.

    The quality is usually the requested one; if the format has no room for it, it is reduced until
    there is.
    """
    picture = Image.fromarray(pixels)
    large = pixels.shape[0] * pixels.shape[1] > _LARGE_PX
    cause: ValueError | None = None
    for method, tried in _attempts(quality, small=small, large=large):
        file = io.BytesIO()
        try:
            picture.save(
                file,
                "WEBP",
                quality=tried,
                method=method,
                icc_profile=srgb_profile(),
                exif=tags,
                xmp=xmp,
            )
        except ValueError as error:
            if _NO_ROOM_ERROR not in str(error):
                raise
            cause = error
        else:
            return file.getvalue(), tried
    raise ValueError("there is no room even at the lowest quality") from cause


def _attempts(quality: int, *, small: bool, large: bool) -> Iterator[tuple[int, int]]:
    """Yield pairs of method and quality, best first."""
    if small and not large:
        yield _METHOD_SMALL, quality
    elif not small:
        yield _METHOD, quality
    for tried in range(quality, 0, -_STEP):
        yield _SAFE_METHOD, tried
    yield _SAFE_METHOD, 1
