"""Render values of the service as response models whose fields have the same names."""

from typing import Any, TypeVar

from pydantic import BaseModel

Answer = TypeVar("Answer", bound=BaseModel)


def render_as(
    kind: type[Answer],
    source: object,
    /,
    **more: Any,  # noqa: ANN401 - any field's
) -> Answer:
    """Return a response model: each field from `more`, else from the attribute of its name."""
    shared = {name: getattr(source, name) for name in kind.model_fields if hasattr(source, name)}
    return kind.model_validate({**shared, **more}, from_attributes=True)
