"""Render values of the service as answers whose fields have the same names."""

import dataclasses
import functools
from collections.abc import Hashable
from typing import Any, Final, TypeVar, cast

from pydantic import BaseModel

Answer = TypeVar("Answer")

_MISSING: Final = object()


def render_as(
    kind: type[Answer],
    source: object,
    /,
    **more: Any,  # noqa: ANN401 - any field's
) -> Answer:
    """Return an answer: each field from `more`, else from the attribute of its name."""
    values = dict(more)
    for name in _names_of(cast("Hashable", kind)):
        if name not in more and (value := getattr(source, name, _MISSING)) is not _MISSING:
            values[name] = value
    # The answers that only operators see are models, which render their parts as well.
    if issubclass(kind, BaseModel):
        return kind.model_validate(values, from_attributes=True)
    return kind(**values)


@functools.cache
def _names_of(kind: Any) -> tuple[str, ...]:  # noqa: ANN401 - a dataclass or a model
    if issubclass(kind, BaseModel):
        return tuple(kind.model_fields)
    return tuple(field.name for field in dataclasses.fields(kind))
