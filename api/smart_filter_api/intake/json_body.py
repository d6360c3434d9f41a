"""Parse JSON bodies of a submission: the photo in base64, the recipe as nested names.

The photo's text is cut out of the body before parsing. The rest has the same limits as a form's
fields, in total and for each name.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from smart_filter_api.http import strict_json
from smart_filter_api.http.strict_json import decode_base64
from smart_filter_api.intake.multipart import (
    MAX_BASE64_BYTES,
    MAX_NAME_BYTES,
    MAX_OTHER_BYTES,
    MAX_PARTS,
    MAX_VALUE_BYTES,
    PHOTO_NAME,
    PHOTO_URL,
    STROKES,
    UPLOAD_ID,
    WEBHOOK_URL,
    picture_too_large,
)
from smart_filter_api.intake.multipart import PHOTO as PHOTO_PART
from smart_filter_api.problems import validation
from smart_filter_shared.catalog.scalars import Scalar, as_text
from smart_filter_shared.errors import (
    FieldError,
    InvalidPhotoUrl,
    InvalidRecipe,
    InvalidRequest,
    InvalidWebhookUrl,
    MalformedRequest,
    PhotoTooLarge,
)
from smart_filter_shared.recipe import CHOOSABLE_TASKS
from smart_filter_shared.recipe.declaration import json_pointer
from smart_filter_shared.recipe.fields import Fields, respell_names
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES
from smart_filter_shared.suggestions import find_nearest

MAX_BODY_BYTES: Final = MAX_BASE64_BYTES + MAX_OTHER_BYTES
_MAX_DEPTH: Final = 8
PHOTO: Final = "photo_base64"
SOURCES: Final = (PHOTO, PHOTO_URL, UPLOAD_ID)
_NAMES: Final = (*SOURCES, PHOTO_NAME, WEBHOOK_URL, STROKES, "recipe")
# The error of each field that is not part of the recipe.
KIND_OF_NAME: Final[Mapping[str, type[InvalidRequest]]] = {
    PHOTO_URL: InvalidPhotoUrl,
    UPLOAD_ID: InvalidRequest,
    PHOTO_NAME: InvalidRequest,
    STROKES: InvalidRequest,
    WEBHOOK_URL: InvalidWebhookUrl,
}
_FILTERS: Final = "filters"
_LISTS: Final = (_FILTERS, "outputs", "recipe")
# Fields that hold others, so that an empty object is one of them without any.
_OBJECTS: Final = frozenset({*CHOOSABLE_TASKS, "metadata"})
# Unknown names that one error describes; the nearest name of each takes about 40 microseconds.
_MAX_UNKNOWN_NAMES: Final = 20

# Base64 has no quotes, and other JSON strings escape theirs, so this cannot match inside them.
_PHOTO_TEXT = rb'("%s"[ \t\r\n]*:[ \t\r\n]*")([^"]*)"'


@dataclass(frozen=True, slots=True)
class JsonSubmission:
    """A photo and the fields of its recipe, parsed from JSON.

    photo: its bytes; None when photo_url or upload_id refers to it.
    photo_url, upload_id, webhook_url, photo_name: as the client sent them, not validated.
    strokes: as JSON, not validated.
    """

    photo: bytes | None
    fields: Fields
    photo_url: str | None = None
    upload_id: str | None = None
    webhook_url: str | None = None
    photo_name: str | None = None
    strokes: str | None = None


def parse_submission(body: bytes) -> JsonSubmission:
    """Parse a body and return its photo, recipe and references.

    Raises MalformedRequest for another document, PhotoTooLarge, and InvalidRecipe for a recipe
    with a wrong structure; each names the field.
    """
    document, photo = split_base64(body, PHOTO)
    refuse_unknown_names(document, _NAMES, InvalidRecipe)
    source = require_one_source(document)
    texts = read_texts(document, (PHOTO_URL, UPLOAD_ID, WEBHOOK_URL, PHOTO_NAME))
    drawn = document.get(STROKES)
    texts[STROKES] = None if drawn is None else json.dumps(drawn)
    fields = read_fields(document.get("recipe"))
    if source != PHOTO:
        return JsonSubmission(None, fields, **texts)
    if photo is None:
        raise MalformedRequest(f"{PHOTO} is not a base64 string", pointer=json_pointer(PHOTO))
    return JsonSubmission(decode_photo(photo), fields, **texts)


def refuse_unknown_names(
    document: Mapping[str, object], names: Sequence[str], kind: type[InvalidRecipe]
) -> None:
    """Raise an error of this kind, which lists the first names that are not one of `names`.

    When each of these is a misspelled one with an error of its own, that error is raised.
    """
    unknown = list(islice((name for name in document if name not in names), _MAX_UNKNOWN_NAMES))
    if unknown:
        meant, errors = zip(*(_explain_unknown_name(name, names) for name in unknown), strict=True)
        are_recipes = "recipe" in names and all(map(validation.is_recipe_name, unknown))
        raise (InvalidRecipe if are_recipes else kind_of_misspelled(meant, kind))(list(errors))


def kind_of_misspelled(
    meant: Collection[str], otherwise: type[InvalidRecipe]
) -> type[InvalidRecipe]:
    """Return the error for misspelled fields: the one of the field that all of them mean.

    meant: the field that each resembles most, empty for none.  otherwise: of fields without an
    error of their own, and of several fields that differ in it.
    """
    kinds = {KIND_OF_NAME.get(name, otherwise) for name in meant}
    return kinds.pop() if len(kinds) == 1 else otherwise


def _explain_unknown_name(name: str, names: Sequence[str]) -> tuple[str, FieldError]:
    """Return the field that a name resembles most, empty for none, and the error of the name."""
    near: Sequence[str] = ()
    if name == PHOTO_PART:
        detail = f"is not a field of this document; send the photo as {' or '.join(SOURCES)}"
    elif validation.is_recipe_name(name):
        detail = validation.describe_unknown_name(name, names)
    else:
        near = find_nearest(name, names)
        detail = validation.describe_absent_name(near, names)
    return next(iter(near), ""), FieldError(json_pointer(name), detail)


def require_one_source(document: Mapping[str, object]) -> str:
    """Return the field that names the photo.  Raises MalformedRequest unless there is one."""
    given = [name for name in SOURCES if document.get(name) is not None]
    if len(given) != 1:
        raise MalformedRequest(f"send exactly one of {', '.join(SOURCES)}")
    return given[0]


def read_texts(document: Mapping[str, Any], names: Collection[str]) -> dict[str, str | None]:
    """Return the texts of these fields, None where absent.

    Raises InvalidRequest, or its kind for the field that is wrong.
    """
    texts = {name: document.get(name) for name in names}
    wrong = [name for name, text in texts.items() if not isinstance(text, str | None)]
    if wrong:
        kind = KIND_OF_NAME[wrong[0]] if len(wrong) == 1 else InvalidRequest
        raise kind([FieldError(json_pointer(name), "is not a string") for name in wrong])
    return texts


def split_base64(body: bytes, name: str) -> tuple[dict[str, Any], memoryview | None]:
    """Parse a document; return it with the base64 field emptied, and that field's text or None.

    Raises MalformedRequest, PhotoTooLarge.
    """
    match = re.search(_PHOTO_TEXT % name.encode(), body)
    rest = body if match is None else body[: match.end(1)] + body[match.end(2) :]
    if len(rest) > MAX_OTHER_BYTES:
        raise PhotoTooLarge(
            f"the body is too large; without {name} at most {MAX_OTHER_BYTES} bytes are accepted"
        )
    document = strict_json.read_object(rest)
    if match is None or document.get(name) != "":
        return document, None
    return document, memoryview(body)[match.start(2) : match.end(2)]


def read_fields(recipe: object) -> dict[str, list[Scalar]]:
    """Return the fields of a recipe as JSON, by dotted names, without null fields.

    Raises InvalidRecipe for a wrong structure, MalformedRequest for a recipe that is too large.
    """
    if recipe is None:
        return {}
    if not isinstance(recipe, dict):
        hint = (
            '; it is a text: leave out the quotes around it, or name a saved recipe as {"recipe": '
            "NAME}"
            if isinstance(recipe, str)
            else ""
        )
        raise InvalidRecipe([FieldError("/recipe", f"is not an object of recipe fields{hint}")])
    fields: dict[str, list[Scalar]] = {}
    wrong: list[FieldError] = []
    for name, value in _spell_out(recipe):
        if value is None:
            continue
        if name in fields:
            wrong.append(FieldError(json_pointer(name), "is given more than once"))
            continue
        if len(fields) >= MAX_PARTS or len(name.encode()) > MAX_NAME_BYTES:
            raise MalformedRequest(
                f"a recipe has at most {MAX_PARTS} names, each of at most {MAX_NAME_BYTES} bytes",
                pointer="/recipe",
            )
        given = value if isinstance(value, list) else [value]
        fields[name] = [item for item in given if isinstance(item, str | int | float)]
        if fault := _find_fault(name, given, fields[name]):
            wrong.append(FieldError(json_pointer(name), fault))
    if wrong:
        raise InvalidRecipe(wrong)
    return respell_names(fields)


def _find_fault(name: str, given: Sequence[object], scalars: Sequence[Scalar]) -> str | None:
    """Return what is wrong with the values of a field, if anything is.

    scalars: those that are strings, numbers or Booleans.
    Raises MalformedRequest when they are too many or too long.
    """
    if not given and name != _FILTERS:  # without filters is a recipe, too
        return "is an empty list; give a value, or leave the field out"
    if len(scalars) < len(given):
        return "is not a string, number or Boolean"
    is_too_long = any(len(as_text(item).encode()) > MAX_VALUE_BYTES for item in scalars)
    if len(given) > MAX_PARTS or is_too_long:
        raise MalformedRequest(
            f"{name} has more than {MAX_PARTS} values, or one of more than {MAX_VALUE_BYTES} bytes",
            pointer=json_pointer(name),
        )
    return None


def refuse_lists(recipe: Mapping[str, object]) -> None:
    """Raise InvalidRecipe for lists in fields with one value, which submissions may repeat."""
    listed = [name for name, value in _spell_out(recipe) if isinstance(value, list)]
    wrong = [name for name in listed if name not in _LISTS]
    if wrong:
        raise InvalidRecipe(
            [FieldError(json_pointer(name), "is a list; give one value") for name in wrong]
        )


def list_names(recipe: Mapping[str, object]) -> list[str]:
    """Return the dotted names in a recipe as JSON, including null fields."""
    return [name for name, _ in _spell_out(recipe)]


def decode_photo(text: bytes | memoryview, name: str = PHOTO) -> bytes:
    """Decode the base64 of a photo and return its bytes.

    name: the field that holds it.  Raises MalformedRequest, PhotoTooLarge.
    """
    photo = decode_base64(text, name)
    if len(photo) > MAX_PHOTO_BYTES:
        raise picture_too_large(part=name)
    return photo


def _spell_out(
    values: Mapping[str, object], prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, object]]:
    """Yield dotted names and their values.

    Filters with parameters, as in the recipe of a job's answer, become names and parameters.
    """
    for nested_name, value in values.items():
        name = prefix + nested_name
        if isinstance(value, dict) and depth < _MAX_DEPTH and (value or depth or name in _OBJECTS):
            yield from _spell_out(value, f"{name}.", depth + 1)
        elif name == _FILTERS and isinstance(value, list):
            names = [_filter_name(entry) for entry in value]
            yield name, names
            for called, entry in zip(names, value, strict=True):
                params = entry.get("params") if called is not entry else None
                for parameter, setting in params.items() if isinstance(params, dict) else ():
                    yield (
                        f"{name}.{called}.{parameter}",
                        [setting] if isinstance(setting, list) else setting,
                    )
        else:
            yield name, value


def _filter_name(entry: object) -> object:
    """Return the name of a filter that is given with parameters; anything else is unchanged."""
    name = entry.get("name") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else entry
