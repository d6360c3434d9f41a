"""What is shown before or instead of a picture: a thumbnail, and a few letters."""

from typing import Final

from smart_filter_workers.images import blurhash
from smart_filter_workers.images.encoding import encode_jpeg
from smart_filter_workers.images.sizes import over_white, shrink, smaller
from smart_filter_workers.results import Encoded, Srgb8

THUMBNAIL_PX: Final = 256

_THUMBNAIL_QUALITY: Final = 80
_HASHED_PX: Final = 32
_RGB: Final = 3


def thumbnail(small: Srgb8) -> Encoded:
    """Encode what `preview` gave as JPEG."""
    return encode_jpeg(small, quality=_THUMBNAIL_QUALITY)


def blurred(small: Srgb8) -> str:
    """Return the BlurHash of what `preview` gave."""
    return blurhash.of(shrink(small, longest_side=_HASHED_PX))


def preview(pixels: Srgb8) -> Srgb8:
    """Return a picture, (H, W, 3) or (H, W, 4) uint8, with no side above THUMBNAIL_PX.

    Returns (h, w, 3) uint8; what is transparent lies on white.
    """
    if pixels.shape[2] == _RGB:
        return shrink(pixels, longest_side=THUMBNAIL_PX)
    # Weighing colours by their alpha is work: four pixels for each that is shown will do.
    step = max(1, round(max(pixels.shape[:2]) / (2 * THUMBNAIL_PX)))
    pixels = pixels[::step, ::step]
    height, width = pixels.shape[:2]
    scale = min(1.0, THUMBNAIL_PX / max(height, width))
    small = smaller(
        pixels, width=max(1, round(scale * width)), height=max(1, round(scale * height))
    )
    return over_white(small)
