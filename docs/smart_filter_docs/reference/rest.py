"""Make pages about the API from docs/openapi.json: one for each tag, and one of all objects."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from smart_filter_api.problems.catalog import PAGES
from smart_filter_docs.markdown import as_json, code, folded, sections, sentence, table
from smart_filter_docs.reference import schemas
from smart_filter_docs.reference.schemas import Schema
from smart_filter_docs.sources import CHECKOUT

_FOLDER: Final = "rest"
_DOCUMENT: Final = CHECKOUT / "docs" / "openapi.json"
_METHODS: Final = ("get", "post", "put", "patch", "delete")
_FIRST_PROBLEM: Final = 400
# Longest text of an example in characters, for values such as a picture in base64.
_LONGEST: Final = 120


def pages() -> Mapping[str, str]:
    """Return every page by its path."""
    document = json.loads(_DOCUMENT.read_text())
    texts = {
        **{_page_of(tag["name"]): _tag(document, tag) for tag in document["tags"]},
        schemas.OBJECTS: _objects(document),
        "index.md": _index(document),
    }
    return {f"{_FOLDER}/{name}": text for name, text in texts.items()}


def _page_of(tag: str) -> str:
    return f"{tag.replace('.', '')}.md"


def _index(document: Schema) -> str:
    rows = [
        (
            f"`{method.upper()} {path}`",
            f"[{operation['summary']}]({_page_of(tag)}#{operation['operationId']})",
        )
        for tag, method, path, operation in _operations(document)
    ]
    return sections(
        "# REST API",
        sentence(document["info"]["description"]),
        "The same as [OpenAPI](../../openapi.json), which every server serves at `/openapi.json`."
        " docs/api has the same by resource, with examples, and what a program can rely on.",
        table(("request", "what it does"), rows),
        "Send the key as `Authorization: Bearer KEY` or `X-Api-Key: KEY`; browsers sign in instead"
        " (docs/browsers.md). docs/problems explains the problems.",
    )


def _tag(document: Schema, tag: Schema) -> str:
    name = tag["name"]
    return sections(
        f"# {name[0].upper()}{name[1:]}",
        tag["description"],
        *(
            _operation(document, method, path, operation)
            for of, method, path, operation in _operations(document)
            if of == name
        ),
    )


def _operations(document: Schema) -> Iterator[tuple[str, str, str, Schema]]:
    for tag in document["tags"]:
        for path, methods in document["paths"].items():
            for method in _METHODS:
                operation = methods.get(method)
                if operation is not None and operation["tags"][0] == tag["name"]:
                    yield tag["name"], method, path, operation


def _operation(document: Schema, method: str, path: str, operation: Schema) -> str:
    heading = f"## {operation['summary']} {{ #{operation['operationId']} }}"
    return sections(
        heading,
        f"`{method.upper()} {path}`",
        sentence(operation.get("description", "")),
        _parameters(operation),
        *_bodies(document, operation),
        "**Answers**",
        _answers(operation),
        *_examples("Answer", _successes(operation)),
    )


def _parameters(operation: Schema) -> str:
    rows = [
        (
            code(parameter["name"]),
            parameter["in"],
            schemas.kind(parameter["schema"], from_page=""),
            "required" if parameter.get("required") else "",
            sentence(parameter.get("description", "")),
        )
        for parameter in operation.get("parameters", ())
    ]
    return table(("parameter", "in", "type", "", "meaning"), rows)


def _bodies(document: Schema, operation: Schema) -> Iterator[str]:
    contents = operation.get("requestBody", {}).get("content", {})
    for media_type, content in contents.items():
        yield f"**Body, `{media_type}`**"
        schema = content.get("schema", {})
        if "$ref" in schema:
            schema = document["components"]["schemas"][schemas.schema_name(schema["$ref"])]
        yield sentence(schema.get("description", ""))
        yield schemas.fields(schema, from_page="")
        yield from _examples("Body", [content])


def _answers(operation: Schema) -> str:
    rows = []
    for status, answer in operation["responses"].items():
        kinds = {
            schemas.kind(content["schema"], from_page="")
            for content in answer.get("content", {}).values()
            if "schema" in content and int(status) < _FIRST_PROBLEM
        }
        meaning = answer["description"]
        if int(status) >= _FIRST_PROBLEM:
            meaning = _link_problems(meaning)
        rows.append((status, sentence(meaning), " or ".join(sorted(kinds))))
    return table(("status", "means", "body"), rows)


def _link_problems(problems: str) -> str:
    """Return "`code`: words; `code`: words" with each code a link to its page."""
    parts = []
    for part in problems.split("; "):
        quoted, colon, words = part.partition(": ")
        name = quoted.strip("`")
        link = f"[{quoted}](../../problems/{name}.md)"
        parts.append(f"{link}{colon}{words}" if name in PAGES else part)
    return "; ".join(parts)


def _successes(operation: Schema) -> list[Schema]:
    return [
        content
        for status, answer in operation["responses"].items()
        if int(status) < _FIRST_PROBLEM
        for content in answer.get("content", {}).values()
    ]


def _examples(title: str, contents: list[Schema]) -> Iterator[str]:
    """Yield the first recorded example of the contents, collapsed."""
    for content in contents:
        for name, example in list(content.get("examples", {}).items())[:1]:
            if "value" in example and not isinstance(example["value"], str):
                shown = as_json(_shorten(example["value"]))
                yield folded(f"{title}: {name.replace('_', ' ')}", shown)
                return


def _shorten(value: object) -> object:
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]}…"
    if isinstance(value, dict):
        return {name: _shorten(item) for name, item in value.items()}
    return [_shorten(item) for item in value] if isinstance(value, list) else value


def _objects(document: Schema) -> str:
    parts = []
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts.append(f"## {name} {{ #{schemas.anchor(name)} }}")
        parts.append(sentence(schema.get("description", "")))
        if "enum" in schema:
            parts.append(f"One of {schemas.kind(schema, from_page=schemas.OBJECTS)}.")
        parts.append(schemas.fields(schema, from_page=schemas.OBJECTS))
    return sections("# Objects", "The objects in requests and answers.", *parts)
