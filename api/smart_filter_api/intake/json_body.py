"""Parse JSON bodies of a submission: the photo in base64, the recipe as nested names.

The photo's text is cut out of the body before parsing. The rest has the same limits as a form's
fields, in total and for each name.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from smart_filter_api.http import strict_json
from smart_filter_api.intake.multipart import (
    MAX_BASE64_BYTES,
    MAX_NAME_BYTES,
    MAX_OTHER_BYTES,
    MAX_PARTS,
    MAX_PHOTO_BYTES,
    MAX_VALUE_BYTES,
    PHOTO_URL,
    UPLOAD_ID,
    WEBHOOK_URL,
    picture_too_large,
)
from smart_filter_shared.errors import (
    FieldError,
    InvalidRecipe,
    MalformedRequest,
    PhotoTooLarge,
)
from smart_filter_shared.recipe.words import json_pointer

MAX_BODY_BYTES: Final = MAX_BASE64_BYTES + MAX_OTHER_BYTES
_MAX_DEPTH: Final = 8
PHOTO: Final = "photo_base64"
_SOURCES: Final = (PHOTO, PHOTO_URL, UPLOAD_ID)
_NAMES: Final = (*_SOURCES, WEBHOOK_URL, "recipe")
_FILTERS: Final = "filters"

# Base64 has no quotes, and other JSON strings escape theirs, so this cannot match inside them.
_PHOTO_TEXT = rb'("%s"[ \t\r\n]*:[ \t\r\n]*")([^"]*)"'
_DATA_URL = re.compile(rb"data:[^,]{0,100};base64,")


@dataclass(frozen=True, slots=True)
class JsonSubmission:
    """A parsed JSON body: the photo, and the recipe as form fields.

    photo: its bytes; None when photo_url or upload_id refers to it.
    photo_url, upload_id, webhook_url: as the client sent them, not validated.
    """

    photo: bytes | None
    fields: Mapping[str, list[str]]
    webhook_url: str | None
    photo_url: str | None = None
    upload_id: str | None = None


def parse_submission(body: bytes) -> JsonSubmission:
    """Parse a body and return its photo, recipe and references.

    Raises MalformedRequest for another document, PhotoTooLarge, and InvalidRecipe for a recipe
    with a wrong structure; each names the field.
    """
    document, photo = split_base64(body, PHOTO)
    unknown = [name for name in document if name not in _NAMES][:MAX_PARTS]
    if unknown:
        raise InvalidRecipe(
            [
                FieldError(json_pointer(name), f"is not one of {', '.join(_NAMES)}")
                for name in unknown
            ]
        )
    given = [name for name in _SOURCES if document.get(name) is not None]
    if len(given) != 1:
        raise MalformedRequest(f"send exactly one of {', '.join(_SOURCES)}")
    texts = {name: document.get(name) for name in (PHOTO_URL, UPLOAD_ID, WEBHOOK_URL)}
    wrong = [name for name, text in texts.items() if text is not None and not isinstance(text, str)]
    if wrong:
        raise InvalidRecipe([FieldError(json_pointer(name), "is not a string") for name in wrong])
    fields = to_form_fields(document.get("recipe"))
    if given != [PHOTO]:
        return JsonSubmission(None, fields, **texts)
    if photo is None:
        raise MalformedRequest(f"{PHOTO} is not a base64 string", pointer=json_pointer(PHOTO))
    return JsonSubmission(decode_base64(photo), fields, **texts)


def split_base64(body: bytes, name: str) -> tuple[dict[str, Any], bytes | None]:
    """Parse a document; return it with the base64 field emptied, and that field's text or None.

    Raises MalformedRequest, PhotoTooLarge.
    """
    found = re.search(_PHOTO_TEXT % name.encode(), body)
    rest = body if found is None else body[: found.end(1)] + body[found.end(2) :]
    if len(rest) > MAX_OTHER_BYTES:
        raise PhotoTooLarge(
            f"the body is too large; without the photo at most {MAX_OTHER_BYTES} bytes are accepted"
        )
    document = strict_json.read_object(rest)
    return document, found[2] if found is not None and document.get(name) == "" else None


def to_form_fields(recipe: object) -> dict[str, list[str]]:
    """Return the form fields of a recipe as JSON.

    Raises InvalidRecipe for a wrong structure, MalformedRequest for a recipe that is too large.
    """
    return _FormFields().read(recipe)


def list_names(recipe: Mapping[str, object]) -> list[str]:
    """Return the dotted names in a recipe as JSON, including those that are null."""
    return [name for name, _ in _flatten(recipe, "", 0)]


def decode_base64(text: bytes, name: str = PHOTO) -> bytes:
    """Decode base64 and return the bytes; the head of a data URL is skipped.

    Raises MalformedRequest, PhotoTooLarge.
    """
    if text.startswith(b"data:"):
        head = _DATA_URL.match(text)
        if head is None:
            raise MalformedRequest(
                f"{name} is a data URL without base64", pointer=json_pointer(name)
            )
        text = text[head.end() :]
    try:
        # Some writers of JSON escape slashes.
        photo = base64.b64decode(text.replace(b"\\/", b"/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedRequest(
            f"{name} is not base64: {error}", pointer=json_pointer(name)
        ) from error
    if len(photo) > MAX_PHOTO_BYTES:
        raise picture_too_large(part=name)
    return photo


class _FormFields:
    """Convert nested names to form fields, collecting every error."""

    def __init__(self) -> None:
        self._fields: dict[str, list[str]] = {}
        self._wrong: list[FieldError] = []

    def read(self, recipe: object) -> dict[str, list[str]]:
        """Return the form fields of a recipe; null values are left out."""
        if recipe is None:
            return {}
        if not isinstance(recipe, dict):
            raise InvalidRecipe([FieldError("/recipe", "is not an object of recipe fields")])
        for name, value in _flatten(recipe, "", 0):
            if name == _FILTERS and isinstance(value, list):
                self._filters(value)
            elif value is not None:
                self._add(name, value if isinstance(value, list) else [value])
        if self._wrong:
            raise InvalidRecipe(self._wrong)
        return self._fields

    def _filters(self, filters: list[object]) -> None:
        """Add filters, given by name or with parameters as in the recipe of a job's answer."""
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
            self._wrong.append(FieldError(json_pointer(name), "is given more than once"))
            return
        if len(self._fields) >= MAX_PARTS or len(name.encode()) > MAX_NAME_BYTES:
            raise MalformedRequest(
                f"a recipe has at most {MAX_PARTS} names, each of at most {MAX_NAME_BYTES} bytes",
                pointer="/recipe",
            )
        self._fields[name] = self._texts(name, values)

    def _texts(self, name: str, values: list[object]) -> list[str]:
        texts = [to_text(value) for value in values[: MAX_PARTS + 1]]
        if not all(isinstance(one, str) for one in texts):
            detail = "is not a string, number or Boolean"
            self._wrong.append(FieldError(json_pointer(name), detail))
        elif (
            len(texts) > MAX_PARTS
            or max((len(one.encode()) for one in texts if one), default=0) > MAX_VALUE_BYTES
        ):
            raise MalformedRequest(
                f"{name[:MAX_NAME_BYTES]} has more than {MAX_PARTS} values, or one of more than "
                f"{MAX_VALUE_BYTES} bytes",
                pointer=json_pointer(name[:MAX_NAME_BYTES]),
            )
        return [one for one in texts if one is not None]


def _flatten(values: Mapping[str, object], prefix: str, depth: int) -> Iterator[tuple[str, object]]:
    """Yield dotted names and their values."""
    for name, value in values.items():
        if isinstance(value, dict) and depth < _MAX_DEPTH:
            yield from _flatten(value, f"{prefix}{name}.", depth + 1)
        else:
            yield prefix + name, value


def to_text(value: object) -> str | None:
    """Return a value as a form field's text; None for null, lists and objects."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            # Form fields do not accept exponents.
            return f"{value:.0f}" if value.is_integer() else f"{Decimal(repr(value)):f}"
        case str() | int():
            return str(value)
        case _:
            return None
