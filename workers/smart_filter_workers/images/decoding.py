"""Decode photos to upright sRGB pixels, and masks to levels.

JPEG is read by `jpeg`; PNG, WebP and AVIF by Pillow, restricted to these formats; HEIC by `heic`.
Every function may be called from several threads. There are few full copies of a picture, because a
worker processes several 12 megapixel photos at once: colors are converted strip by strip.
"""

import io
import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable
from smart_filter_shared.security import isobmff
from smart_filter_shared.security.photo_header import MAX_PIXELS, MAX_SIDE_PX
from smart_filter_workers.images import avif, exif, heic, jpeg, metadata, tiff
from smart_filter_workers.images.icc_profiles import flatten_to_srgb, to_srgb
from smart_filter_workers.images.resize import apply_orientation
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Photo, Srgb8

_PILLOW_FORMATS: Final = {"PNG": "png", "WEBP": "webp", "AVIF": "avif"}
# Errors that Pillow's readers raise on bad bytes; any other is a bug here.
_PILLOW_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    IndexError,
    KeyError,
    EOFError,
    struct.error,
    zlib.error,
    AssertionError,  # a PNG without IHDR
    RuntimeError,  # an AVIF's pixels
    ZeroDivisionError,  # an animated AVIF with a time scale of 0
)
_PNG_START: Final = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNK_BYTES: Final = 12  # length, name and checksum
_PNG_BITS_AT: Final = 24  # the bits per sample, in the first chunk
_PNG_GRAY_WITH_ALPHA: Final = 4  # the color type, in the next byte
_PNG_MAX_BYTES_PER_PIXEL: Final = 8  # 16 bits of red, green, blue and alpha
_PNG_SLACK_BYTES: Final = 4096
# Libraries need about 10 µs for each chunk, whatever its size. A photo of 40 MB in chunks of 2 kB
# has this many; encoders write 8 kB and more.
_MAX_PNG_CHUNKS: Final = 20_000


def decode(content: bytes) -> Photo:
    """Return an uploaded photo: upright, 8-bit sRGB, on white if transparent, first frame only.

    Raises ImageTooLarge above MAX_PIXELS or MAX_SIDE_PX, or when a compressed header expands too
    much; ImageUnreadable when the bytes are not a whole JPEG, PNG, WebP, AVIF or HEIC. It never
    returns a partial picture.
    """
    if content.startswith(jpeg.SIGNATURE):
        header = jpeg.read_header(content)
        _check_size(header.width, header.height)
        pixels = to_srgb(jpeg.decode(content, header), header.mode, header.icc)
        return _photo(pixels, "jpg", header.exif, orientation=exif.read_orientation(header.exif))
    match isobmff.detect_format(content):
        case isobmff.StillFormat.HEIC:
            pixels, alpha, tags = heic.decode(
                content, most_pixels=MAX_PIXELS, most_side_px=MAX_SIDE_PX
            )
            return _photo(pixels, "heic", tags, orientation=exif.UPRIGHT, alpha=alpha)
        case isobmff.StillFormat.AVIF:
            bounded = avif.sanitize(content, most_pixels=MAX_PIXELS)
            # Pillow reports the orientation in the picture's own properties as EXIF.
            pixels, alpha, oriented, format_ = _decode_with_pillow(bounded, "AVIF")
            orientation = exif.read_orientation(oriented)
            tags = avif.read_exif(content)
            return _photo(pixels, format_, tags, orientation=orientation, alpha=alpha)
    # Pillow also takes files for AVIF that were not sanitized above: it may not read them.
    pixels, alpha, tags, format_ = _decode_with_pillow(content, "PNG", "WEBP")
    orientation = exif.read_orientation(tags)
    return _photo(pixels, format_, tags, orientation=orientation, alpha=alpha)


def decode_mask(content: bytes) -> NDArray[np.uint8]:
    """Return an uploaded mask, (H, W) uint8: a gray PNG whose levels are coverage, not light.

    The levels are unchanged by any gamma in the file.

    Raises ImageUnreadable.
    """
    if not content.startswith(_PNG_START):
        raise ImageUnreadable("the mask of a correction is not a PNG")
    _count_png_pixel_bytes(content)
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if found is None:
        raise ImageUnreadable("the mask of a correction is truncated or corrupt")
    return np.asarray(found, dtype=np.uint8)


def _photo(
    pixels: Srgb8, format_: str, tags: bytes, *, orientation: int, alpha: Matte8 | None = None
) -> Photo:
    tags = tags.removeprefix(tiff.EXIF_PREFIX)
    # Longer EXIF than a JPEG can hold was not written by a camera.
    short = tags if len(tags) <= metadata.MAX_BYTES else b""
    upright = apply_orientation(pixels, orientation)
    if alpha is not None:
        alpha = apply_orientation(alpha, orientation)
    return Photo(upright, format_, exif.read_taken_at(short), short, alpha)


def _decode_with_pillow(content: bytes, *formats: str) -> tuple[Srgb8, Matte8 | None, bytes, str]:
    """Return the pixels, the alpha if it is not opaque, EXIF, and the name of the format."""
    packed = _count_png_pixel_bytes(content)
    try:
        with Image.open(io.BytesIO(content), formats=formats) as image:
            _check_size(*image.size)
            _refuse_png_bomb(packed, *image.size)
            image.load()
            tags = image.info.get("exif") or b""
            icc = image.info.get("icc_profile") or b""
            whole = _correct_png_mode(image, content) if image.format == "PNG" else image
            return *flatten_to_srgb(whole, icc), tags, _PILLOW_FORMATS[str(image.format)]
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(str(error)) from error
    except _PILLOW_ERRORS as error:
        # Pillow limits the expanded size of compressed text and profiles, and reports it only in
        # the message.
        if "too large" in str(error) or "MAX_TEXT" in str(error):
            raise ImageTooLarge(f"a compressed header expands too much: {error}") from error
        if isinstance(error, UnidentifiedImageError):
            # Its message contains the buffer's memory address.
            raise ImageUnreadable(
                "this is not a picture, or only the beginning of one; JPEG, PNG, WebP and AVIF are "
                "accepted, HEIC with the extra `heic`"
            ) from error
        raise ImageUnreadable(f"not a whole JPEG, PNG, WebP or AVIF: {error}") from error


def _correct_png_mode(image: Image.Image, content: bytes) -> Image.Image:
    """Return a PNG in the mode of its file, its one transparent color in the scale of its pixels.

    Pillow returns 16-bit gray with alpha as color, scales pixels of 2, 4 and 16 bits to 8, and
    keeps the transparent color in the file's scale.
    Source: third edition of PNG, 11.2.1 (IHDR) and 11.3.1.1 (tRNS).
    """
    bits, color_type = content[_PNG_BITS_AT], content[_PNG_BITS_AT + 1]
    color = image.info.get("transparency")
    if color_type == _PNG_GRAY_WITH_ALPHA:
        return image.convert("LA")
    if image.mode == "L" and color is not None:
        image.info["transparency"] = color * 255 // ((1 << bits) - 1)
    elif image.mode == "RGB" and color is not None and bits == 16:  # noqa: PLR2004 - bits
        image.putalpha(Image.fromarray((_read_deep(content)[..., 3] >> 8).astype(np.uint8)))
        del image.info["transparency"]
    return image


def _read_deep(content: bytes) -> NDArray[np.uint16]:
    """Return all bits of a picture that Pillow has read: (H, W), or BGR with or without alpha."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("the picture has no readable pixels of more than 8 bits")
    return np.asarray(pixels, dtype=np.uint16)


def _count_png_pixel_bytes(content: bytes) -> int:
    """Return the length of a PNG's compressed pixels; 0 for other formats.

    Raises ImageUnreadable for more than _MAX_PNG_CHUNKS, which libraries would parse one by one.
    """
    if not content.startswith(_PNG_START):
        return 0
    packed, at = 0, len(_PNG_START)
    for _ in range(_MAX_PNG_CHUNKS):
        if at + _PNG_CHUNK_BYTES > len(content):
            return packed
        length, kind = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        if kind == b"IEND":
            return packed
        if kind == b"IDAT":
            packed += length
        at += _PNG_CHUNK_BYTES + length
    raise ImageUnreadable(f"PNG of more than {_MAX_PNG_CHUNKS} chunks; save the picture again")


def _refuse_png_bomb(packed: int, width: int, height: int) -> None:
    """Refuse compressed pixels that are larger than the header's size uncompressed.

    Decoders stop at the header's size and return a picture, but such a file is an attack (a
    "decompression bomb").
    """
    if packed > _PNG_MAX_BYTES_PER_PIXEL * width * height + 2 * height + _PNG_SLACK_BYTES:
        raise ImageTooLarge(f"{packed} compressed bytes for {width}×{height} pixels")


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageTooLarge(f"{width}×{height} pixels; at most {MAX_PIXELS} are accepted")
    if max(width, height) > MAX_SIDE_PX:
        raise ImageTooLarge(f"{width}×{height} pixels; at most {MAX_SIDE_PX} a side")
    if not width or not height:
        raise ImageUnreadable(f"{width}×{height} pixels")
