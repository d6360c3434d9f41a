"""Read the rows of queries as dataclasses."""

from typing import Any, TypeVar

from sqlalchemy import Row, RowMapping

from smart_filter_shared.typed_json import adapter

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
    value: Value = adapter(kind).validate_python({**columns, **more})
    return value
