"""Describe JSON Schema in words: types with links, and tables of an object's fields."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from smart_filter_docs.markdown import code, sentence, table

# Any: a schema can contain every JSON value.
Schema = Mapping[str, Any]
OBJECTS: Final = "objects.md"
_REFERENCE: Final = "#/components/schemas/"


def fields(schema: Schema, *, from_page: str) -> str:
    """Return a table of an object's fields; an empty text when it names none.

    from_page: the objects' page itself, or the folder from the table's page to it.
    """
    required = set(schema.get("required", ()))
    rows = [
        (
            code(name),
            kind(field, from_page=from_page),
            _default(field, required=name in required),
            sentence(_meaning(field)),
        )
        for name, field in {
            **schema.get("properties", {}),
            **{
                _pattern(pattern): field
                for pattern, field in schema.get("patternProperties", {}).items()
            },
        }.items()
    ]
    return table(("field", "type", "default", "meaning"), rows)


def kind(schema: Schema, *, from_page: str) -> str:
    """Return the type of a schema in a few words."""
    return " or ".join(dict.fromkeys(_kinds(schema, from_page)))


def anchor(name: str) -> str:
    """Return the anchor of an object on the page of objects."""
    return name.lower()


def schema_name(reference: str) -> str:
    """Return the name of the object of a `$ref`."""
    return reference.removeprefix(_REFERENCE)


def _kinds(schema: Schema, from_page: str) -> Iterator[str]:
    if "$ref" in schema:
        name = schema_name(schema["$ref"])
        page = "" if from_page == OBJECTS else f"{from_page}{OBJECTS}"
        yield f"[{name}]({page}#{anchor(name)})"
        return
    for choices in ("anyOf", "oneOf", "allOf"):
        for choice in schema.get(choices, ()):
            if "$ref" in choice or "type" in choice:
                yield from _kinds(choice, from_page)
    if "enum" in schema:
        yield " ".join(code(_plain(value)) for value in schema["enum"])
        return
    types = schema.get("type", ())
    for word in [types] if isinstance(types, str) else types:
        yield _word(word, schema, from_page)


def _word(word: str, schema: Schema, from_page: str) -> str:
    if word == "array" and schema.get("items"):
        return f"list of {kind(schema['items'], from_page=from_page)}"
    if word == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {kind(schema['additionalProperties'], from_page=from_page)}"
    if word == "string" and "format" in schema:
        return str({"binary": "file", "date-time": "time"}.get(schema["format"], schema["format"]))
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    if least is not None and most is not None:
        return f"{word}, {least} to {most}"
    if least is not None:
        return f"{word}, at least {least}"
    return word if most is None else f"{word}, at most {most}"


def _meaning(schema: Schema) -> str:
    return str(schema.get("description", ""))


def _default(schema: Schema, *, required: bool) -> str:
    if required:
        return "required"
    value = schema.get("default")
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, list):
        return " ".join(code(_plain(item)) for item in value)
    return code(_plain(value))


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _pattern(pattern: str) -> str:
    """Return the form of the names that a pattern allows, such as `metadata.NAME`."""
    text = pattern.strip("^$").replace("\\.", ".")
    before, bracket, _ = text.rpartition("[")
    return f"{before}NAME" if bracket else text
