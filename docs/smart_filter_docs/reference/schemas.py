"""How JSON Schema is told in words: types with links, tables of an object's fields."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from smart_filter_docs.markdown import code, sentence, table

# A schema is whatever the document holds.
Schema = Mapping[str, Any]
OBJECTS: Final = "objects.md"
_REFERENCE: Final = "#/components/schemas/"


def fields(schema: Schema, *, from_page: str) -> str:
    """Return a table of an object's fields; nothing when none are named.

    from_page: the page that it stands on, for its links.
    """
    required = set(schema.get("required", ()))
    rows = [
        (
            code(name),
            kind(told, from_page=from_page),
            _default(told, required=name in required),
            sentence(_meaning(told)),
        )
        for name, told in {
            **schema.get("properties", {}),
            **{
                _pattern(pattern): told
                for pattern, told in schema.get("patternProperties", {}).items()
            },
        }.items()
    ]
    return table(("field", "type", "default", "meaning"), rows)


def kind(schema: Schema, *, from_page: str) -> str:
    """Return what values a schema takes, in few words."""
    return " or ".join(dict.fromkeys(_kinds(schema, from_page)))


def anchor(name: str) -> str:
    """Return where an object is told of on its page."""
    return name.lower()


def named(reference: str) -> str:
    """Return the name of the object that a `$ref` leads to."""
    return reference.removeprefix(_REFERENCE)


def _kinds(schema: Schema, from_page: str) -> Iterator[str]:
    if "$ref" in schema:
        name = named(schema["$ref"])
        page = "" if from_page == OBJECTS else OBJECTS
        yield f"[{name}]({page}#{anchor(name)})"
        return
    for choices in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(choices, ()):
            if "$ref" in one or "type" in one:
                yield from _kinds(one, from_page)
    if "enum" in schema:
        yield " ".join(code(_plain(value)) for value in schema["enum"])
        return
    told = schema.get("type", ())
    for word in [told] if isinstance(told, str) else told:
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
        return " ".join(code(_plain(one)) for one in value)
    return code(_plain(value))


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _pattern(pattern: str) -> str:
    """Return how names look that a pattern allows: `metadata.NAME`."""
    text = pattern.strip("^$").replace("\\.", ".")
    before, bracket, _ = text.rpartition("[")
    return f"{before}NAME" if bracket else text
