"""Previews shown before or instead of a picture: a thumbnail and a BlurHash."""

from typing import Final

from smart_filter_workers.images import blurhash
from smart_filter_workers.images.encoding import encode_jpeg
from smart_filter_workers.images.resize import downscale, flatten_on_white, shrink
from smart_filter_workers.results import EncodedFile, Srgb8

THUMBNAIL_PX: Final = 256

_THUMBNAIL_QUALITY: Final = 80
_BLURHASH_PX: Final = 32
_RGB: Final = 3


def encode_thumbnail(small: Srgb8) -> EncodedFile:
    """Return the result of `make_preview` as JPEG."""
    return encode_jpeg(small, quality=_THUMBNAIL_QUALITY)


def compute_blurhash(small: Srgb8) -> str:
    """Return the BlurHash of the result of `make_preview`."""
    return blurhash.encode(shrink(small, longest_side=_BLURHASH_PX))


def make_preview(pixels: Srgb8) -> Srgb8:
    """Return a picture, (H, W, 3) or (H, W, 4) uint8, with no side above THUMBNAIL_PX.

    Returns (h, w, 3) uint8; transparent pixels are on white.
    """
    if pixels.shape[2] == _RGB:
        return shrink(pixels, longest_side=THUMBNAIL_PX)
    # Weighting colors by alpha is slow: four pixels for each preview pixel are enough.
    step = max(1, round(max(pixels.shape[:2]) / (2 * THUMBNAIL_PX)))
    pixels = pixels[::step, ::step]
    height, width = pixels.shape[:2]
    scale = min(1.0, THUMBNAIL_PX / max(height, width))
    small = downscale(
        pixels, width=max(1, round(scale * width)), height=max(1, round(scale * height))
    )
    return flatten_on_white(small)
