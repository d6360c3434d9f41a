"""Describe the errors that pydantic finds in parameters and JSON documents, for API clients."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from smart_filter_shared.catalog.scalars import quote_value, shorten_value
from smart_filter_shared.errors import FieldError
from smart_filter_shared.recipe.declaration import json_pointer
from smart_filter_shared.recipe.fields import NAMES as RECIPE_NAMES
from smart_filter_shared.suggestions import did_you_mean, find_nearest, suggest

# Longest name of a client's field that a pointer repeats; our own have at most 40.
_MAX_NAME_CHARACTERS: Final = 100

# Of a model, and of a dataclass.
_UNKNOWN_NAME: Final = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
UNDER_RECIPE: Final = "is a recipe field: put it under `recipe`"


def describe_parameter_error(error: Mapping[str, Any]) -> FieldError:  # as FastAPI reports it
    """Return an error of a path, a query parameter or a header."""
    # The first part of a location, such as `query`, is not part of a pointer.
    return FieldError("/" + "/".join(map(str, error["loc"][1:])), _describe(error))


def describe_document_error(error: ErrorDetails, kind: type[BaseModel]) -> FieldError:
    """Return an error of a JSON document; kind: the model of the document."""
    pointer = "".join(json_pointer(_shorten(str(part))) for part in error["loc"])
    if error["type"] in _UNKNOWN_NAME:
        *path, name = error["loc"]
        return FieldError(pointer, describe_unknown_name(str(name), _names_at(kind, path)))
    return FieldError(pointer, _describe(error))


def is_about(field: str, error: ErrorDetails, kind: type[BaseModel]) -> bool:
    """Whether an error of a document is about a field, or a misspelled name of it."""
    fields = kind.model_fields
    if field not in fields or not error["loc"]:
        return False
    name = str(error["loc"][0])
    return name == field or (name not in fields and find_nearest(name, fields) == [field])


def is_recipe_field(error: ErrorDetails, kind: type[BaseModel]) -> bool:
    """Whether an error is about a recipe field at the top of a document that has a recipe."""
    return (
        error["type"] in _UNKNOWN_NAME
        and len(error["loc"]) == 1
        and "recipe" in kind.model_fields
        and is_recipe_name(str(error["loc"][0]))
    )


def describe_unknown_name(name: str, names: Sequence[str]) -> str:
    """Return the error of a name that an object of a document does not have.

    names: the names that it has; when `recipe` is one of them, recipe fields belong there.
    """
    if "recipe" in names and is_recipe_name(name):
        return UNDER_RECIPE
    return describe_absent_name(find_nearest(name, names), names)


def describe_absent_name(near: Sequence[str], names: Sequence[str]) -> str:
    """Return the error of a name that is not one of `names`; near: those it resembles."""
    return f"is not a field of this document{suggest(near) or '; it has ' + ', '.join(names)}"


def is_recipe_name(name: str) -> bool:
    """Whether a name, which may have dots, is or begins with a field of a recipe."""
    return name.partition(".")[0] in RECIPE_NAMES


def _names_at(kind: type, path: list[int | str]) -> list[str]:
    """Return the names of the object at a location of a document."""
    models = [kind]
    for part in path:
        if isinstance(part, str):
            models = [
                inner
                for model in models
                if part in (fields := _fields_of(model))
                for inner in _models_in(fields[part].annotation)
            ]
    return [field.alias or name for model in models for name, field in _fields_of(model).items()]


def _models_in(annotation: object) -> list[type]:
    if isinstance(annotation, type) and _fields_of(annotation):
        return [annotation]
    if get_origin(annotation) is Literal:
        return []
    return [inner for part in get_args(annotation) for inner in _models_in(part)]


def _fields_of(kind: type) -> Mapping[str, FieldInfo]:
    """Return the fields of a model, or of a dataclass of the wire; nothing of another type."""
    if dataclasses.is_dataclass(kind):
        return {
            name: FieldInfo.from_annotation(hint) for name, hint in get_type_hints(kind).items()
        }
    return getattr(kind, "model_fields", {})


def _describe(error: Mapping[str, Any]) -> str:  # as pydantic reports it
    context: Mapping[str, Any] = error.get("ctx", {})
    describe = _SENTENCES.get(error["type"])
    if describe is not None:
        return describe(error["input"], context)
    message = str(error["msg"])
    if error["type"] == "value_error":
        return message.removeprefix("Value error, ")
    return f"is not valid: {message[:1].lower()}{message[1:]}"


def _shorten(name: str) -> str:
    """Return a name of the client's, cut to a length that an answer can repeat."""
    return name if len(name) <= _MAX_NAME_CHARACTERS else name[:_MAX_NAME_CHARACTERS] + "…"


def _shown(value: object) -> str:
    return quote_value(value) if isinstance(value, str | int | float) else "the value"


def _number(value: object) -> str:
    # A parameter is a text until it has been parsed.
    return shorten_value(value) if isinstance(value, str | int | float) else "the value"


def _not_one_of(value: object, context: Mapping[str, Any]) -> str:
    # pydantic has the expected values as text: `'a', 'b' or 'c'`, or `<Scope.READ: 'read'>, …`.
    values = re.findall("'([^']*)'", str(context["expected"]))
    hint = did_you_mean(value, values) if isinstance(value, str) else ""
    return f"{_shown(value)} is not one of {', '.join(values)}{hint}"


def _count(number: object, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _constant(sentence: str) -> Callable[[object, Mapping[str, Any]], str]:
    return lambda _value, _context: sentence


# A sentence for each type of error of pydantic that the API's models can cause.
# Source: https://docs.pydantic.dev/latest/errors/validation_errors/
_SENTENCES: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], str]]] = {
    "missing": _constant("is missing"),
    "literal_error": _not_one_of,
    "enum": _not_one_of,
    "less_than_equal": lambda value, context: (
        f"is {_number(value)}; the maximum is {context['le']}"
    ),
    "greater_than_equal": lambda value, context: (
        f"is {_number(value)}; the minimum is {context['ge']}"
    ),
    "greater_than": lambda value, context: (
        f"is {_number(value)}; it must be more than {context['gt']}"
    ),
    "string_too_long": lambda _, context: (
        f"has more than {_count(context['max_length'], 'character')}"
    ),
    "string_too_short": lambda _, context: (
        f"has fewer than {_count(context['min_length'], 'character')}"
    ),
    "too_long": lambda _, context: f"has more than {_count(context['max_length'], 'item')}",
    "too_short": lambda _, context: f"has fewer than {_count(context['min_length'], 'item')}",
    "string_pattern_mismatch": lambda _, context: (
        f"does not match the pattern {context['pattern']!r}"
    ),
    **dict.fromkeys(
        ("int_type", "int_parsing", "int_parsing_size", "int_from_float"),
        _constant("is not an integer"),
    ),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), _constant("is not a number")),
    **dict.fromkeys(("bool_type", "bool_parsing"), _constant("is neither true nor false")),
    "string_type": _constant("is not a string"),
    "list_type": _constant("is not a list"),
    **dict.fromkeys(
        ("dict_type", "model_type", "model_attributes_type", "dataclass_type"),
        _constant("is not an object"),
    ),
    **dict.fromkeys(("uuid_parsing", "uuid_type"), _constant("is not a UUID")),
}
