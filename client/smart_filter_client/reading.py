"""Read JSON documents into the types of answers.

Unknown fields are ignored, and words that a type does not list are kept as texts: a newer server
may send both. A missing list or mapping is empty. An optional field is None when it is missing or
holds something else: a webhook about a crowd has a count in place of the faces.
"""

import dataclasses
import datetime as dt
import functools
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from enum import Enum
from typing import Annotated, Any, Final, Literal, TypeVar, Union, cast

from smart_filter_client.errors import UnexpectedAnswer
from smart_filter_wire.formats import JsonObject

T = TypeVar("T")
_Reader = Callable[[Any], Any]  # converts a JSON value; raises UnexpectedAnswer

# The field of a type that keeps the unparsed document.
DOCUMENT: Final = "document"
_EMPTY: Final[Mapping[object, Callable[[], object]]] = {tuple: tuple, list: list, Mapping: dict}


def read_answer(kind: type[T], document: object) -> T:
    """Return a document as a dataclass.  Raises UnexpectedAnswer."""
    result: T = _dataclass_reader(cast("Hashable", kind))(document)
    return result


def as_object(document: object, what: str) -> JsonObject:
    """Return a document that is a JSON object.  Raises UnexpectedAnswer."""
    if not isinstance(document, dict):
        raise UnexpectedAnswer(f"{what} was expected, not {str(document)[:80]!r}")
    return document


@functools.cache
def _dataclass_reader(kind: Any) -> _Reader:  # noqa: ANN401 - a dataclass
    hints = typing.get_type_hints(kind, include_extras=True)
    # Fields that are not compared are the client's own.
    readers = {
        field: _reader_of(hints[field.name]) for field in dataclasses.fields(kind) if field.compare
    }

    def read_object(document: object) -> object:
        given = as_object(document, f"a {kind.__name__}")
        values: dict[str, object] = {DOCUMENT: given} if DOCUMENT in hints else {}
        for field, read_value in readers.items():
            if field.name in given:
                values[field.name] = read_value(given[field.name])
            elif not _has_default(field):
                values[field.name] = _missing_value(kind, field.name, hints[field.name])
        return kind(**values)

    return read_object


def _has_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def _missing_value(kind: type, name: str, hint: Any) -> object:  # noqa: ANN401 - a type
    if type(None) in typing.get_args(hint):
        return None
    if (empty := _EMPTY.get(typing.get_origin(_bare(hint)))) is not None:
        return empty()
    raise UnexpectedAnswer(f"a {kind.__name__} without {name!r}: is this a Smart Filter server?")


@functools.cache
def _reader_of(hint: Any) -> _Reader:  # noqa: ANN401 - a type, here and below
    hint = _bare(hint)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in {Union, types.UnionType}:
        return _union_reader(inner)
    if origin in {tuple, list}:
        return _list_reader(origin, inner)
    if origin is Mapping:
        return _mapping_reader(_reader_of(inner[1]))
    if hint is Any:
        return lambda value: value
    is_object = dataclasses.is_dataclass(hint)
    return _dataclass_reader(cast("Hashable", hint)) if is_object else _scalar_reader(hint)


def _union_reader(members: tuple[Any, ...]) -> _Reader:
    readers = [_reader_of(member) for member in members if member is not type(None)]
    is_optional = len(readers) < len(members)

    def read_any(value: object) -> object:
        for reader in readers:
            try:
                return reader(value)
            except UnexpectedAnswer:
                continue
        if is_optional:
            return None
        raise _unexpected(value)

    return read_any


def _list_reader(kind: Callable[[Any], Any], inner: tuple[Any, ...]) -> _Reader:
    is_fixed = kind is tuple and inner[-1] is not Ellipsis
    reader = _reader_of(inner[0])  # a fixed tuple is of one type, too

    def read_list(value: object) -> object:
        if not isinstance(value, list) or (is_fixed and len(value) != len(inner)):
            raise _unexpected(value)
        return kind(map(reader, value))

    return read_list


def _mapping_reader(reader: _Reader) -> _Reader:
    def read_mapping(value: object) -> object:
        given = as_object(value, "an object")
        return {name: reader(entry) for name, entry in given.items()}

    return read_mapping


def _scalar_reader(hint: Any) -> _Reader:  # noqa: ANN401 - a type
    convert: _Reader | None = None
    expected: tuple[type, ...] = (str,)
    if hint in {dt.datetime, dt.date}:
        convert = hint.fromisoformat
    elif isinstance(hint, type) and issubclass(hint, Enum):
        convert = _word_reader(hint)
    elif hint is float:
        convert, expected = float, (int, float)
    elif hint in {str, int, bool, type(None)}:
        expected = (hint,)
    else:
        assert typing.get_origin(hint) is Literal, hint

    def read_scalar(value: object) -> object:
        # In Python a JSON true is an int.
        if not isinstance(value, expected) or (isinstance(value, bool) and hint is not bool):
            raise _unexpected(value)
        try:
            return value if convert is None else convert(value)
        except ValueError:
            raise _unexpected(value) from None

    return read_scalar


def _word_reader(kind: type[Enum]) -> _Reader:
    words = {member.value: member for member in kind}
    return lambda value: words.get(value, value)


def _bare(hint: Any) -> Any:  # noqa: ANN401 - a type
    return _bare(hint.__origin__) if typing.get_origin(hint) is Annotated else hint


def _unexpected(value: object) -> UnexpectedAnswer:
    return UnexpectedAnswer(f"{str(value)[:80]!r} is not what the field holds")
