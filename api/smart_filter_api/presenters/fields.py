"""Render values of the service as response models whose fields have the same names."""

from typing import Any, Final, TypeVar

from pydantic import BaseModel

Answer = TypeVar("Answer", bound=BaseModel)

_MISSING: Final = object()


def render_as(
    kind: type[Answer],
    source: object,
    /,
    **more: Any,  # noqa: ANN401 - any field's
) -> Answer:
    """Return a response model: each field from `more`, else from the attribute of its name."""
    values = dict(more)
    for name in kind.model_fields:
        if name not in more and (value := getattr(source, name, _MISSING)) is not _MISSING:
            values[name] = value
    return kind.model_validate(values, from_attributes=True)
