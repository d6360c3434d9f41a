"""Frames of video: their header looked at before they are decoded, and how they are written."""

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
# Of what goes back: it is looked at for a sixtieth of a second.
_QUALITY: Final = 85

_FRAMES: Final = ("JPEG", "WEBP")
_PICTURES: Final = (*_FRAMES, "PNG", "AVIF")


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What may come: formats as Pillow names them, bytes, pixels, and pixels a side."""

    formats: tuple[str, ...]
    most_bytes: int
    pixels: int
    side_px: int


def frame(content: bytes, *, max_side_px: int = MAX_SIDE_PX) -> Srgb8:
    """Return a frame's pixels, (H, W, 3) uint8 sRGB.

    Raises ImageTooLarge, or ImageUnreadable when it is no whole JPEG or WebP.
    """
    return _decoded(content, _Bounds(_FRAMES, MAX_FRAME_BYTES, MAX_FRAME_PIXELS, max_side_px))


def picture(content: bytes) -> Srgb8:
    """Return the pixels of a picture that is to stand behind people, as `frame` does."""
    bounds = _Bounds(_PICTURES, MAX_PICTURE_BYTES, MAX_PICTURE_PIXELS, images.MAX_WEBP_SIDE_PX)
    return _decoded(content, bounds)


def written(srgb: Srgb8) -> bytes:
    """Return a JPEG of a frame, (H, W, 3) uint8."""
    return images.encode_jpeg(srgb, quality=_QUALITY).content


def _decoded(content: bytes, bounds: _Bounds) -> Srgb8:
    if len(content) > bounds.most_bytes:
        raise ImageTooLarge(f"{len(content)} bytes; at most {bounds.most_bytes} are taken")
    _look_at_header(content, bounds)
    return images.decode(content).srgb


def _look_at_header(content: bytes, bounds: _Bounds) -> None:
    """Refuse what would take too long, or too much memory, to decode."""
    known = ", ".join(bounds.formats[:-1]) + f" or {bounds.formats[-1]}"
    try:
        with Image.open(io.BytesIO(content), formats=bounds.formats) as image:
            width, height = image.size
    except Exception as error:
        # Whatever Pillow raises on bad bytes; nothing of ours runs in there.
        raise ImageUnreadable(f"this is no {known}, or only the beginning of one") from error
    if max(width, height) > bounds.side_px or width * height > bounds.pixels:
        raise ImageTooLarge(
            f"{width}×{height} pixels; at most {bounds.side_px} a side and {bounds.pixels} in all"
        )
