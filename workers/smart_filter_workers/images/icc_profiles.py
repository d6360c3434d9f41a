"""Color profiles: convert photos to sRGB, and mark files as sRGB."""

import functools
import io
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from smart_filter_workers.results import Matte8, Srgb8

# Most difference in levels, from rounding, between the sRGB profiles of different makers.
SRGB_TOLERANCE: Final = 2
# Strips that are converted at a time: rows at least, and pixels if those rows have fewer. A strip
# costs about 100 µs whatever its size, and a narrow picture would have hundreds of them.
_MIN_STRIP_ROWS: Final = 128
_STRIP_PX: Final = 1_000_000
_OPAQUE: Final = 255
# The creation date in a profile (ICC.1:2022, 7.2.8).
_PROFILE_DATE: Final = slice(24, 36)


@functools.cache
def srgb_profile() -> bytes:
    """Return the sRGB profile, always the same bytes: LittleCMS would write the date."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_PROFILE_DATE] = bytes(_PROFILE_DATE.stop - _PROFILE_DATE.start)
    return bytes(profile)


def to_srgb(pixels: NDArray[np.uint8], mode: str, icc: bytes) -> Srgb8:
    """Return pixels of Pillow's mode L, RGB or CMYK in sRGB; a broken profile is ignored."""
    convert = find_conversion(mode, icc)
    if convert is None:
        return pixels
    height, width = pixels.shape[:2]
    srgb: Srgb8 = np.empty((height, width, 3), np.uint8)
    for rows in _strips(height, width):
        srgb[rows] = convert(_to_pillow(pixels[rows], mode))
    return srgb


def flatten_to_srgb(image: Image.Image, icc: bytes) -> tuple[Srgb8, Matte8 | None]:
    """Return the picture in sRGB, on white where it is transparent, and its alpha.

    The second is (H, W) uint8, None for an opaque picture.
    """
    mode = "L" if image.mode in {"1", "L"} or image.mode.startswith("I") else "RGB"
    convert = find_conversion(mode, icc) or np.asarray
    width, height = image.size
    flat: Srgb8 = np.empty((height, width, 3), np.uint8)
    alpha = np.full((height, width), _OPAQUE, np.uint8) if image.has_transparency_data else None
    for rows in _strips(height, width):
        strip = image.crop((0, rows.start, width, rows.stop))
        if image.mode.startswith("I"):  # 16-bit gray
            flat[rows] = convert(Image.fromarray((np.asarray(strip) >> 8).astype(np.uint8)))
        elif alpha is None:
            flat[rows] = convert(strip.convert(mode))
        else:
            rgba = strip.convert("RGBA")
            ground = Image.new("RGB", rgba.size, "white")
            opaque = Image.fromarray(convert(rgba.convert("RGB")))
            mask = rgba.getchannel("A")
            ground.paste(opaque, mask=mask)
            flat[rows], alpha[rows] = np.asarray(ground), np.asarray(mask)
    return flat, None if alpha is None or alpha.min() == _OPAQUE else alpha


def find_conversion(mode: str, icc: bytes) -> Callable[[Image.Image], Srgb8] | None:
    """Return the function that converts pictures of a mode to sRGB; None if they already are."""
    if icc:
        try:
            transform = ImageCms.buildTransform(
                ImageCms.ImageCmsProfile(io.BytesIO(icc)),
                ImageCms.createProfile("sRGB"),
                mode,
                "RGB",
            )
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # such as a gray profile in a color picture
        else:
            if mode == "RGB" and _is_srgb(transform):
                return None
            return lambda picture: np.asarray(ImageCms.applyTransform(picture, transform))
    return None if mode == "RGB" else lambda picture: np.asarray(picture.convert("RGB"))


def _strips(height: int, width: int) -> Iterator[slice]:
    """Yield the rows of each strip from top to bottom."""
    count = max(_MIN_STRIP_ROWS, _STRIP_PX // width)
    for top in range(0, height, count):
        yield slice(top, min(height, top + count))


def _to_pillow(pixels: NDArray[np.uint8], mode: str) -> Image.Image:
    height, width = pixels.shape[:2]
    return Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)


def _is_srgb(transform: ImageCms.ImageCmsTransform) -> bool:
    """Return whether the profile converts like sRGB, under any name.

    There are dozens of sRGB profiles. A 6×6×6 cube of colors decides at once; converting 12
    megapixels from sRGB to sRGB would take hundreds of milliseconds.
    """
    levels = np.arange(0, 256, 51, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(6, 36, 3)
    seen = np.asarray(ImageCms.applyTransform(Image.fromarray(cube), transform))
    return int(np.abs(seen.astype(np.int16) - cube).max()) <= SRGB_TOLERANCE
