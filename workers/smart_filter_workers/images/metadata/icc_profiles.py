"""Color profiles: convert photos to sRGB, and mark files as sRGB."""

import functools
import io
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageCms

from smart_filter_workers.images.metadata import code_points
from smart_filter_workers.images.metadata.code_points import ColorDescription
from smart_filter_workers.results import Bytes, Matte8, Srgb8

# Most difference in levels, from rounding, between the sRGB profiles of different makers.
SRGB_TOLERANCE: Final = 2
# Strips that are converted at a time: rows at least, and pixels if those rows have fewer. A strip
# costs about 100 µs whatever its size, and a narrow picture would have hundreds of them.
_MIN_STRIP_ROWS: Final = 128
_STRIP_PX: Final = 1_000_000
_OPAQUE: Final = 255
_EXACT: Final = ImageCms.Flags.NOOPTIMIZE
# The color space and the creation date in a profile (ICC.1:2022, 7.2).
_PROFILE_SPACE: Final = slice(16, 20)
_PROFILE_DATE: Final = slice(24, 36)
_GRAY_OF_16_BITS: Final = "I;16"
_SIXTEEN_BIT_MODES: Final = frozenset({_GRAY_OF_16_BITS, "I;16L", "I;16B", "I;16N"})
# The mode in which a picture's colors are converted; RGB for all others.
_COLOR_MODES: Final = {
    **dict.fromkeys(("1", "L", "LA", "La"), "L"),
    **dict.fromkeys(_SIXTEEN_BIT_MODES, _GRAY_OF_16_BITS),
    "CMYK": "CMYK",
}


@functools.cache
def srgb_profile() -> bytes:
    """Return the sRGB profile, always the same bytes: LittleCMS would write the date."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_PROFILE_DATE] = bytes(_PROFILE_DATE.stop - _PROFILE_DATE.start)
    return bytes(profile)


def to_srgb(pixels: Bytes, mode: str, icc: bytes) -> Srgb8:
    """Return pixels of Pillow's mode L, RGB or CMYK in sRGB; a broken profile is ignored."""
    description = code_points.from_profile(icc)
    if description is not None and mode == "RGB":
        return code_points.make_conversion(description, pixels)(pixels)
    convert = find_conversion(mode, icc)
    if convert is None:
        return pixels
    height, width = pixels.shape[:2]
    srgb: Srgb8 = np.empty((height, width, 3), np.uint8)
    for rows in _strips(height, width):
        srgb[rows] = convert(_to_pillow(pixels[rows], mode))
    return srgb


def flatten_to_srgb(
    image: Image.Image,
    icc: bytes,
    *,
    description: ColorDescription | None = None,
    deep: NDArray[np.uint16] | None = None,
) -> tuple[Srgb8, Matte8 | None]:
    """Return the picture in sRGB, on white where it is transparent, and its alpha.

    The second is (H, W) uint8, None for an opaque picture.
    description: the colors by the file's own numbers; a profile precedes it unless it says HDR.
    deep: (H, W, 3) uint16, the colors of an RGB picture in all of their bits.
    """
    if image.mode in {"P", "RGB", "RGBA"} and _is_gray_profile(icc):
        image = _drop_equal_channels(image)
    mode = _COLOR_MODES.get(image.mode, "RGB")
    convert = find_conversion(mode, icc) or np.asarray
    description = code_points.from_profile(icc) or description
    by_numbers = None
    if description is not None and (description.is_hdr or not icc) and not description.is_srgb:
        brightest = np.asarray(_split(image, mode)[0]) if deep is None else deep
        by_numbers = code_points.make_conversion(description, brightest)
    width, height = image.size
    flat: Srgb8 = np.empty((height, width, 3), np.uint8)
    alpha = np.full((height, width), _OPAQUE, np.uint8) if image.has_transparency_data else None
    for rows in _strips(height, width):
        colors, mask = _split(image.crop((0, rows.start, width, rows.stop)), mode)
        if by_numbers is None:
            flat[rows] = convert(colors)
        else:
            flat[rows] = by_numbers(np.asarray(colors) if deep is None else deep[rows])
        if alpha is not None and mask is not None:
            ground = Image.new("RGB", mask.size, "white")
            ground.paste(Image.fromarray(flat[rows]), mask=mask)
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
                # LittleCMS samples a gray curve too coarsely: 10 levels off in dark parts.
                flags=_EXACT if mode in {"L", _GRAY_OF_16_BITS} else ImageCms.Flags.NONE,
            )
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # such as a gray profile in a color picture
        else:
            if mode == "RGB" and _is_srgb(transform):
                return None
            return lambda picture: np.asarray(ImageCms.applyTransform(picture, transform))
    return None if mode == "RGB" else _convert_without_profile


def _convert_without_profile(picture: Image.Image) -> Srgb8:
    if picture.mode == _GRAY_OF_16_BITS:
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    return np.asarray(picture.convert("RGB"))


def _split(strip: Image.Image, mode: str) -> tuple[Image.Image, Image.Image | None]:
    """Return a strip's colors in a mode, and its alpha in mode L if it has one."""
    key = strip.info.get("transparency")
    if strip.mode in _SIXTEEN_BIT_MODES:
        levels = np.asarray(strip).astype(np.uint16)
        return Image.fromarray(levels), None if key is None else _mask(levels, key)
    if mode == "L" and key is not None:
        colors = strip.convert("L")
        return colors, _mask(np.asarray(colors), key)
    if strip.has_transparency_data:
        # A mode with one color has its alpha next to it, all others in RGBA.
        both = strip.convert("LA" if mode == "L" else "RGBA")
        return both.convert(mode), both.getchannel("A")
    return strip.convert(mode), None


def _mask(levels: NDArray[np.generic], key: int) -> Image.Image:
    """Return the alpha of gray levels when one of them, the key, is transparent."""
    return Image.fromarray(np.where(levels == key, 0, _OPAQUE).astype(np.uint8))


def _is_gray_profile(icc: bytes) -> bool:
    """Return whether a profile is for gray pictures. Source: ICC.1:2022, 7.2.6."""
    return icc[_PROFILE_SPACE] == b"GRAY"


def _drop_equal_channels(image: Image.Image) -> Image.Image:
    """Return a gray picture that has been read as color in mode L or LA, another one unchanged.

    WebP has no gray, and Pillow returns gray AVIF as color.
    """
    whole = image.convert("RGBA" if image.has_transparency_data else "RGB")
    red, green, blue, *alpha = whole.split()
    if ImageChops.difference(red, green).getbbox() or ImageChops.difference(green, blue).getbbox():
        return image
    return Image.merge("LA", (green, *alpha)) if alpha else green


def _strips(height: int, width: int) -> Iterator[slice]:
    """Yield the rows of each strip from top to bottom."""
    count = max(_MIN_STRIP_ROWS, _STRIP_PX // width)
    for top in range(0, height, count):
        yield slice(top, min(height, top + count))


def _to_pillow(pixels: Bytes, mode: str) -> Image.Image:
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
