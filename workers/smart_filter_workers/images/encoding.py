"""Pixels to finished files."""

import io
import struct
import zlib
from typing import Final

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from smart_filter_shared.errors import ImageTooLarge
from smart_filter_workers.results import Encoded, Matte8, Srgb8

# What the formats can hold at most: WebP by its 14-bit fields, JPEG and AVIF by the limits of
# libjpeg and libavif.
MAX_WEBP_SIDE_PX: Final = 16383
MAX_JPEG_SIDE_PX: Final = 65500
MAX_AVIF_SIDE_PX: Final = 32768
# From here on chroma is kept at full resolution: half of it frays the edge between a subject
# and a strongly coloured background; it costs 1.4 ms and 90 KB a megapixel.
FULL_CHROMA_QUALITY: Final = 90

# Of libwebp's seven: half the time of Pillow's default for a tenth more bytes, and as fine.
_WEBP_METHOD: Final = 0
# Of libaom's, 0 to 10: an eighth of the time of Pillow's default for an eighth more bytes.
_AVIF_SPEED: Final = 10
# As coarse as the colours, alpha would leave a veil of a few levels where nothing is.
_AVIF_EXACT_ALPHA: Final = {"alpha:lossless": "1"}
# The sRGB chunk (PNG, third edition, 11.3.2.5) with rendering intent 0, perceptual.
_PNG_HEADER_BYTES: Final = 33
_PNG_SRGB_CHUNK: Final = b"\x00\x00\x00\x01sRGB\x00" + struct.pack(">I", zlib.crc32(b"sRGB\x00"))


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


def _check_sides(pixels: Srgb8, longest_side: int, format_: str) -> None:
    height, width = pixels.shape[:2]
    if max(width, height) > longest_side:
        raise ImageTooLarge(
            f"{width}×{height} pixels; {format_} holds {longest_side} a side at most, PNG more"
        )
