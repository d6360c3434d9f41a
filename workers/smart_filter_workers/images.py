"""Bytes to upright sRGB pixels, and pixels to finished files; no other module decodes or encodes.

JPEG goes through simplejpeg (libjpeg-turbo), the fastest decoder measured: its headers are
read here, so that no EXIF or profile can trip a general library. PNG and WebP go through
Pillow, told which formats it may try. Every function may be called from several threads.
"""

import io
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageCms

from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable
from smart_filter_workers.results import Encoded, Matte8, Photo, Srgb8

MAX_PIXELS: Final = 50_000_000
# A progressive JPEG repeats itself in scans, ten as a rule; a few bytes a scan can cost
# minutes ("JPEG bomb": libjpeg-turbo's fuzzers stop at 500).
MAX_SCANS: Final = 100
# From here on chroma is kept at full resolution: half of it frays the edge between a subject
# and a strongly coloured background; it costs 1.4 ms and 90 KB a megapixel.
FULL_CHROMA_QUALITY: Final = 90
# Levels: what rounding leaves between the sRGB profiles of different makers.
SRGB_TOLERANCE: Final = 2

_JPEG_START: Final = b"\xff\xd8\xff"
_EXIF_PREFIX: Final = b"Exif\x00\x00"
_ORIENTATION_TAG: Final = 0x0112  # CIPA DC-008 4.6.4; its values are 1..8, of kind SHORT
_SHORT: Final = 3
_UPRIGHT: Final = 1
_PILLOW_FORMATS: Final = {"PNG": "png", "WEBP": "webp"}
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
)
# libjpeg's words for a slip of some cameras' scan headers that leaves the picture whole.
_HARMLESS_WARNING: Final = "Invalid SOS parameters for sequential JPEG"
# The sRGB chunk (PNG, third edition, 11.3.2.5) with rendering intent 0, perceptual.
_PNG_HEADER_BYTES: Final = 33
_PNG_SRGB_CHUNK: Final = b"\x00\x00\x00\x01sRGB\x00" + struct.pack(">I", zlib.crc32(b"sRGB\x00"))


def decode(content: bytes) -> Photo:
    """Decode an upload: upright, 8-bit sRGB, transparency laid over white, first frame only.

    Raises ImageTooLarge above MAX_PIXELS or when a compressed header swells; ImageUnreadable
    when the bytes are not a whole JPEG, PNG or WebP: never a partial picture.
    """
    if content.startswith(_JPEG_START):
        pixels, exif = _decode_jpeg(content)
        format_ = "jpg"
    else:
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
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Halving is OpenCV's vectorised case: 12 megapixels shrink in half the time of one odd step.
    while width >= 2 * size[0] and height >= 2 * size[1] and width % 2 == height % 2 == 0:
        width, height = width // 2, height // 2
        srgb = cv2.resize(srgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return cv2.resize(srgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def encode_jpeg(srgb: Srgb8, *, quality: int) -> Encoded:
    """Encode (H, W, 3) uint8 sRGB as JPEG without metadata (untagged means sRGB to browsers)."""
    chroma = "444" if quality >= FULL_CHROMA_QUALITY else "420"
    content: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(srgb), quality=quality, colorspace="RGB", colorsubsampling=chroma
    )
    height, width = srgb.shape[:2]
    return Encoded(content, "image/jpeg", width, height, "jpg")


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


# --- JPEG -------------------------------------------------------------------------------


class _Marker(IntEnum):
    """The markers that matter here (ITU-T T.81, table B.1)."""

    FIRST_FRAME = 0xC0
    LAST_FRAME = 0xCF
    SCAN = 0xDA
    APP1_EXIF = 0xE1
    APP2_ICC = 0xE2
    APP14_ADOBE = 0xEE
    FILL = 0xFF


# Huffman tables, an extension and arithmetic tables stand among the frame markers.
_NO_FRAMES: Final = frozenset({0xC4, 0xC8, 0xCC})
_ICC_PREFIX: Final = b"ICC_PROFILE\x00"  # then the chunk's number and their count, a byte each
_FRAME_START: Final = struct.Struct(">BHHB")  # bits a sample, height, width, components


@dataclass(frozen=True, slots=True)
class _JpegHeader:
    """What stands before the first scan; adobe: the file was written the Adobe way."""

    width: int
    height: int
    components: int
    adobe: bool
    exif: bytes
    icc: bytes


def _decode_jpeg(content: bytes) -> tuple[Srgb8, bytes]:
    header = _read_jpeg_header(content)
    _check_size(header.width, header.height)
    if content.count(b"\xff\xda") > MAX_SCANS:
        raise ImageUnreadable(f"JPEG with more than {MAX_SCANS} scans")
    space = {1: "GRAY", 3: "RGB", 4: "CMYK"}.get(header.components)
    if space is None:
        raise ImageUnreadable(f"JPEG with {header.components} colour components")
    pixels = _decompress_jpeg(content, space)
    if space == "CMYK" and header.adobe:
        pixels = np.invert(pixels)  # Adobe stores CMYK inverted: 255 is no ink
    return _to_srgb(pixels, "L" if space == "GRAY" else space, header.icc), header.exif


def _decompress_jpeg(content: bytes, space: str) -> NDArray[np.uint8]:
    try:
        return _simplejpeg(content, space, strict=True)
    except ValueError as error:
        if _HARMLESS_WARNING not in str(error):
            raise ImageUnreadable(f"JPEG: {error}") from error
    try:
        return _simplejpeg(content, space, strict=False)
    except ValueError as error:
        raise ImageUnreadable(f"JPEG: {error}") from error


def _simplejpeg(content: bytes, space: str, *, strict: bool) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        content, colorspace=space, fastdct=False, fastupsample=False, strict=strict
    )
    return pixels


def _read_jpeg_header(content: bytes) -> _JpegHeader:
    """Walk the segments before the first scan (ITU-T T.81, annex B)."""
    exif, icc, adobe, frame = b"", dict[int, bytes](), False, b""
    at = 2
    while at + 4 <= len(content) and content[at] == _Marker.FILL:
        marker = content[at + 1]
        if marker == _Marker.FILL:
            at += 1
            continue
        if marker == _Marker.SCAN:
            break
        length = int.from_bytes(content[at + 2 : at + 4])
        body = content[at + 4 : at + 2 + length]
        if marker == _Marker.APP1_EXIF and body.startswith(_EXIF_PREFIX):
            exif = exif or body
        elif marker == _Marker.APP2_ICC and body.startswith(_ICC_PREFIX):
            number_and_count = body[len(_ICC_PREFIX) :][:2]
            icc[int.from_bytes(number_and_count)] = body[len(_ICC_PREFIX) + 2 :]
        elif marker == _Marker.APP14_ADOBE and body.startswith(b"Adobe"):
            adobe = True
        elif _Marker.FIRST_FRAME <= marker <= _Marker.LAST_FRAME and marker not in _NO_FRAMES:
            frame = body
        at += 2 + max(2, length)
    if len(frame) < _FRAME_START.size:
        raise ImageUnreadable("JPEG without a frame header: truncated or corrupt")
    _, height, width, components = _FRAME_START.unpack_from(frame)
    profile = b"".join(icc[number] for number in sorted(icc))
    return _JpegHeader(width, height, components, adobe, exif, profile)


# --- PNG and WebP -----------------------------------------------------------------------


def _decode_with_pillow(content: bytes) -> tuple[Srgb8, bytes, str]:
    try:
        with Image.open(io.BytesIO(content), formats=tuple(_PILLOW_FORMATS)) as image:
            _check_size(*image.size)
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
        raise ImageUnreadable(f"not a whole JPEG, PNG or WebP: {error}") from error


def _flatten(image: Image.Image, icc: bytes) -> Srgb8:
    """Return the picture's sRGB, laid over white where it is transparent."""
    if image.mode.startswith("I"):  # 16 bits of grey
        deep = np.asarray(image)
        return _to_srgb((deep >> 8).astype(np.uint8), "L", icc)
    if not image.has_transparency_data:
        mode = "L" if image.mode in {"1", "L"} else "RGB"
        return _to_srgb(np.array(image.convert(mode)), mode, icc)
    rgba = image.convert("RGBA")
    colours = _to_srgb(np.array(rgba.convert("RGB")), "RGB", icc)
    flat = Image.new("RGB", image.size, "white")
    flat.paste(Image.fromarray(colours), mask=rgba.getchannel("A"))
    return np.array(flat)


# --- colours and orientation ------------------------------------------------------------


def _to_srgb(pixels: NDArray[np.uint8], mode: str, icc: bytes) -> Srgb8:
    """Return the sRGB of pixels of Pillow's mode L, RGB or CMYK; a broken profile is ignored."""
    if icc:
        try:
            transform = ImageCms.buildTransform(
                ImageCms.ImageCmsProfile(io.BytesIO(icc)),
                ImageCms.createProfile("sRGB"),
                mode,
                "RGB",
            )
            if mode == "RGB" and _changes_nothing(transform):
                return pixels
            return np.array(ImageCms.applyTransform(_as_picture(pixels, mode), transform))
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # such as a grey profile in a colour picture
    return pixels if mode == "RGB" else np.array(_as_picture(pixels, mode).convert("RGB"))


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
    tiff = exif.removeprefix(_EXIF_PREFIX)
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
