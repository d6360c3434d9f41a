"""How numbers, times, ids and problems are written, and how OpenAPI describes them.

The marks in `Annotated` speak pydantic's protocol, which needs no import of it: the API's pydantic
asks them, and the client ignores them.
Source: pydantic 2, "Customizing the core schema" and "Customizing JSON Schema"; RFC 9457.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Annotated, Any, Protocol, TypeAlias

JsonObject: TypeAlias = Mapping[str, Any]  # JSON of any shape
_Schema = dict[str, Any]  # a schema of pydantic-core, or a JSON schema


class _Handler(Protocol):
    """What pydantic calls a mark with: builds the schema of the marked type."""

    def __call__(self, source: object, /) -> _Schema: ...

    def resolve_ref_schema(self, schema: _Schema, /) -> _Schema: ...


def described(description: str, **limits: float) -> dict[str, Any]:
    """Return the metadata of a field: its description in OpenAPI, and limits such as `ge=0`."""
    return {"description": description, **limits}


@dataclass(frozen=True, slots=True)
class Rounded:
    """A number, or a tuple of them, that is rounded in JSON; Python keeps it exact."""

    digits: int

    def __get_pydantic_core_schema__(self, source: object, handler: _Handler) -> _Schema:
        return _written_by(self._write, handler(source))

    def __get_pydantic_json_schema__(self, core_schema: object, handler: _Handler) -> _Schema:
        return _as_list(handler(core_schema))

    def _write(self, value: Any) -> Any:  # noqa: ANN401 - nested tuples
        if isinstance(value, tuple):
            return [*map(self._write, value)]
        return round(value, self.digits)


@dataclass(frozen=True, slots=True)
class Words:
    """Words that OpenAPI describes once, under a name."""

    name: str
    description: str

    def __get_pydantic_core_schema__(self, source: object, handler: _Handler) -> _Schema:
        return {**handler(source), "ref": f"{__name__}.{self.name}:0"}

    def __get_pydantic_json_schema__(self, core_schema: object, handler: _Handler) -> _Schema:
        schema = handler(core_schema)
        handler.resolve_ref_schema(schema).update(title=self.name, description=self.description)
        return schema


@dataclass(frozen=True, slots=True, eq=False)  # hashable, although a mapping is not
class Limits:
    """Limits of a value, by pydantic's names, and its description in OpenAPI."""

    limits: Mapping[str, float | str]
    description: str | None = None

    def __get_pydantic_core_schema__(self, source: object, handler: _Handler) -> _Schema:
        return {**handler(source), **self.limits}

    def __get_pydantic_json_schema__(self, core_schema: object, handler: _Handler) -> _Schema:
        schema = handler(core_schema)
        return schema if self.description is None else {**schema, "description": self.description}


class _Utc:
    """A time that is written in UTC, whatever the time zone of the database session."""

    def __get_pydantic_core_schema__(self, source: object, handler: _Handler) -> _Schema:
        return _written_by(lambda moment: moment.astimezone(dt.UTC), handler(source))


class _Uuid:
    """A text that is a UUID; the server holds it as one."""

    def __get_pydantic_core_schema__(self, source: object, handler: _Handler) -> _Schema:
        return {"type": "any", "serialization": {"type": "to-string"}}

    def __get_pydantic_json_schema__(self, core_schema: object, handler: _Handler) -> _Schema:
        return {"type": "string", "format": "uuid"}


Moment = Annotated[dt.datetime, _Utc()]
Id = Annotated[str, _Uuid()]
Thousandths = Annotated[float, Rounded(3)]
# No model rates more precisely.
Score = Annotated[float, Rounded(4)]
# No detector is precise to a hundredth of a pixel. A scale is multiplied by thousands of pixels, so
# it keeps more digits.
Pixels = Annotated[float, Rounded(2)]
Scale = Annotated[float, Rounded(6)]
Point: TypeAlias = tuple[float, float]
FaceBox: TypeAlias = tuple[float, float, float, float]  # x, y, width, height
RoundedBox = Annotated[FaceBox, Rounded(2)]
Landmarks = Annotated[tuple[Point, Point, Point, Point, Point], Rounded(2)]


def _written_by(write: Callable[[Any], object], schema: _Schema) -> _Schema:
    serialization = {"type": "function-plain", "function": write, "when_used": "json"}
    return {**schema, "serialization": serialization}


def _as_list(schema: _Schema) -> _Schema:
    """Return the JSON schema of a tuple of one type as that of a list."""
    if "prefixItems" not in schema:
        return schema
    first, *_ = schema.pop("prefixItems")
    return {**schema, "items": _as_list(first)}


def free_name(stem: str, ending: str, is_taken: Callable[[str], bool]) -> str:
    """Return a name that is free: with a number, such as `-2`, when the first is taken."""
    names = (f"{stem}{'' if number == 1 else f'-{number}'}{ending}" for number in count(1))
    return next(name for name in names if not is_taken(name))


@dataclass(frozen=True, slots=True)
class ProblemError:
    """One invalid field: its JSON Pointer and what is expected."""

    detail: str
    pointer: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document (RFC 9457)."""

    type: str = field(metadata=described("URI of the problem type; ends with `code`"))
    title: str = field(metadata=described("Short name of the problem type"))
    status: int
    detail: str
    instance: str = field(metadata=described("Id of this request, also in X-Request-Id"))
    code: str
    remedy: str = field(metadata=described("What to do about problems of this type"))
    errors: tuple[ProblemError, ...] | None = field(
        default=None, metadata=described("Every invalid field")
    )
