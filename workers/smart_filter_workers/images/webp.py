"""WebP files, lossy, with alpha kept exactly; what a method cannot hold another can."""

import io
from collections.abc import Iterator
from typing import Final

from PIL import Image

from smart_filter_workers.images.profiles import srgb_profile
from smart_filter_workers.results import Srgb8

# Of libwebp's seven: half the time of Pillow's default for a tenth more bytes, and as fine.
_METHOD, _METHOD_SMALL = 0, 4
# The first that minds how much room the modes of blocks have (half a megabyte for all of them,
# RFC 6386, 9.3): 24 megapixels with a camera's noise need more without.
_MINDFUL_METHOD: Final = 2
# The small one takes 0.3 s a megapixel for 3 % fewer bytes than the mindful one: not for these.
_LARGE_PX: Final = 12_500_000
# Pillow's words for that there was no room.
_NO_ROOM: Final = "encoding error 6"
_STEP: Final = 10


def packed(pixels: Srgb8, *, quality: int, small: bool, tags: bytes) -> tuple[bytes, int]:
    """Return a WebP of (H, W, 3) or (H, W, 4) uint8, and the quality that it came to have.

    That is the one asked for, as a rule; where the format has no room for it, the next below
    that it has room for.
    """
    picture = Image.fromarray(pixels)
    large = pixels.shape[0] * pixels.shape[1] > _LARGE_PX
    told: ValueError | None = None
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
            )
        except ValueError as error:
            if _NO_ROOM not in str(error):
                raise
            told = error
        else:
            return file.getvalue(), tried
    raise ValueError("there is no room even at the least quality") from told


def _attempts(quality: int, *, small: bool, large: bool) -> Iterator[tuple[int, int]]:
    """Yield methods and qualities, best first."""
    if small and not large:
        yield _METHOD_SMALL, quality
    elif not small:
        yield _METHOD, quality
    for tried in range(quality, 0, -_STEP):
        yield _MINDFUL_METHOD, tried
    yield _MINDFUL_METHOD, 1
