"""HEIC and AVIF: libheif reads the properties of both, and decodes HEIC; Pillow decodes AVIF.

libheif and the process that calls it limit memory and time. This module adds what they lack: a
limit of nested items, AVIF's crop, and a place for EXIF that a broken one cannot fail.
"""

import contextlib
import io
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import IO, Any, Final

import numpy as np
import pi_heif
from numpy.typing import NDArray
from PIL import Image

from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable
from smart_filter_shared.security import heif_items
from smart_filter_shared.security.photo_header import MAX_PIXELS
from smart_filter_workers.images.metadata.code_points import ColorDescription, from_code_points
from smart_filter_workers.images.metadata.icc_profiles import flatten_to_srgb
from smart_filter_workers.results import Matte8, Srgb8

_PROPERTIES: Final = (b"meta", b"iprp", b"ipco")
# Errors that libheif's wrapper raises on bad bytes; any other is a bug here.
_PI_HEIF_ERRORS: Final = (
    OSError,
    ValueError,
    SyntaxError,
    RuntimeError,
    EOFError,
    IndexError,  # a file without pictures
)
_CHROMA_422: Final = 422
_LIMIT_WORDS: Final = ("Security limit", "Memory allocation", "Out of memory")


@dataclass(frozen=True, slots=True)
class HeifPhoto:
    """The properties of a file's main picture.

    width, height: after its crop and turn.  bits: of a sample.  color: as numbers describe it.
    icc, exif: may be empty; EXIF begins with its TIFF header.
    """

    width: int
    height: int
    bits: int
    is_422: bool
    color: ColorDescription | None
    icc: bytes
    exif: bytes


def read_photo(content: bytes) -> HeifPhoto:
    """Return the properties of a HEIC's or AVIF's main picture, without decoding it.

    Raises ImageUnreadable, ImageTooLarge.
    """
    _check_items(io.BytesIO(content))
    if heif_items.is_cut(io.BytesIO(content)):  # libheif would show missing tiles in green
        raise ImageUnreadable("its end is missing; send the file again")
    try:
        picture = _open(content, is_deep=False)
        numbers = picture.info.get("nclx_profile")
    except _PI_HEIF_ERRORS as error:
        raise _refusal(error) from error
    color = None
    if numbers:
        color = from_code_points(numbers["color_primaries"], numbers["transfer_characteristics"])
    width, height = picture.size
    return HeifPhoto(
        width,
        height,
        picture.info["bit_depth"],
        picture.info.get("chroma") == _CHROMA_422,
        color,
        picture.info.get("icc_profile") or b"",
        picture.info["exif"] or b"",
    )


def decode_heic(content: bytes, photo: HeifPhoto) -> tuple[Srgb8, Matte8 | None]:
    """Return the main picture upright, (H, W, 3) uint8 sRGB over white, and its alpha.

    The alpha is (H, W) uint8, None for an opaque picture.  Raises ImageUnreadable, ImageTooLarge.
    """
    whole = _drop_crop(content)
    is_own_crop = whole != content
    upright, quarter_turns = _take_turn(whole) if photo.is_422 or is_own_crop else (whole, 0)
    try:
        picture = _open(upright, is_deep=photo.color is not None and photo.color.is_hdr)
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise ImageTooLarge(f"a part of {width}×{height} pixels; at most {MAX_PIXELS}")
        # Copy: the picture's memory is freed with it, even while arrays refer to it.
        samples = _to_samples(picture)
        del picture
    except _PI_HEIF_ERRORS as error:
        raise _refusal(error) from error
    if is_own_crop and sorted((width, height)) != sorted((photo.width, photo.height)):
        samples = samples[_find_crop(content, photo, width=width, height=height)]
    if samples.ndim == 2:  # noqa: PLR2004 - gray of a color format; its profile is for colors
        samples = np.stack([samples] * 3, axis=-1)
    deep = samples[..., :3] if samples.dtype == np.uint16 else None
    image = Image.fromarray(samples if deep is None else (samples >> 8).astype(np.uint8))
    srgb, alpha = flatten_to_srgb(image, photo.icc, description=photo.color, deep=deep)
    if not quarter_turns:
        return srgb, alpha
    return np.rot90(srgb, quarter_turns).copy(), (
        None if alpha is None else np.rot90(alpha, quarter_turns).copy()
    )


def hide_metadata(content: bytes) -> bytes:
    """Return an AVIF without its metadata: a broken one fails Pillow, some whole ones OpenCV."""
    return _rename(_rename(content, b"iinf", b"Exif", b"none"), b"iref", b"cdsc", b"free")


def read_crop(
    content: bytes, photo: HeifPhoto, *, width: int, height: int
) -> tuple[slice, slice] | None:
    """Return the rows and columns of an AVIF that its crop leaves; None without a crop.

    Pillow does not apply the crop, which is done before the picture is turned.  width, height: of
    the picture that Pillow returns.
    Raises ImageUnreadable when the crop is not certain: it may hide what is private.
    """
    if sorted((photo.width, photo.height)) != sorted((width, height)):
        return _find_crop(content, photo, width=width, height=height)
    file = io.BytesIO(content)
    if any(b"clap" in movie.read(file) for movie in heif_items.find(file, b"moov")):
        raise ImageUnreadable("the frames of the animated AVIF have a crop; save one as JPEG")
    return None


def _find_crop(content: bytes, photo: HeifPhoto, *, width: int, height: int) -> tuple[slice, slice]:
    """Return the rows and columns that the one crop of a file leaves of a picture not turned yet.

    Raises ImageUnreadable.  Source: ISO/IEC 14496-12, 12.1.4 (clap).
    """
    file = io.BytesIO(content)
    crops = {box.read(file) for box in heif_items.find(file, *_PROPERTIES, b"clap")}
    for crop in crops if len(crops) == 1 else ():
        with contextlib.suppress(struct.error, ZeroDivisionError):
            columns, rows = _cut(crop, 0, width), _cut(crop, 8, height)
            sides = columns.stop - columns.start, rows.stop - rows.start
            if sorted(sides) == sorted((photo.width, photo.height)):
                return rows, columns
    raise ImageUnreadable("its crop cannot be read; save the photo as JPEG or PNG")


def _drop_crop(content: bytes) -> bytes:
    """Return a HEIC without its only crop, which libheif may refuse; others are left to it.

    libheif takes a picture that is over 64 pixels larger than its crop for malicious.
    """
    file = io.BytesIO(content)
    crops, turns, mirrors = (
        {box.read(file) for box in heif_items.find(file, *_PROPERTIES, kind)}
        for kind in (b"clap", b"irot", b"imir")
    )
    if len(crops) != 1 or len(turns) > 1 or mirrors:
        return content
    return _rename(content, b"iprp", b"clap", b"free")


def _cut(crop: bytes, at: int, whole: int) -> slice:
    """Return the part of a side, from the fractions of its length and of its center's offset."""
    length = Fraction(*struct.unpack_from(">II", crop, at))
    center = Fraction(*struct.unpack_from(">iI", crop, at + 16)) + Fraction(whole, 2)
    first, last = round(center - length / 2), round(center + length / 2)
    return slice(max(first, 0), min(last, whole))


def _rename(content: bytes, box: bytes, kind: bytes, replacement: bytes) -> bytes:
    """Return a file in which a kind of items (iinf) or of references (iref) is another one.

    Source: ISO/IEC 14496-12, 8.11.6 and 8.11.12.
    """
    file = io.BytesIO(content)
    for path in heif_items.METAS:
        for index in list(heif_items.find(file, *path, box)):
            renamed = index.read(file).replace(kind, replacement)
            file.seek(index.start)
            file.write(renamed)
    return file.getvalue()


def _take_turn(content: bytes) -> tuple[bytes, int]:
    """Return a HEIC that is not turned, and the quarter turns to do, counter-clockwise.

    libheif decodes another range of levels when it turns 4:2:2.  A file whose pictures are turned
    differently, or mirrored too, is left to it.
    Source: ISO/IEC 23008-12, 6.5.10 (irot).
    """
    file = io.BytesIO(content)
    turns = list(heif_items.find(file, *_PROPERTIES, b"irot"))
    angles = {turn.read(file)[:1] for turn in turns}
    if len(angles) != 1 or any(heif_items.find(file, *_PROPERTIES, b"imir")):
        return content, 0
    for turn in turns:
        file.seek(turn.start)
        file.write(b"\0")
    return file.getvalue(), int.from_bytes(angles.pop()) & 3


def _open(content: bytes, *, is_deep: bool) -> pi_heif.HeifImage:
    # libheif fails when a photo refers to a thumbnail that is lost.
    content = _rename(content, b"iref", b"thmb", b"free")
    file = pi_heif.open_heif(content, convert_hdr_to_8bit=not is_deep, hdr_to_16bit=True)
    picture = file[file.primary_index]
    if not picture.info["primary"]:  # a thumbnail, for example
        raise ImageUnreadable("its main picture cannot be opened; save it as JPEG or PNG")
    return picture


def _to_samples(picture: pi_heif.HeifImage) -> NDArray[Any]:
    samples = np.array(picture)
    if picture.mode != "RGBa" or samples.dtype != np.uint8:
        return samples
    multiplied = Image.frombytes("RGBa", samples.shape[1::-1], samples.tobytes())
    return np.array(multiplied.convert("RGBA"))


def _check_items(file: IO[bytes]) -> None:
    """Raise ImageUnreadable for a file whose items take too long to read or to decode."""
    try:
        heif_items.measure_expansion(file)
    except heif_items.ItemsRefused as error:
        raise ImageUnreadable(f"it {error}; save it as JPEG or PNG") from error
    except struct.error as error:
        raise ImageUnreadable(f"not a whole picture: {error}") from error


def _refusal(error: Exception) -> ImageTooLarge | ImageUnreadable:
    """Return the refusal for an error of libheif."""
    if any(words in str(error) for words in _LIMIT_WORDS):
        return ImageTooLarge(f"decoding it takes too much: {error}")
    return ImageUnreadable(f"not a whole picture: {error}")
