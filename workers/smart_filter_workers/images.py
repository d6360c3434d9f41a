"""Bytes to upright sRGB pixels, and pixels to finished files; no other module decodes or encodes.

JPEG is read by `jpeg`; PNG, WebP and AVIF go through Pillow, told which formats it may try. Every
function may be called from several threads. Whole copies of a picture are few, because a
worker has several 12 megapixel photos under way: colours are converted strip by strip.
"""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError

from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable
from smart_filter_workers import avif, jpeg
from smart_filter_workers.results import Encoded, Matte8, Photo, Srgb8

MAX_PIXELS: Final = 50_000_000
# What the formats can hold at most: WebP by its 14-bit fields, JPEG and AVIF by the limits of
# libjpeg and libavif.
MAX_WEBP_SIDE_PX: Final = 16383
MAX_JPEG_SIDE_PX: Final = 65500
MAX_AVIF_SIDE_PX: Final = 32768
# From here on chroma is kept at full resolution: half of it frays the edge between a subject
# and a strongly coloured background; it costs 1.4 ms and 90 KB a megapixel.
FULL_CHROMA_QUALITY: Final = 90
# Levels: what rounding leaves between the sRGB profiles of different makers.
SRGB_TOLERANCE: Final = 2

_ORIENTATION_TAG: Final = 0x0112  # CIPA DC-008 4.6.4; its values are 1..8, of kind SHORT
_SHORT: Final = 3
_UPRIGHT: Final = 1
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
_FTYP: Final = slice(4, 8)  # how AVIF starts, behind a length
_PNG_START: Final = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNK_BYTES: Final = 12  # of length, name and checksum
_PNG_MOST_BYTES_PER_PIXEL: Final = 8  # 16 bits of red, green, blue and alpha
_PNG_SLACK_BYTES: Final = 4096
# Rows that are converted at a time.
_STRIP_ROWS: Final = 128
# Of libwebp's seven: half the time of Pillow's default for a tenth more bytes, and as fine.
_WEBP_METHOD: Final = 0
# Of libaom's, 0 to 10: an eighth of the time of Pillow's default for an eighth more bytes.
_AVIF_SPEED: Final = 10
# As coarse as the colours, alpha would leave a veil of a few levels where nothing is.
_AVIF_EXACT_ALPHA: Final = {"alpha:lossless": "1"}
# The sRGB chunk (PNG, third edition, 11.3.2.5) with rendering intent 0, perceptual.
_PNG_HEADER_BYTES: Final = 33
_PNG_SRGB_CHUNK: Final = b"\x00\x00\x00\x01sRGB\x00" + struct.pack(">I", zlib.crc32(b"sRGB\x00"))


def decode(content: bytes) -> Photo:
    """Decode an upload: upright, 8-bit sRGB, transparency laid over white, first frame only.

    Raises ImageTooLarge above MAX_PIXELS or when a compressed header swells; ImageUnreadable
    when the bytes are not a whole JPEG, PNG, WebP or AVIF: never a partial picture.
    """
    if content.startswith(jpeg.START):
        header = jpeg.read_header(content)
        _check_size(header.width, header.height)
        pixels = _to_srgb(jpeg.decode(content, header), header.mode, header.icc)
        return Photo(srgb=_turn_upright(pixels, _orientation(header.exif)), format="jpg")
    pixels, exif, format_ = _decode_with_pillow(content)
    return Photo(srgb=_turn_upright(pixels, _orientation(exif)), format=format_)


def shrink(srgb: Srgb8, *, longest_side: int) -> Srgb8:
    """Return the photo with no side above `longest_side` px; the same array when none is.

    srgb: (H, W, 3) uint8.  Every output pixel is the mean of the area it covers.
    """
    height, width = srgb.shape[:2]
    scale = longest_side / max(height, width)
    if scale >= 1:
        return srgb
    return by_area(srgb, width=max(1, round(width * scale)), height=max(1, round(height * scale)))


def by_area(srgb: Srgb8, *, width: int, height: int) -> Srgb8:
    """Return a picture at a size that is nowhere larger; the same array when it has it.

    srgb: (H, W, 3) uint8.  Every output pixel is the mean of the area it covers.
    """
    down, across = srgb.shape[:2]
    # Halving is OpenCV's vectorised case: 12 megapixels shrink in half the time of one odd step.
    while across >= 2 * width and down >= 2 * height and across % 2 == down % 2 == 0:
        across, down = across // 2, down // 2
        srgb = cv2.resize(srgb, (across, down), interpolation=cv2.INTER_AREA).astype(np.uint8)
    if (across, down) == (width, height):
        return srgb
    resized = cv2.resize(srgb, (width, height), interpolation=cv2.INTER_AREA)
    return resized.astype(np.uint8, copy=False)


def encode_jpeg(srgb: Srgb8, *, quality: int) -> Encoded:
    """Encode (H, W, 3) uint8 sRGB as JPEG without metadata (untagged means sRGB to browsers).

    Raises ImageTooLarge when a side is above what JPEG can hold.
    """
    _check_sides(srgb, MAX_JPEG_SIDE_PX, "JPEG")
    chroma = "444" if quality >= FULL_CHROMA_QUALITY else "420"
    content: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(srgb), quality=quality, colorspace="RGB", colorsubsampling=chroma
    )
    height, width = srgb.shape[:2]
    return Encoded(content, "image/jpeg", width, height, "jpg")


def encode_webp(pixels: Srgb8, *, quality: int) -> Encoded:
    """Encode (H, W, 3) sRGB or (H, W, 4) sRGB with straight alpha, uint8, as lossy WebP.

    Alpha is kept exactly; no metadata (untagged means sRGB to browsers).
    Raises ImageTooLarge when a side is above what WebP can hold.
    """
    _check_sides(pixels, MAX_WEBP_SIDE_PX, "WebP")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=quality, method=_WEBP_METHOD)
    height, width = pixels.shape[:2]
    return Encoded(file.getvalue(), "image/webp", width, height, "webp")


def encode_avif(pixels: Srgb8, *, quality: int) -> Encoded:
    """Encode (H, W, 3) sRGB or (H, W, 4) sRGB with straight alpha, uint8, as lossy AVIF.

    Alpha is kept exactly; no metadata (the file says sRGB by its own fields).
    Raises ImageTooLarge when a side is above what AVIF's readers take.
    """
    _check_sides(pixels, MAX_AVIF_SIDE_PX, "AVIF")
    chroma = "4:4:4" if quality >= FULL_CHROMA_QUALITY else "4:2:0"
    file = io.BytesIO()
    # One thread: how the picture is cut into tiles, and so its bytes, depends on their number.
    Image.fromarray(pixels).save(
        file,
        "AVIF",
        quality=quality,
        subsampling=chroma,
        speed=_AVIF_SPEED,
        max_threads=1,
        advanced=_AVIF_EXACT_ALPHA,
    )
    height, width = pixels.shape[:2]
    return Encoded(file.getvalue(), "image/avif", width, height, "avif")


def turned(srgb: Srgb8, quarter_turns: int) -> Srgb8:
    """Turn a picture by so many times 90° counter-clockwise.

    srgb: (H, W, 3) uint8.  Returns the very same array for 0, else a new one.
    """
    turns = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}
    if not quarter_turns:
        return srgb
    return np.asarray(cv2.rotate(srgb, turns[quarter_turns]), dtype=np.uint8)


def encode_png(pixels: Srgb8 | Matte8) -> Encoded:
    """Encode (H, W) grey, (H, W, 3) sRGB or (H, W, 4) sRGB with straight alpha, uint8, as PNG.

    Colours under alpha 0 become black: nobody sees them, and the file is smaller and faster.
    """
    match pixels.shape:
        case (height, width):
            ordered = pixels
        case (height, width, 3):
            ordered = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR).astype(np.uint8, copy=False)
        case (height, width, 4):
            ordered = cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA).astype(np.uint8, copy=False)
            unseen = (pixels[..., 3] == 0).astype(np.uint8)
            cv2.bitwise_xor(ordered, ordered, dst=ordered, mask=unseen)  # in place: no third copy
        case _:
            raise ValueError(f"{pixels.shape} is no picture")
    _, encoded = cv2.imencode(
        ".png",
        ordered,
        [
            # Matches of distance 1 only: on photos and on mattes half the time of the default
            # and smaller files too (21 against 35 ms a megapixel).
            cv2.IMWRITE_PNG_STRATEGY,
            cv2.IMWRITE_PNG_STRATEGY_RLE,
            cv2.IMWRITE_PNG_COMPRESSION,
            1,
            cv2.IMWRITE_PNG_FILTER,
            cv2.IMWRITE_PNG_FILTER_SUB,
        ],
    )
    plain = encoded.reshape(-1).data
    content = b"".join((plain[:_PNG_HEADER_BYTES], _PNG_SRGB_CHUNK, plain[_PNG_HEADER_BYTES:]))
    return Encoded(content, "image/png", width, height, "png")


# --- PNG, WebP and AVIF -----------------------------------------------------------------


def _decode_with_pillow(content: bytes) -> tuple[Srgb8, bytes, str]:
    if content[_FTYP] == b"ftyp":
        content = avif.checked(content, most_pixels=MAX_PIXELS)
    try:
        with Image.open(io.BytesIO(content), formats=tuple(_PILLOW_FORMATS)) as image:
            _check_size(*image.size)
            if image.format == "PNG":
                _refuse_swollen_png(content, *image.size)
            image.load()
            exif = image.info.get("exif") or b""
            icc = image.info.get("icc_profile") or b""
            return _flatten(image, icc), exif, _PILLOW_FORMATS[str(image.format)]
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(str(error)) from error
    except _PILLOW_ERRORS as error:
        # Pillow bounds what compressed text and profiles may swell to, and says so only here.
        if "too large" in str(error) or "MAX_TEXT" in str(error):
            raise ImageTooLarge(f"a compressed header swells: {error}") from error
        # Pillow names the buffer that it was given, by its address.
        why = "" if isinstance(error, UnidentifiedImageError) else f": {error}"
        raise ImageUnreadable(f"not a whole JPEG, PNG, WebP or AVIF{why}") from error


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


def _flatten(image: Image.Image, icc: bytes) -> Srgb8:
    """Return the picture's sRGB, laid over white where it is transparent."""
    mode = "L" if image.mode in {"1", "L"} or image.mode.startswith("I") else "RGB"
    to_srgb = _conversion(mode, icc) or np.asarray
    width, height = image.size
    flat: Srgb8 = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _STRIP_ROWS):
        rows = slice(top, min(height, top + _STRIP_ROWS))
        strip = image.crop((0, rows.start, width, rows.stop))
        if image.mode.startswith("I"):  # 16 bits of grey
            flat[rows] = to_srgb(Image.fromarray((np.asarray(strip) >> 8).astype(np.uint8)))
        elif not image.has_transparency_data:
            flat[rows] = to_srgb(strip.convert(mode))
        else:
            rgba = strip.convert("RGBA")
            ground = Image.new("RGB", rgba.size, "white")
            colours = Image.fromarray(to_srgb(rgba.convert("RGB")))
            ground.paste(colours, mask=rgba.getchannel("A"))
            flat[rows] = np.asarray(ground)
    return flat


# --- colours and orientation ------------------------------------------------------------


def _to_srgb(pixels: NDArray[np.uint8], mode: str, icc: bytes) -> Srgb8:
    """Return the sRGB of pixels of Pillow's mode L, RGB or CMYK; a broken profile is ignored."""
    convert = _conversion(mode, icc)
    if convert is None:
        return pixels
    srgb: Srgb8 = np.empty((*pixels.shape[:2], 3), np.uint8)
    for top in range(0, len(pixels), _STRIP_ROWS):
        strip = pixels[top : top + _STRIP_ROWS]
        srgb[top : top + len(strip)] = convert(_as_picture(strip, mode))
    return srgb


def _conversion(mode: str, icc: bytes) -> Callable[[Image.Image], Srgb8] | None:
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


def _orientation(exif: bytes) -> int:
    """Return the EXIF orientation, 1..8; 1, upright, when absent or not to be made out."""
    tiff = exif.removeprefix(jpeg.EXIF_PREFIX)
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None:
        return _UPRIGHT
    try:
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, first)
        for index in range(count):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, first + 2 + 12 * index)
            if tag == _ORIENTATION_TAG and kind == _SHORT:
                return int(value)
    except struct.error:
        pass  # broken EXIF is no reason to refuse a photo
    return _UPRIGHT


def _turn_upright(srgb: Srgb8, orientation: int) -> Srgb8:
    match orientation:
        case 2:
            turned = cv2.flip(srgb, 1)
        case 3:
            turned = cv2.rotate(srgb, cv2.ROTATE_180)
        case 4:
            turned = cv2.flip(srgb, 0)
        case 5:
            turned = cv2.transpose(srgb)
        case 6:
            turned = cv2.rotate(srgb, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            turned = cv2.transpose(cv2.flip(srgb, -1))
        case 8:
            turned = cv2.rotate(srgb, cv2.ROTATE_90_COUNTERCLOCKWISE)
        case _:
            return srgb
    return turned.astype(np.uint8, copy=False)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageTooLarge(f"{width}×{height} pixels; at most {MAX_PIXELS} are accepted")
    if not width or not height:
        raise ImageUnreadable(f"{width}×{height} pixels")


def _check_sides(pixels: Srgb8, longest_side: int, format_: str) -> None:
    height, width = pixels.shape[:2]
    if max(width, height) > longest_side:
        raise ImageTooLarge(
            f"{width}×{height} pixels; {format_} holds {longest_side} a side at most, PNG more"
        )
