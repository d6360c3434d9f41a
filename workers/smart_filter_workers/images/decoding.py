"""Decode photos to upright sRGB pixels, and masks to levels.

JPEG is read by `jpeg`, HEIC by `heif`, and the others by Pillow, restricted to their formats.
Every function may be called from several threads. There are few full copies of a picture, because a
worker processes several 12 megapixel photos at once: colors are converted strip by strip.
"""

import io
import struct
import zlib
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable
from smart_filter_shared.security import heif_items, other_formats, tiff_header
from smart_filter_shared.security.photo_header import ACCEPTED, MAX_PIXELS, MAX_SIDE_PX
from smart_filter_workers.images import heif, jpeg, png
from smart_filter_workers.images.metadata import exif
from smart_filter_workers.images.metadata.code_points import ColorDescription
from smart_filter_workers.images.metadata.icc_profiles import flatten_to_srgb, to_srgb
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import apply_orientation
from smart_filter_workers.results import Bytes, Matte8, Photo, Srgb8

# Names of Pillow, and of results.
_PILLOW_FORMATS: Final = {
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
    "BMP": "bmp",
    "TIFF": "tiff",
    "AVIF": "avif",
}
_SIMPLE_FORMATS: Final = ("PNG", "WEBP", "GIF", "BMP")
# Pillow's own reader of uncompressed TIFFs mixes up separate planes of 16 bits or with alpha.
TiffImagePlugin.READ_LIBTIFF = True
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

_PILLOW_BITS: Final = 8  # of a color's samples
# Pillow reads the run lengths of a BMP in Python: 0.2 s of a core for a megabyte.
_MAX_RUN_LENGTH_BYTES: Final = 8_000_000
# Where a BMP's header names the compression, and its kinds with run lengths: MS-WMF, 2.1.1.7.
_BMP_COMPRESSION: Final = slice(30, 34)
_RUN_LENGTHS: Final = {bytes((1, 0, 0, 0)), bytes((2, 0, 0, 0))}


def decode(content: bytes) -> Photo:
    """Return an uploaded photo: upright, 8-bit sRGB, on white if transparent, first frame only.

    Raises ImageTooLarge above MAX_PIXELS or MAX_SIDE_PX, or when a compressed header expands too
    much; ImageUnreadable when the bytes are not a whole picture of an accepted format. It never
    returns a partial picture.
    """
    if content.startswith(jpeg.SIGNATURE):
        header = jpeg.read_header(content)
        _check_size(header.width, header.height)
        pixels = to_srgb(jpeg.decode(content, header), header.mode, header.icc)
        orientation = exif.read_orientation(header.exif, header.xmp)
        photo = _photo(pixels, "jpg", header.exif, orientation=orientation)
        return replace(photo, quantum=header.quantum)
    match heif_items.detect_format(content):
        case heif_items.StillFormat.HEIC:
            about = heif.read_photo(content)
            _check_size(about.width, about.height)
            pixels, alpha = heif.decode_heic(content, about)
            return _photo(pixels, "heic", about.exif, orientation=exif.UPRIGHT, alpha=alpha)
        case heif_items.StillFormat.AVIF:
            return _decode_avif(content)
    # Pillow also takes other files for AVIF and TIFF, which were not checked: it may not read them.
    if content.startswith(tiff_header.SIGNATURES):
        decoded = _decode_with_pillow(_begin_with_photo(content), "TIFF")
    else:
        if (
            content.startswith(b"BM")
            and content[_BMP_COMPRESSION] in _RUN_LENGTHS
            and len(content) > _MAX_RUN_LENGTH_BYTES
        ):
            raise ImageUnreadable("a compressed BMP of over 8 MB; save it as PNG")
        decoded = _decode_with_pillow(png.drop_broken(content), *_SIMPLE_FORMATS)
    pixels, alpha, tags, xmp, format_ = decoded
    orientation = exif.read_orientation(tags, xmp)
    return _photo(pixels, format_, tags, orientation=orientation, alpha=alpha)


def _decode_avif(content: bytes) -> Photo:
    about = heif.read_photo(content)
    _check_size(about.width, about.height)
    pixels, alpha, oriented, _, format_ = _decode_with_pillow(
        heif.hide_metadata(content), "AVIF", bits=about.bits, color=about.color
    )
    height, width = pixels.shape[:2]
    part = heif.read_crop(content, about, width=width, height=height)
    if part is not None:
        pixels = pixels[part].copy()
        alpha = None if alpha is None else alpha[part].copy()
    # Pillow reports the orientation in the picture's own properties as EXIF.
    orientation = exif.read_orientation(oriented)
    return _photo(pixels, format_, about.exif, orientation=orientation, alpha=alpha)


def decode_mask(content: bytes) -> Bytes:
    """Return an uploaded mask, (H, W) uint8: a gray PNG whose levels are coverage, not light.

    The levels are unchanged by any gamma in the file.

    Raises ImageUnreadable.
    """
    if not content.startswith(png.SIGNATURE):
        raise ImageUnreadable("the mask is not a PNG")
    png.count_pixel_bytes(content)
    mask = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise ImageUnreadable("the mask is truncated or corrupt")
    return np.asarray(mask, dtype=np.uint8)


def _photo(
    pixels: Srgb8, format_: str, tags: bytes, *, orientation: int, alpha: Matte8 | None = None
) -> Photo:
    tags = tags.removeprefix(exif.EXIF_PREFIX)
    # Longer EXIF than a JPEG can hold was not written by a camera.
    short = tags if len(tags) <= exif.MAX_BYTES else b""
    upright = apply_orientation(pixels, orientation)
    if alpha is not None:
        alpha = apply_orientation(alpha, orientation)
    return Photo(upright, format_, exif.read_taken_at(short), short, alpha)


def _decode_with_pillow(
    content: bytes, *formats: str, bits: int = _PILLOW_BITS, color: ColorDescription | None = None
) -> tuple[Srgb8, Matte8 | None, bytes, bytes, str]:
    """Return the pixels, the alpha if it is not opaque, EXIF, XMP, and the name of the format.

    bits: of a sample; color: as the file's own numbers describe it. Those of PNG are read here.
    """
    packed = png.count_pixel_bytes(content)
    try:
        with Image.open(io.BytesIO(content), formats=formats) as image:
            _check_size(*image.size)
            png.refuse_bomb(packed, *image.size)
            image.load()
            tags = image.info.get("exif") or png.read_raw_profile(image.info)
            xmp = image.info.get("xmp") or b""
            if image.format == "TIFF":  # Pillow has turned it; its tags are those of EXIF
                width, height = image.size
                tags, xmp = exif.filter_tags(content, width=width, height=height), b""
            icc = image.info.get("icc_profile") or b""
            whole: Image.Image = image
            deep: NDArray[np.uint16] | None = None
            if image.format == "PNG":
                icc, color = png.read_color(image, content)
                bits, whole = png.read_bits(content), png.correct_mode(image, content)
            elif (
                image.format == "BMP"
                and whole.mode == "RGBA"
                and not whole.getchannel("A").getbbox()
            ):
                whole = whole.convert("RGB")  # a screenshot's fourth byte, which says nothing
            has_key = whole.mode == "RGB" and "transparency" in image.info
            in_numbers = color is not None and not color.is_srgb and (color.is_hdr or not icc)
            if bits > _PILLOW_BITS and whole.mode != "I;16" and (has_key or in_numbers):
                deep = _read_deep(content, bits, whole.size)
                if has_key:
                    whole.putalpha(Image.fromarray((deep[..., 3] >> 8).astype(np.uint8)))
                    del whole.info["transparency"]
                deep = deep[..., :3]
            flat = flatten_to_srgb(whole, icc, description=color, deep=deep)
            return *flat, tags, xmp, _PILLOW_FORMATS[str(image.format)]
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(f"more than {MAX_PIXELS} pixels, which is the limit") from error
    except _PILLOW_ERRORS as error:
        # Pillow limits the expanded size of compressed text and profiles, and reports it only in
        # the message.
        if "too large" in str(error) or "MAX_TEXT" in str(error):
            raise ImageTooLarge(f"a compressed header expands too much: {error}") from error
        if isinstance(error, UnidentifiedImageError):
            # Its message contains the buffer's memory address.
            raise ImageUnreadable(
                "the file is cut, or it is "
                f"{other_formats.describe(content[: heif_items.SIGNATURE_BYTES])}; {ACCEPTED}"
            ) from error
        raise ImageUnreadable(f"not a whole picture: {error}") from error


def _read_deep(content: bytes, bits: int, size: tuple[int, int]) -> NDArray[np.uint16]:
    """Return a picture that Pillow has read in all of its bits, scaled to 16.

    Returns (H, W, 3) RGB, or (H, W, 4) with alpha.
    """
    read = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if read is None or read.dtype != np.uint16 or read.shape[1::-1] != size:
        raise ValueError("the picture has no readable pixels of more than 8 bits")
    deep = read.astype(np.uint16, copy=False)
    if deep.ndim == 2:  # noqa: PLR2004 - gray
        deep = deep[..., None].repeat(3, axis=-1)
    for strip in deep:  # of 50 megapixels, every copy takes 400 MB
        strip[..., :3] = strip[..., 2::-1]  # OpenCV's order is BGR
        if bits < 16:  # noqa: PLR2004 - bits
            strip[...] = strip << (16 - bits) | strip >> (2 * bits - 16)
    return deep


def _begin_with_photo(content: bytes) -> bytes:
    """Return a TIFF whose first page is the photo, not a thumbnail of it.

    Raises ImageUnreadable for a kind that Pillow refuses or decodes to wrong pixels.
    """
    try:
        page = tiff_header.find_photo(io.BytesIO(content))
    except struct.error as error:
        raise ImageUnreadable("the TIFF's header is broken") from error
    if page.refusal is not None:
        raise ImageUnreadable(f"the photo is {page.refusal}")
    at = tiff_header.DIRECTORY_AT
    if page.directory == content[at]:
        return content
    return content[: at.start] + page.directory + content[at.stop :]


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageTooLarge(f"{width}×{height} pixels; at most {MAX_PIXELS} are accepted")
    if max(width, height) > MAX_SIDE_PX:
        raise ImageTooLarge(f"{width}×{height} pixels; at most {MAX_SIDE_PX} a side")
    if not width or not height:
        raise ImageUnreadable(f"{width}×{height} pixels")
