"""Read and write dataclasses as JSON."""

from collections.abc import Hashable, Mapping
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter

Value = TypeVar("Value")


def read_as(kind: type[Value], stored: Mapping[str, Any] | None) -> Value | None:
    """Return a dataclass that is stored as JSON; None without one.

    Raises ValueError for a document that the dataclass does not allow.
    """
    if stored is None:
        return None
    value: Value = adapter(kind).validate_python(stored)
    return value


def adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - a dataclass, or a type of several
    """Return the adapter of a type, which is built once."""
    return _make_adapter(cast("Hashable", kind))


@cache
def _make_adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - the same
    return TypeAdapter(kind)
