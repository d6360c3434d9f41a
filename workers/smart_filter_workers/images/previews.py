"""Previews shown before or instead of a picture: a thumbnail and a BlurHash."""

from typing import Final

from smart_filter_workers.images import blurhash
from smart_filter_workers.images.encoding import encode_jpeg
from smart_filter_workers.images.resize import downscale, flatten_on_white
from smart_filter_workers.resampling import shrink
from smart_filter_workers.results import EncodedFile, Srgb8

THUMBNAIL_PX: Final = 256

_THUMBNAIL_QUALITY: Final = 80
_BLURHASH_PX: Final = 32
# Side of the picture that a BlurHash is computed from, as a multiple of the hash's: reading every
# pixel of 12 megapixels takes 5 ms, and its dozen waves show no difference.
_BLURHASH_SAMPLES: Final = 8
_RGB: Final = 3


def encode_thumbnail(pixels: Srgb8) -> EncodedFile:
    """Return a picture, (H, W, 3) or (H, W, 4) uint8, as a small JPEG."""
    return encode_jpeg(_shrink(pixels, longest_side=THUMBNAIL_PX), quality=_THUMBNAIL_QUALITY)


def compute_blurhash(pixels: Srgb8) -> str:
    """Return the BlurHash of a picture, (H, W, 3) or (H, W, 4) uint8."""
    step = max(1, max(pixels.shape[:2]) // (_BLURHASH_SAMPLES * _BLURHASH_PX))
    return blurhash.encode(_shrink(pixels[::step, ::step], longest_side=_BLURHASH_PX))


def _shrink(pixels: Srgb8, *, longest_side: int) -> Srgb8:
    """Return a picture, (h, w, 3) uint8, with no side above `longest_side`, on white."""
    if pixels.shape[2] == _RGB:
        return shrink(pixels, longest_side=longest_side)
    # Weighting colors by alpha is slow: four pixels for each preview pixel are enough.
    step = max(1, round(max(pixels.shape[:2]) / (2 * longest_side)))
    pixels = pixels[::step, ::step]
    height, width = pixels.shape[:2]
    scale = min(1.0, longest_side / max(height, width))
    small = downscale(
        pixels, width=max(1, round(scale * width)), height=max(1, round(scale * height))
    )
    return flatten_on_white(small)
