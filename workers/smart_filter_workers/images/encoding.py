"""Encode pixels to files, and files to one archive.

Fast encoders are the default; `small` uses slower ones for fewer bytes.

Source: ISO 16684-1 (XMP), 7; IPTC Photo Metadata Standard 2023.2, "Digital Source Type".
"""

import io
import struct
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import simplejpeg
from PIL import Image

from smart_filter_shared.errors import ImageTooLarge
from smart_filter_workers.images import png
from smart_filter_workers.images.metadata import exif
from smart_filter_workers.images.metadata.icc_profiles import srgb_profile
from smart_filter_workers.results import EncodedFile, Matte8, Matte16, Srgb8

# Longest sides of the formats: WebP by its 14-bit fields, JPEG and AVIF by the limits of libjpeg
# and libavif.
MAX_WEBP_SIDE_PX: Final = 16383
MAX_JPEG_SIDE_PX: Final = 65500
MAX_AVIF_SIDE_PX: Final = 32768
# From this quality on chroma keeps its full resolution: half of it frays the edge between a subject
# and a strongly colored background. It costs 1.4 ms and 90 KB a megapixel.
FULL_CHROMA_QUALITY: Final = 90

# libaom's speeds, 0 to 10: an eighth of the time of Pillow's default for an eighth more bytes.
_AVIF_SPEED, _AVIF_SPEED_SMALL = 10, 6
# For large pictures: a megapixel takes up to 1.3 s at 6, a quarter of a second at 8, and a stage
# must not take minutes.
_AVIF_SPEED_SMALL_OF_LARGE, _LARGE_PX = 8, 8_000_000
# The encoder takes 33 bytes a pixel with full chroma, 21 with half of it, as 4:2:0: a gigabyte at
# 30 and 50 megapixels.
_AVIF_FULL_CHROMA_PX: Final = 30_000_000
# With the colors' quality, alpha would leave a veil of a few levels in transparent areas.
_AVIF_EXACT_ALPHA: Final = {"alpha:lossless": "1"}
# Encoders use up to 24 bytes a pixel: larger pictures than this are encoded one at a time.
_ALONE, _ALONE_PX = threading.Lock(), 12_500_000
# The start of simplejpeg's files: marker and JFIF segment (ITU-T T.871, 10.1).
_JFIF_BYTES: Final = 20
_DENSITY_AT, _PER_INCH = 13, 1
_EXIF_SEGMENT, _ICC_SEGMENT = 0xE1, 0xE2
_XMP_HEADER: Final = b"http://ns.adobe.com/xap/1.0/\0"  # ISO 16684-3, 1.1.3
_ICC_HEADER: Final = b"ICC_PROFILE\0\1\1"  # ICC.1:2022, annex B.4: chunk 1 of 1

# libwebp's methods, 0 to 6: half the time of Pillow's default for a tenth more bytes, same quality.
_METHOD, _METHOD_SMALL = 0, 4
# The first method that limits the space of block modes (half a megabyte in all, RFC 6386, 9.3): 24
# megapixels with a camera's noise exceed it otherwise.
_SAFE_METHOD: Final = 2
# The small method takes 0.3 s a megapixel for 3 % fewer bytes than the safe one: not for pictures
# above this.
_LARGE_WEBP_PX: Final = 12_500_000
# Pillow's message when there is no room.
_NO_ROOM_ERROR: Final = "encoding error 6"
_STEP: Final = 10

# The earliest date of the zip format; the true date would change the bytes each time.
_FIXED_DATE: Final = (1980, 1, 1, 0, 0, 0)
_FILE_MODE: Final = 0o644 << 16

# Source: IPTC NewsCodes, http://cv.iptc.org/newscodes/digitalsourcetype/ of 2024-10-23: a mix of
# several elements, whether generative AI made one or not. The other composites claim more than is
# known of a client's background: `compositeCapture` that all elements are captured,
# `compositeSynthetic` that one is generated. `compositeWithTrainedAlgorithmicMedia` is for pictures
# that a generative model edited; here no model draws pixels.
COMPOSITE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/composite"
_PACKET: Final = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
<Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


@dataclass(frozen=True, slots=True)
class EncodingOptions:
    """How a picture is encoded.

    format: `jpg`, `png`, `webp` or `avif`.  quality: 1..100, for all but png.
    small: whether to use a slower encoder for fewer bytes.
    exif: the photo's original EXIF; the file gets the tags that `exif_filter.filter_tags` keeps.
    dots_per_inch: print resolution to write; None writes none.
    xmp: an XMP packet, for all but avif.
    """

    format: str
    quality: int = 90
    small: bool = False
    exif: bytes = b""
    dots_per_inch: int | None = None
    xmp: bytes = b""


def encode(pixels: Srgb8, manner: EncodingOptions) -> EncodedFile:
    """Return a file of (H, W, 3) sRGB or (H, W, 4) sRGB with straight alpha, uint8.

    Large pictures are encoded one at a time in the process, to limit memory.
    Raises ImageTooLarge when a side is above what the format can hold.
    """
    if pixels.shape[0] * pixels.shape[1] <= _ALONE_PX:
        return _encode_format(pixels, manner)
    with _ALONE:
        return _encode_format(pixels, manner)


def _encode_format(pixels: Srgb8, manner: EncodingOptions) -> EncodedFile:
    height, width = pixels.shape[:2]
    quality, small, density = manner.quality, manner.small, manner.dots_per_inch
    # JPEG and PNG have fields of their own for the density.
    exif_density = density if manner.exif or manner.format in {"webp", "avif"} else None
    tags = exif.filter_tags(manner.exif, width=width, height=height, dots_per_inch=exif_density)
    match manner.format:
        case "avif":
            return encode_avif(pixels, quality=quality, small=small, tags=tags)
        case "webp":
            return encode_webp(pixels, quality=quality, small=small, tags=tags, xmp=manner.xmp)
        case "png":
            return encode_png(pixels, small=small, tags=tags, dots_per_inch=density, xmp=manner.xmp)
        case _:
            return encode_jpeg(
                pixels,
                quality=quality,
                small=small,
                tags=tags,
                dots_per_inch=density,
                xmp=manner.xmp,
            )


def encode_jpeg(
    srgb: Srgb8,
    *,
    quality: int,
    small: bool = False,
    tags: bytes = b"",
    dots_per_inch: int | None = None,
    xmp: bytes = b"",
) -> EncodedFile:
    """Return (H, W, 3) uint8 sRGB as JPEG; progressive if `small`.

    Raises ImageTooLarge when a side is above what JPEG can hold.
    """
    _check_sides(srgb, MAX_JPEG_SIDE_PX, "JPEG")
    height, width = srgb.shape[:2]
    whole_chroma = quality >= FULL_CHROMA_QUALITY
    if small:
        file = io.BytesIO()
        Image.fromarray(srgb).save(
            file,
            "JPEG",
            quality=quality,
            subsampling="4:4:4" if whole_chroma else "4:2:0",
            optimize=True,
            progressive=True,
            icc_profile=srgb_profile(),
            exif=exif.EXIF_PREFIX + tags if tags else b"",
            # Pillow writes no density for two zeros.
            dpi=(dots_per_inch or 0,) * 2,
            xmp=xmp,
        )
        return EncodedFile(file.getvalue(), "image/jpeg", width, height, "jpg", quality=quality)
    plain: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(srgb),
        quality=quality,
        colorspace="RGB",
        colorsubsampling="444" if whole_chroma else "420",
    )
    parts = [
        _jfif(plain[:_JFIF_BYTES], dots_per_inch),
        _segment(_ICC_SEGMENT, _ICC_HEADER + srgb_profile()),
    ]
    if xmp:
        parts.insert(1, _segment(_EXIF_SEGMENT, _XMP_HEADER + xmp))
    if tags:
        parts.insert(1, _segment(_EXIF_SEGMENT, exif.EXIF_PREFIX + tags))
    content = b"".join((*parts, memoryview(plain)[_JFIF_BYTES:]))
    return EncodedFile(content, "image/jpeg", width, height, "jpg", quality=quality)


def encode_webp(
    pixels: Srgb8, *, quality: int, small: bool = False, tags: bytes = b"", xmp: bytes = b""
) -> EncodedFile:
    """Return (H, W, 3) sRGB or (H, W, 4) sRGB with straight alpha, uint8, as lossy WebP.

    Alpha is kept exactly; the quality is reduced if WebP has no room for it.
    Raises ImageTooLarge when a side is above what WebP can hold.
    """
    _check_sides(pixels, MAX_WEBP_SIDE_PX, "WebP")
    content, quality = save_webp(pixels, quality=quality, small=small, tags=tags, xmp=xmp)
    height, width = pixels.shape[:2]
    return EncodedFile(content, "image/webp", width, height, "webp", quality=quality)


def encode_avif(
    pixels: Srgb8, *, quality: int, small: bool = False, tags: bytes = b""
) -> EncodedFile:
    """Return (H, W, 3) sRGB or (H, W, 4) sRGB with straight alpha, uint8, as lossy AVIF.

    Alpha is kept exactly. The file's own fields say sRGB. Raises ImageTooLarge when a side is above
    the limit of AVIF's readers.
    """
    _check_sides(pixels, MAX_AVIF_SIDE_PX, "AVIF")
    height, width = pixels.shape[:2]
    whole_chroma = quality >= FULL_CHROMA_QUALITY and height * width <= _AVIF_FULL_CHROMA_PX
    speed = _AVIF_SPEED
    if small:
        speed = _AVIF_SPEED_SMALL if height * width <= _LARGE_PX else _AVIF_SPEED_SMALL_OF_LARGE
    file = io.BytesIO()
    # One thread: the number of threads changes the tiles, and with them the bytes.
    Image.fromarray(pixels).save(
        file,
        "AVIF",
        quality=quality,
        subsampling="4:4:4" if whole_chroma else "4:2:0",
        speed=speed,
        max_threads=1,
        advanced=_AVIF_EXACT_ALPHA,
        exif=tags,
    )
    return EncodedFile(file.getvalue(), "image/avif", width, height, "avif", quality=quality)


def encode_png(
    pixels: Srgb8 | Matte8 | Matte16,
    *,
    small: bool = False,
    tags: bytes = b"",
    dots_per_inch: int | None = None,
    xmp: bytes = b"",
) -> EncodedFile:
    """Return gray, (H, W) uint8 or uint16, or sRGB, (H, W, 3) or (H, W, 4) uint8, as PNG.

    Alpha is straight. Colors under alpha 0 become black: they are invisible, and the file is
    smaller and encodes faster.
    """
    content = png.encode(pixels, small=small, tags=tags, dots_per_inch=dots_per_inch, xmp=xmp)
    height, width = pixels.shape[:2]
    return EncodedFile(content, "image/png", width, height, "png")


def _jfif(head: bytes, dots_per_inch: int | None) -> bytes:
    """Return the start of a JPEG with its density set.  Source: ITU-T T.871, 10.1."""
    if dots_per_inch is None:
        return head
    density = struct.pack(">BHH", _PER_INCH, dots_per_inch, dots_per_inch)
    return head[:_DENSITY_AT] + density + head[_DENSITY_AT + len(density) :]


def _segment(marker: int, content: bytes) -> bytes:
    """Return a segment of a JPEG. Source: ITU-T T.81, B.1.1.4."""
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2) + content


def _check_sides(pixels: Srgb8, longest_side: int, format_: str) -> None:
    height, width = pixels.shape[:2]
    if max(width, height) > longest_side:
        raise ImageTooLarge(
            f"{width}×{height} pixels; {format_} holds {longest_side} a side at most, PNG more"
        )


def save_webp(
    pixels: Srgb8, *, quality: int, small: bool, tags: bytes, xmp: bytes = b""
) -> tuple[bytes, int]:
    """Return a WebP of (H, W, 3) or (H, W, 4) uint8, and its actual quality.

    The quality is usually the requested one; if the format has no room for it, it is reduced until
    there is.
    """
    picture = Image.fromarray(pixels)
    large = pixels.shape[0] * pixels.shape[1] > _LARGE_WEBP_PX
    cause: ValueError | None = None
    for method, tried in _attempts(quality, small=small, large=large):
        file = io.BytesIO()
        try:
            picture.save(
                file,
                "WEBP",
                quality=tried,
                method=method,
                icc_profile=srgb_profile(),
                exif=tags,
                xmp=xmp,
            )
        except ValueError as error:
            if _NO_ROOM_ERROR not in str(error):
                raise
            cause = error
        else:
            return file.getvalue(), tried
    raise ValueError("there is no room even at the lowest quality") from cause


def _attempts(quality: int, *, small: bool, large: bool) -> Iterator[tuple[int, int]]:
    """Yield pairs of method and quality, best first."""
    if small and not large:
        yield _METHOD_SMALL, quality
    elif not small:
        yield _METHOD, quality
    for tried in range(quality, 0, -_STEP):
        yield _SAFE_METHOD, tried
    yield _SAFE_METHOD, 1


def make_zip(files: Mapping[str, bytes]) -> bytes:
    """Return a zip of files by name, uncompressed, because pictures do not compress further."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _FIXED_DATE)
            entry.external_attr = _FILE_MODE
            packed.writestr(entry, content)
    return buffer.getvalue()


def make_packet(source_type: str) -> bytes:
    """Return a packet with a digital source type, the URI of a term of the IPTC's vocabulary."""
    return _PACKET.format(source_type=source_type).encode()
