"""Convert recipes to form fields, and add `Prefer: wait` to submissions."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Final

from smart_filter_client.errors import InvalidRecipe
from smart_filter_client.requests import Request

# Fields of a submission's form that do not belong to its recipe.
_FORM_FIELDS: Final = {
    *("photo", "photo_url", "photo_base64", "upload_id"),
    *("background_file", "webhook_url", "correction_id"),
}


def to_form_fields(recipe: Mapping[str, object] | None) -> dict[str, list[str]]:
    """Return a recipe's fields by dotted names, with their values as form texts.

    Its names can be nested, {"metadata": {"album": …}}, or have dots, {"metadata.album": …}.
    Fields that are None are left out.
    Raises InvalidRecipe for a field of a form that is not one of a recipe: a recipe of unknown
    origin must not name a webhook.
    """
    fields = _flatten(recipe or {})
    for name in _FORM_FIELDS & fields.keys():
        raise InvalidRecipe(f"{name} is not a field of a recipe")
    return {name: _to_texts(value) for name, value in fields.items() if value is not None}


def list_cleared(recipe: Mapping[str, object]) -> list[str]:
    """Return the dotted names of a recipe's fields that are None."""
    return [name for name, value in _flatten(recipe).items() if value is None]


def with_wait(request: Request, seconds: float | None) -> Request:
    """Return a submission that waits for the job's end, or at most `seconds`."""
    if seconds is None:
        return request
    whole = max(0, math.ceil(seconds))
    headers = {**request.headers, "Prefer": f"wait={whole}"}
    return dataclasses.replace(request, headers=headers, patience=whole)


def _flatten(recipe: Mapping[str, object]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            fields |= {f"{name}.{inner}": given for inner, given in _flatten(value).items()}
        else:
            fields[name] = value
    return fields


def _to_texts(value: object) -> list[str]:
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, str | int | float):
        return [str(value)]
    if isinstance(value, Sequence):
        return [str(item) for item in value]
    raise TypeError(f"{value!r} is not a value of a recipe")
