"""JSON bodies of a submission: the photo in base64, the recipe as nested names.

The photo's text is cut out of the body before anything is parsed, so that what is parsed is as
bounded as the rest of a form, in all and name by name.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from smart_filter_api import json_text
from smart_filter_api.multipart import (
    MAX_BASE64_BYTES,
    MAX_NAME_BYTES,
    MAX_OTHER_BYTES,
    MAX_PARTS,
    MAX_PHOTO_BYTES,
    MAX_VALUE_BYTES,
    PHOTO_URL,
    UPLOAD_ID,
    WEBHOOK_URL,
    too_large,
)
from smart_filter_shared.errors import (
    FieldError,
    InvalidRecipe,
    MalformedRequest,
    PhotoTooLarge,
)
from smart_filter_shared.recipe.words import pointer

MAX_BODY_BYTES: Final = MAX_BASE64_BYTES + MAX_OTHER_BYTES
_DEEPEST: Final = 8
PHOTO: Final = "photo_base64"
_SOURCES: Final = (PHOTO, PHOTO_URL, UPLOAD_ID)
_NAMES: Final = (*_SOURCES, WEBHOOK_URL, "recipe")
_FILTERS: Final = "filters"

# Base64 holds no quote, and within another text these would be escaped.
_PHOTO_TEXT = rb'("%s"[ \t\r\n]*:[ \t\r\n]*")([^"]*)"'
_DATA_URL = re.compile(rb"data:[^,]{0,100};base64,")


@dataclass(frozen=True, slots=True)
class Sent:
    """What a JSON body holds: the photo, and the recipe as a form would have it.

    photo: its bytes; None when photo_url or upload_id, as they were sent, stand for it.
    webhook_url: as it was sent.
    """

    photo: bytes | None
    fields: Mapping[str, list[str]]
    webhook_url: str | None
    photo_url: str | None = None
    upload_id: str | None = None


def read(body: bytes) -> Sent:
    """Take a body apart.

    Raises MalformedRequest when it is no such document, PhotoTooLarge, InvalidRecipe for recipes
    of a wrong shape; each names the field.
    """
    document, photo = apart(body, PHOTO)
    unknown = [name for name in document if name not in _NAMES][:MAX_PARTS]
    if unknown:
        raise InvalidRecipe(
            [FieldError(pointer(name), f"is none of {', '.join(_NAMES)}") for name in unknown]
        )
    given = [name for name in _SOURCES if document.get(name) is not None]
    if len(given) != 1:
        raise MalformedRequest(f"send exactly one of {', '.join(_SOURCES)}")
    texts = {name: document.get(name) for name in (PHOTO_URL, UPLOAD_ID, WEBHOOK_URL)}
    wrong = [name for name, text in texts.items() if text is not None and not isinstance(text, str)]
    if wrong:
        raise InvalidRecipe([FieldError(pointer(name), "is not a text") for name in wrong])
    fields = as_form(document.get("recipe"))
    if given != [PHOTO]:
        return Sent(None, fields, **texts)
    if photo is None:
        raise MalformedRequest(f"{PHOTO} is not a text of base64", pointer=pointer(PHOTO))
    return Sent(decoded(photo), fields, **texts)


def apart(body: bytes, name: str) -> tuple[dict[str, Any], bytes | None]:
    """Return a document without a text that may be long, and that text, None where there is none.

    Raises MalformedRequest, PhotoTooLarge.
    """
    found = re.search(_PHOTO_TEXT % name.encode(), body)
    rest = body if found is None else body[: found.end(1)] + body[found.end(2) :]
    if len(rest) > MAX_OTHER_BYTES:
        raise PhotoTooLarge(
            f"the body is too large; around its photo it holds at most {MAX_OTHER_BYTES} bytes"
        )
    document = json_text.read_object(rest)
    return document, found[2] if found is not None and document.get(name) == "" else None


def as_form(recipe: object) -> dict[str, list[str]]:
    """Return what a form would hold of a recipe as JSON.

    Raises InvalidRecipe for one of a wrong shape, MalformedRequest for one that is too large.
    """
    return _Fields().read(recipe)


def named_in(recipe: Mapping[str, object]) -> list[str]:
    """Return the names that a recipe as JSON gives, with dots, those that are null too."""
    return [name for name, _ in _flat(recipe, "", 0)]


def decoded(text: bytes, name: str = PHOTO) -> bytes:
    """Return the bytes of a text of base64; a data URL's head is left out.

    Raises MalformedRequest, PhotoTooLarge.
    """
    if text.startswith(b"data:"):
        head = _DATA_URL.match(text)
        if head is None:
            raise MalformedRequest(f"{name} is a data URL without base64", pointer=pointer(name))
        text = text[head.end() :]
    try:
        # Some writers of JSON escape slashes.
        photo = base64.b64decode(text.replace(b"\\/", b"/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedRequest(f"{name} is not base64: {error}", pointer=pointer(name)) from error
    if len(photo) > MAX_PHOTO_BYTES:
        raise too_large(part=name)
    return photo


class _Fields:
    """Makes a form's fields of nested names; every complaint is collected."""

    def __init__(self) -> None:
        self._fields: dict[str, list[str]] = {}
        self._wrong: list[FieldError] = []

    def read(self, recipe: object) -> dict[str, list[str]]:
        """Return what a form would hold; null is as if it were not there."""
        if recipe is None:
            return {}
        if not isinstance(recipe, dict):
            raise InvalidRecipe([FieldError("/recipe", "is not an object of a recipe's names")])
        for name, value in _flat(recipe, "", 0):
            if name == _FILTERS and isinstance(value, list):
                self._filters(value)
            elif value is not None:
                self._add(name, value if isinstance(value, list) else [value])
        if self._wrong:
            raise InvalidRecipe(self._wrong)
        return self._fields

    def _filters(self, filters: list[object]) -> None:
        """Add filters by name, or as a job's own recipe shows them, with their parameters."""
        for one in filters:
            if isinstance(one, dict) and isinstance(one.get("name"), str):
                self._fields.setdefault(_FILTERS, []).append(one["name"])
                params = one.get("params")
                for name, value in params.items() if isinstance(params, dict) else ():
                    self._add(f"{_FILTERS}.{one['name']}.{name}", [value])
            else:
                self._fields.setdefault(_FILTERS, []).extend(self._texts(_FILTERS, [one]))

    def _add(self, name: str, values: list[object]) -> None:
        if name in self._fields:
            self._wrong.append(FieldError(pointer(name), "is given more than once; give it once"))
            return
        if len(self._fields) >= MAX_PARTS or len(name.encode()) > MAX_NAME_BYTES:
            raise MalformedRequest(
                f"a recipe has at most {MAX_PARTS} names of {MAX_NAME_BYTES} bytes",
                pointer="/recipe",
            )
        self._fields[name] = self._texts(name, values)

    def _texts(self, name: str, values: list[object]) -> list[str]:
        texts = [text(value) for value in values[: MAX_PARTS + 1]]
        if not all(isinstance(one, str) for one in texts):
            detail = "is not a text, a number, true or false"
            self._wrong.append(FieldError(pointer(name), detail))
        elif (
            len(texts) > MAX_PARTS
            or max((len(one.encode()) for one in texts if one), default=0) > MAX_VALUE_BYTES
        ):
            raise MalformedRequest(
                f"{name[:MAX_NAME_BYTES]} has more than {MAX_PARTS} values, or one of more than "
                f"{MAX_VALUE_BYTES} bytes",
                pointer=pointer(name[:MAX_NAME_BYTES]),
            )
        return [one for one in texts if one is not None]


def _flat(values: Mapping[str, object], prefix: str, depth: int) -> Iterator[tuple[str, object]]:
    """Yield dotted names and their values."""
    for name, value in values.items():
        if isinstance(value, dict) and depth < _DEEPEST:
            yield from _flat(value, f"{prefix}{name}.", depth + 1)
        else:
            yield prefix + name, value


def text(value: object) -> str | None:
    """Return what a form would say; None for what is no single value."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            # Without an exponent, which no field knows.
            return f"{value:.0f}" if value.is_integer() else f"{Decimal(repr(value)):f}"
        case str() | int():
            return str(value)
        case _:
            return None
