"""Check the headers of clients' pictures, have them decoded in a child, and encode frames.

No library reads a client's bytes in this process: headers are parsed in Python.
"""

import io
from dataclasses import dataclass
from typing import Final

from smart_filter_shared.errors import (
    ImageTooLarge,
    ImageUnreadable,
    PhotoTooLarge,
    UnsupportedMedia,
)
from smart_filter_shared.security import photo_header
from smart_filter_shared.security.photo_header import PhotoFormat
from smart_filter_workers import images
from smart_filter_workers.decoder.pool import Decoder
from smart_filter_workers.results import Srgb8

MAX_FRAME_BYTES: Final = 1_000_000
MAX_SIDE_PX: Final = 1280
MAX_FRAME_PIXELS: Final = 1280 * 720
MAX_PICTURE_BYTES: Final = 4_000_000
MAX_PICTURE_PIXELS: Final = 4_000_000
# JPEG quality of answers: each is visible for a sixtieth of a second.
_QUALITY: Final = 85

_FRAME_FORMATS: Final = (PhotoFormat.JPEG, PhotoFormat.WEBP)
_PICTURE_FORMATS: Final = (*_FRAME_FORMATS, PhotoFormat.PNG, PhotoFormat.AVIF)


@dataclass(frozen=True, slots=True)
class _Limits:
    """Limits of an image: formats, bytes, pixels, and pixels per side."""

    formats: tuple[PhotoFormat, ...]
    most_bytes: int
    pixels: int
    side_px: int


def decode_frame(content: bytes, decoder: Decoder, *, max_side_px: int = MAX_SIDE_PX) -> Srgb8:
    """Return a frame's pixels, (H, W, 3) uint8 sRGB.

    Raises ImageTooLarge, ImageUnreadable when it is not a complete JPEG or WebP, and what `decoder`
    raises.
    """
    limits = _Limits(_FRAME_FORMATS, MAX_FRAME_BYTES, MAX_FRAME_PIXELS, max_side_px)
    return _decode(content, decoder, limits)


def decode_picture(content: bytes, decoder: Decoder) -> Srgb8:
    """Return the pixels of a background picture; otherwise like `decode_frame`."""
    bounds = _Limits(
        _PICTURE_FORMATS, MAX_PICTURE_BYTES, MAX_PICTURE_PIXELS, images.MAX_WEBP_SIDE_PX
    )
    return _decode(content, decoder, bounds)


def encode_frame(srgb: Srgb8) -> bytes:
    """Return a JPEG of a frame, (H, W, 3) uint8."""
    return images.encode_jpeg(srgb, quality=_QUALITY).content


def _decode(content: bytes, decoder: Decoder, bounds: _Limits) -> Srgb8:
    if len(content) > bounds.most_bytes:
        raise ImageTooLarge(f"{len(content)} bytes; at most {bounds.most_bytes} are allowed")
    _check_header(content, bounds)
    srgb = decoder.decode(content).srgb
    # A header may state another size than the decoder finds.
    _check_size(srgb.shape[1], srgb.shape[0], bounds)
    return srgb


def _check_header(content: bytes, bounds: _Limits) -> None:
    """Refuse images that would take too long, or too much memory, to decode."""
    try:
        header = photo_header.read_header(io.BytesIO(content))
    except PhotoTooLarge as error:
        raise ImageTooLarge(str(error)) from error
    except UnsupportedMedia as error:
        raise _unreadable(bounds) from error
    if header.format not in bounds.formats:
        raise _unreadable(bounds)
    _check_size(header.width, header.height, bounds)


def _check_size(width: int, height: int, bounds: _Limits) -> None:
    if max(width, height) > bounds.side_px or width * height > bounds.pixels:
        raise ImageTooLarge(
            f"{width}×{height} pixels; at most {bounds.side_px} a side and {bounds.pixels} in all"
        )


def _unreadable(bounds: _Limits) -> ImageUnreadable:
    *others, last = (format_.name for format_ in bounds.formats)
    return ImageUnreadable(f"this is not a {', '.join(others)} or {last}, or not a complete one")
