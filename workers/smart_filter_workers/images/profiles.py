"""Colour profiles: photos brought into sRGB, and files that say so."""

import functools
import io
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from smart_filter_workers.results import Srgb8

# Levels: what rounding leaves between the sRGB profiles of different makers.
SRGB_TOLERANCE: Final = 2
# Rows that are converted at a time.
STRIP_ROWS: Final = 128
# Where a profile says when it was made (ICC.1:2022, 7.2.8).
_PROFILE_DATE: Final = slice(24, 36)


@functools.cache
def srgb_profile() -> bytes:
    """Return the profile of sRGB, the same bytes each time: LittleCMS would date it."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_PROFILE_DATE] = bytes(_PROFILE_DATE.stop - _PROFILE_DATE.start)
    return bytes(profile)


def to_srgb(pixels: NDArray[np.uint8], mode: str, icc: bytes) -> Srgb8:
    """Return the sRGB of pixels of Pillow's mode L, RGB or CMYK; a broken profile is ignored."""
    convert = conversion(mode, icc)
    if convert is None:
        return pixels
    srgb: Srgb8 = np.empty((*pixels.shape[:2], 3), np.uint8)
    for top in range(0, len(pixels), STRIP_ROWS):
        strip = pixels[top : top + STRIP_ROWS]
        srgb[top : top + len(strip)] = convert(_as_picture(strip, mode))
    return srgb


def flattened(image: Image.Image, icc: bytes) -> Srgb8:
    """Return the picture's sRGB, laid over white where it is transparent."""
    mode = "L" if image.mode in {"1", "L"} or image.mode.startswith("I") else "RGB"
    convert = conversion(mode, icc) or np.asarray
    width, height = image.size
    flat: Srgb8 = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, STRIP_ROWS):
        rows = slice(top, min(height, top + STRIP_ROWS))
        strip = image.crop((0, rows.start, width, rows.stop))
        if image.mode.startswith("I"):  # 16 bits of grey
            flat[rows] = convert(Image.fromarray((np.asarray(strip) >> 8).astype(np.uint8)))
        elif not image.has_transparency_data:
            flat[rows] = convert(strip.convert(mode))
        else:
            rgba = strip.convert("RGBA")
            ground = Image.new("RGB", rgba.size, "white")
            colours = Image.fromarray(convert(rgba.convert("RGB")))
            ground.paste(colours, mask=rgba.getchannel("A"))
            flat[rows] = np.asarray(ground)
    return flat


def conversion(mode: str, icc: bytes) -> Callable[[Image.Image], Srgb8] | None:
    """Return what makes sRGB of pictures of a mode; None when that is what they are."""
    if icc:
        try:
            transform = ImageCms.buildTransform(
                ImageCms.ImageCmsProfile(io.BytesIO(icc)),
                ImageCms.createProfile("sRGB"),
                mode,
                "RGB",
            )
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # such as a grey profile in a colour picture
        else:
            if mode == "RGB" and _changes_nothing(transform):
                return None
            return lambda picture: np.asarray(ImageCms.applyTransform(picture, transform))
    return None if mode == "RGB" else lambda picture: np.asarray(picture.convert("RGB"))


def _as_picture(pixels: NDArray[np.uint8], mode: str) -> Image.Image:
    height, width = pixels.shape[:2]
    return Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether the profile is sRGB by what it does, whatever it is called.

    There are dozens of sRGB profiles; a 6×6×6 cube of colours tells at once, and
    converting 12 megapixels from sRGB to sRGB would cost hundreds.
    """
    levels = np.arange(0, 256, 51, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(6, 36, 3)
    seen = np.asarray(ImageCms.applyTransform(Image.fromarray(cube), transform))
    return int(np.abs(seen.astype(np.int16) - cube).max()) <= SRGB_TOLERANCE
