"""Decode video frames after a check of their headers, and encode frames."""

import io
from dataclasses import dataclass
from typing import Final

from PIL import Image

from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable
from smart_filter_workers import images
from smart_filter_workers.results import Srgb8

MAX_FRAME_BYTES: Final = 1_000_000
MAX_SIDE_PX: Final = 1280
MAX_FRAME_PIXELS: Final = 1280 * 720
MAX_PICTURE_BYTES: Final = 4_000_000
MAX_PICTURE_PIXELS: Final = 4_000_000
# JPEG quality of answers: each is visible for a sixtieth of a second.
_QUALITY: Final = 85

_FRAME_FORMATS: Final = ("JPEG", "WEBP")
_PICTURE_FORMATS: Final = (*_FRAME_FORMATS, "PNG", "AVIF")


@dataclass(frozen=True, slots=True)
class _Limits:
    """Limits of an image: formats by Pillow's names, bytes, pixels, and pixels per side."""

    formats: tuple[str, ...]
    most_bytes: int
    pixels: int
    side_px: int


def decode_frame(content: bytes, *, max_side_px: int = MAX_SIDE_PX) -> Srgb8:
    """Return a frame's pixels, (H, W, 3) uint8 sRGB.

    Raises ImageTooLarge, or ImageUnreadable when it is not a complete JPEG or WebP.
    """
    return _decode(content, _Limits(_FRAME_FORMATS, MAX_FRAME_BYTES, MAX_FRAME_PIXELS, max_side_px))


def decode_picture(content: bytes) -> Srgb8:
    """Return the pixels of a background picture; otherwise like `decode_frame`."""
    bounds = _Limits(
        _PICTURE_FORMATS, MAX_PICTURE_BYTES, MAX_PICTURE_PIXELS, images.MAX_WEBP_SIDE_PX
    )
    return _decode(content, bounds)


def encode_frame(srgb: Srgb8) -> bytes:
    """Return a JPEG of a frame, (H, W, 3) uint8."""
    return images.encode_jpeg(srgb, quality=_QUALITY).content


def _decode(content: bytes, bounds: _Limits) -> Srgb8:
    if len(content) > bounds.most_bytes:
        raise ImageTooLarge(f"{len(content)} bytes; at most {bounds.most_bytes} are allowed")
    _check_header(content, bounds)
    return images.decode(content).srgb


def _check_header(content: bytes, bounds: _Limits) -> None:
    """Refuse images that would take too long, or too much memory, to decode."""
    known = ", ".join(bounds.formats[:-1]) + f" or {bounds.formats[-1]}"
    try:
        with Image.open(io.BytesIO(content), formats=bounds.formats) as image:
            width, height = image.size
    except Exception as error:
        # Pillow may raise anything on bad bytes; only its code runs here.
        raise ImageUnreadable(f"this is not a {known}, or not a complete one") from error
    if max(width, height) > bounds.side_px or width * height > bounds.pixels:
        raise ImageTooLarge(
            f"{width}×{height} pixels; at most {bounds.side_px} a side and {bounds.pixels} in all"
        )
