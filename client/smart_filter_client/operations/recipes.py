"""What submissions have in common: recipes as forms have them, and waiting for the end."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from smart_filter_client.requests import Request

FieldValue = str | int | float | bool | Sequence[str]
# By names with dots, {"metadata.album": "beach"}, or one in another, {"metadata": {"album": …}}.
Recipe = Mapping[str, "FieldValue | Recipe"]


def written(recipe: Recipe | None) -> dict[str, list[str]]:
    """Return a recipe's fields, by names with dots, with their values as a form has them."""
    fields: dict[str, list[str]] = {}
    for name, value in (recipe or {}).items():
        if isinstance(value, Mapping):
            fields |= {f"{name}.{inner}": texts for inner, texts in written(value).items()}
        else:
            fields[name] = _written(value)
    return fields


def waiting(request: Request, seconds: float | None) -> Request:
    """Return a submission that is answered at the end, or after so many seconds."""
    if seconds is None:
        return request
    whole = max(0, math.ceil(seconds))
    headers = {**request.headers, "Prefer": f"wait={whole}"}
    return dataclasses.replace(request, headers=headers, patience=whole)


def _written(value: FieldValue) -> list[str]:
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, str | int | float):
        return [str(value)]
    return list(value)
