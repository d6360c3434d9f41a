"""Masks and strokes that are sent with a photo, and the checks of those that correct a job."""

import io
import json
import struct
from collections.abc import Sequence
from typing import IO, Final, NoReturn

from smart_filter_api.http import strict_json
from smart_filter_api.intake import json_document
from smart_filter_api.intake.body import PhotoRequest, SpooledStrokes
from smart_filter_api.intake.multipart import MASK, STROKES
from smart_filter_api.schemas.submissions import SentStrokes, Stroke
from smart_filter_api.submission.photo_source import ResolvedPhoto
from smart_filter_shared.errors import Contradiction, FieldError, InvalidRequest, MalformedRequest
from smart_filter_shared.feedback.corrections import MAX_MASK_BYTES, MAX_POINTS_DRAWN
from smart_filter_shared.recipe import Mask, PersonSelection, Recipe
from smart_filter_shared.recipe.words import json_pointer
from smart_filter_shared.security.photo_header import MAX_SIDE_PX

# Start of a PNG: its signature and the chunk IHDR, with width, height, bit depth and color type.
# Source: W3C PNG, 5.2 and 11.2.1.
_PNG_START: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_HEADER_BYTES: Final = len(_PNG_START) + 10
_GRAY_8_BIT: Final = (8, 0)


def read_drawing(
    request: PhotoRequest, recipe: Recipe, photo: ResolvedPhoto
) -> SpooledStrokes | None:
    """Check the mask of a request and return its strokes; None without any.

    Raises InvalidRequest, Contradiction.
    """
    _check_mask(request, recipe, photo)
    return _read_strokes(request, photo)


def encode_strokes(strokes: Sequence[Stroke], size: tuple[int, int]) -> bytes:
    """Return strokes as they are stored.

    size: the width and the height within which they must be.  Raises InvalidRequest.
    """
    if sum(len(stroke.points) for stroke in strokes) > MAX_POINTS_DRAWN:
        _refuse("/strokes", f"have more than {MAX_POINTS_DRAWN} points in total")
    for number, stroke in enumerate(strokes):
        if stroke.width is None and stroke.snap is None:
            _refuse(f"/strokes/{number}/width", "is needed without snap")
        for place, (x, y) in enumerate(stroke.points):
            if not (0 <= x <= size[0] and 0 <= y <= size[1]):
                where = f"/strokes/{number}/points/{place}"
                _refuse(where, f"is outside the upright photo of {size[0]}×{size[1]} pixels")
    return json.dumps(
        [stroke.model_dump(mode="json", exclude_none=True) for stroke in strokes]
    ).encode()


def read_mask_size(file: IO[bytes], length: int, pointer: str) -> tuple[int, int]:
    """Return width and height of a mask; the file's position becomes 0.

    length: of the file, in bytes.  Raises InvalidRequest unless it is a gray PNG.
    """
    start = file.read(_HEADER_BYTES)
    file.seek(0)
    if length > MAX_MASK_BYTES:
        _refuse(pointer, f"has more than {MAX_MASK_BYTES} bytes")
    if not start.startswith(_PNG_START) or len(start) < _HEADER_BYTES:
        _refuse(pointer, "is not a PNG")
    width, height, *kind = struct.unpack_from(">IIBB", start, len(_PNG_START))
    if tuple(kind) != _GRAY_8_BIT:
        _refuse(pointer, "is not grayscale with 8 bits per pixel and without alpha")
    return width, height


def refuse_mask_size(pointer: str, size: tuple[int, int], wanted: tuple[int, int]) -> NoReturn:
    """Raise the error for a mask of another size than its photo, both width and height."""
    actual, expected = (f"{width}×{height}" for width, height in (size, wanted))
    _refuse(pointer, f"is {actual}, but the upright photo is {expected}; send a mask of that size")


def _check_mask(request: PhotoRequest, recipe: Recipe, photo: ResolvedPhoto) -> None:
    # The exact size is known only when the photo is decoded: EXIF may turn it.
    if request.mask is None:
        return
    width, height = read_mask_size(request.mask.file, request.mask.length, json_pointer(MASK))
    header = photo.header
    if header is not None and {width, height} != {header.width, header.height}:
        refuse_mask_size(json_pointer(MASK), (width, height), (header.width, header.height))
    if recipe.mask == Mask.UPLOAD:
        detail = f"takes the photo's transparency as the mask: leave out mask, or {MASK}"
        raise Contradiction([FieldError("/mask", detail)])
    if recipe.persons != PersonSelection.ALL:
        detail = f"a mask has no separate persons: leave out persons, or {MASK}"
        raise Contradiction([FieldError("/persons", detail)])


def _read_strokes(request: PhotoRequest, photo: ResolvedPhoto) -> SpooledStrokes | None:
    if request.strokes is None:
        return None
    if request.mask is not None:
        detail = f"would change the mask: draw them into {MASK}, or leave one out"
        raise Contradiction([FieldError(json_pointer(STROKES), detail)])
    try:
        values = strict_json.read_value(request.strokes.encode(), called="the field")
    except MalformedRequest as error:
        _refuse(json_pointer(STROKES), str(error))
    strokes = json_document.validate_document(SentStrokes, {STROKES: values}).strokes
    header = photo.header
    # EXIF may turn the photo.
    side = MAX_SIDE_PX if header is None else max(header.width, header.height)
    content = encode_strokes(strokes, (side, side))
    points = sum(len(stroke.points) for stroke in strokes)
    return SpooledStrokes(io.BytesIO(content), len(content), points)


def _refuse(pointer: str, detail: str) -> NoReturn:
    raise InvalidRequest([FieldError(pointer, detail)])
