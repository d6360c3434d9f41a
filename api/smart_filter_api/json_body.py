"""JSON bodies of a submission: the photo in base64, the recipe as nested names.

A large one is held in memory whole, so only so many are taken apart at a time.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from smart_filter_api.multipart import MAX_OTHER_BYTES, MAX_PHOTO_BYTES, too_large
from smart_filter_shared.errors import FieldError, InvalidRecipe, MalformedRequest, NotAvailable
from smart_filter_shared.recipe.words import pointer

# Base64 writes three bytes as four letters.  Source: RFC 4648, 4.
MAX_BODY_BYTES: Final = -(-MAX_PHOTO_BYTES // 3) * 4 + MAX_OTHER_BYTES
_DEEPEST: Final = 8
_PHOTO: Final = "photo_base64"
_LATER: Final = ("photo_url", "upload_id", "webhook_url")
_NAMES: Final = (_PHOTO, *_LATER, "recipe")
_SOURCES: Final = (_PHOTO, "photo_url", "upload_id")


@dataclass(frozen=True, slots=True)
class Sent:
    """What a JSON body holds: the photo's bytes, and the recipe as a form would have it."""

    photo: bytes
    fields: Mapping[str, list[str]]


def read(body: bytes) -> Sent:
    """Take a body apart.

    Raises MalformedRequest when it is no such document, PhotoTooLarge, NotAvailable for what a
    later version serves, InvalidRecipe for recipes of a wrong shape; each names the field.
    """
    document = _document(body)
    unknown = [name for name in document if name not in _NAMES]
    if unknown:
        raise InvalidRecipe(
            [FieldError(pointer(name), f"is none of {', '.join(_NAMES)}") for name in unknown]
        )
    given = [name for name in _SOURCES if document.get(name) is not None]
    if len(given) != 1:
        raise MalformedRequest(f"send exactly one of {', '.join(_SOURCES)}")
    later = [name for name in _LATER if document.get(name) is not None]
    if later:
        raise NotAvailable(
            [FieldError(pointer(name), "is not available yet; leave it out") for name in later]
        )
    return Sent(_photo(document[_PHOTO]), _fields(document.get("recipe")))


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedRequest(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise MalformedRequest('the body is not a JSON object such as {"photo_base64": …}')
    return document


def _photo(text: object) -> bytes:
    """Return the bytes; a data URL's head is left out."""
    if not isinstance(text, str):
        raise MalformedRequest(f"{_PHOTO} is not a text")
    if text.startswith("data:"):
        _, _, text = text.partition(",")
    try:
        photo = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedRequest(f"{_PHOTO} is not base64: {error}") from error
    if len(photo) > MAX_PHOTO_BYTES:
        raise too_large()
    return photo


def _fields(recipe: object) -> dict[str, list[str]]:
    if recipe is None:
        return {}
    if not isinstance(recipe, dict):
        raise InvalidRecipe([FieldError("/recipe", "is not an object of a recipe's names")])
    wrong: list[FieldError] = []
    fields = dict(_flat(recipe, "", wrong, 0))
    if wrong:
        raise InvalidRecipe(wrong)
    return fields


def _flat(
    values: Mapping[str, object], prefix: str, wrong: list[FieldError], depth: int
) -> Iterator[tuple[str, list[str]]]:
    """Yield dotted names and what a form would hold; null is as if it were not there."""
    for name, value in values.items():
        whole = prefix + name
        if isinstance(value, dict) and depth < _DEEPEST:
            yield from _flat(value, f"{whole}.", wrong, depth + 1)
        elif isinstance(value, list) and all(_is_plain(one) for one in value):
            yield whole, [_text(one) for one in value]
        elif _is_plain(value):
            yield whole, [_text(value)]
        elif value is not None:
            wrong.append(FieldError(pointer(whole), "is not a text, a number, true or false"))


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
