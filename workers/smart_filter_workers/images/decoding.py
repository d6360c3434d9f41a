"""Bytes to upright sRGB pixels.

JPEG is read by `jpeg`; PNG, WebP and AVIF go through Pillow, told which formats it may try;
HEIC by `heic`. Every function may be called from several threads. Whole copies of a picture
are few, because a worker has several 12 megapixel photos under way: colours are converted
strip by strip.
"""

import io
import struct
import zlib
from typing import Final

from PIL import Image, UnidentifiedImageError

from smart_filter_shared import isobmff
from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable
from smart_filter_workers.images import avif, exif, heic, jpeg, metadata, tiff
from smart_filter_workers.images.profiles import flattened, to_srgb
from smart_filter_workers.images.sizes import turned_upright
from smart_filter_workers.results import Photo, Srgb8

MAX_PIXELS: Final = 50_000_000

_PILLOW_FORMATS: Final = {"PNG": "png", "WEBP": "webp", "AVIF": "avif"}
# What Pillow's readers are known to raise on bad bytes; anything else is a defect of ours.
_PILLOW_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    IndexError,
    KeyError,
    EOFError,
    struct.error,
    zlib.error,
    AssertionError,  # of a PNG without IHDR
    RuntimeError,  # of an AVIF's pixels
    ZeroDivisionError,  # of an animated AVIF whose clock stands still
)
_PNG_START: Final = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNK_BYTES: Final = 12  # of length, name and checksum
_PNG_MOST_BYTES_PER_PIXEL: Final = 8  # 16 bits of red, green, blue and alpha
_PNG_SLACK_BYTES: Final = 4096


def decode(content: bytes) -> Photo:
    """Decode an upload: upright, 8-bit sRGB, transparency laid over white, first frame only.

    Raises ImageTooLarge above MAX_PIXELS or when a compressed header swells; ImageUnreadable
    when the bytes are not a whole JPEG, PNG, WebP, AVIF or HEIC: never a partial picture.
    """
    if content.startswith(jpeg.START):
        header = jpeg.read_header(content)
        _check_size(header.width, header.height)
        pixels = to_srgb(jpeg.decode(content, header), header.mode, header.icc)
        return _photo(pixels, "jpg", header.exif, orientation=exif.orientation(header.exif))
    match isobmff.still(content):
        case isobmff.Still.HEIC:
            pixels, tags = heic.decode(content, most_pixels=MAX_PIXELS)
            return _photo(pixels, "heic", tags, orientation=exif.UPRIGHT)
        case isobmff.Still.AVIF:
            bounded = avif.checked(content, most_pixels=MAX_PIXELS)
            # Pillow tells as EXIF how the picture's own properties say that it lies.
            pixels, lies, format_ = _decode_with_pillow(bounded)
            tags = avif.exif(content)
            return _photo(pixels, format_, tags, orientation=exif.orientation(lies))
    pixels, tags, format_ = _decode_with_pillow(content)
    return _photo(pixels, format_, tags, orientation=exif.orientation(tags))


def _photo(pixels: Srgb8, format_: str, tags: bytes, *, orientation: int) -> Photo:
    tags = tags.removeprefix(tiff.PREFIX)
    # Longer than a JPEG's, it is nothing that a camera wrote.
    short = tags if len(tags) <= metadata.MAX_BYTES else b""
    upright = turned_upright(pixels, orientation)
    return Photo(upright, format_, exif.taken_at(short), short)


def _decode_with_pillow(content: bytes) -> tuple[Srgb8, bytes, str]:
    try:
        with Image.open(io.BytesIO(content), formats=tuple(_PILLOW_FORMATS)) as image:
            _check_size(*image.size)
            if image.format == "PNG":
                _refuse_swollen_png(content, *image.size)
            image.load()
            tags = image.info.get("exif") or b""
            icc = image.info.get("icc_profile") or b""
            return flattened(image, icc), tags, _PILLOW_FORMATS[str(image.format)]
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(str(error)) from error
    except _PILLOW_ERRORS as error:
        # Pillow bounds what compressed text and profiles may swell to, and says so only here.
        if "too large" in str(error) or "MAX_TEXT" in str(error):
            raise ImageTooLarge(f"a compressed header swells: {error}") from error
        if isinstance(error, UnidentifiedImageError):
            # Its words name the buffer that it was given, by its address.
            raise ImageUnreadable(
                "this is no picture, or only the beginning of one; JPEG, PNG, WebP and AVIF are "
                "accepted, HEIC with smart-filter[heic]"
            ) from error
        raise ImageUnreadable(f"not a whole JPEG, PNG, WebP or AVIF: {error}") from error


def _refuse_swollen_png(content: bytes, width: int, height: int) -> None:
    """Refuse packed pixels that are more than the header's would be unpacked.

    Decoders stop at the header's size and show a picture; but who writes such a file means
    no picture (a "decompression bomb").
    """
    packed, at = 0, len(_PNG_START)
    while at + _PNG_CHUNK_BYTES <= len(content):
        length = int.from_bytes(content[at : at + 4])
        if content[at + 4 : at + 8] == b"IDAT":
            packed += length
        at += _PNG_CHUNK_BYTES + length
    if packed > _PNG_MOST_BYTES_PER_PIXEL * width * height + 2 * height + _PNG_SLACK_BYTES:
        raise ImageTooLarge(f"{packed} packed bytes of pixels for {width}×{height} of them")


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageTooLarge(f"{width}×{height} pixels; at most {MAX_PIXELS} are accepted")
    if not width or not height:
        raise ImageUnreadable(f"{width}×{height} pixels")
