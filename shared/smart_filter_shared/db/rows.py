"""Read the rows of queries as dataclasses."""

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter
from sqlalchemy import Row, RowMapping

Value = TypeVar("Value")


def read_row(
    kind: type[Value],
    row: Row[Any] | RowMapping,
    **more: Any,  # noqa: ANN401 - any field's
) -> Value:
    """Return a row as a dataclass, whose fields are columns by name; other columns are ignored.

    more: values of further fields, which take precedence.
    Raises ValueError for a value that the dataclass does not allow.
    """
    columns = row if isinstance(row, RowMapping) else row._mapping  # noqa: SLF001 - public
    value: Value = _make_adapter(cast("Hashable", kind)).validate_python({**columns, **more})
    return value


@cache
def _make_adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - a dataclass, and the same
    return TypeAdapter(kind)
