"""Convert recipes to form fields, and add `Prefer: wait` to submissions."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from smart_filter_client.requests import Request


def to_form_fields(recipe: Mapping[str, object] | None) -> dict[str, list[str]]:
    """Return a recipe's fields by dotted names, with their values as form texts.

    Its names can be nested, {"metadata": {"album": …}}, or have dots, {"metadata.album": …}.
    """
    fields: dict[str, list[str]] = {}
    for name, value in (recipe or {}).items():
        if isinstance(value, Mapping):
            fields |= {f"{name}.{inner}": texts for inner, texts in to_form_fields(value).items()}
        else:
            fields[name] = _to_texts(value)
    return fields


def with_wait(request: Request, seconds: float | None) -> Request:
    """Return a submission that waits for the job's end, or at most `seconds`."""
    if seconds is None:
        return request
    whole = max(0, math.ceil(seconds))
    headers = {**request.headers, "Prefer": f"wait={whole}"}
    return dataclasses.replace(request, headers=headers, patience=whole)


def _to_texts(value: object) -> list[str]:
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, str | int | float):
        return [str(value)]
    if isinstance(value, Sequence):
        return [str(one) for one in value]
    raise TypeError(f"{value!r} is not a value of a recipe")
