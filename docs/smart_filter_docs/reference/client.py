"""The page about the Python client, from its signatures and docstrings."""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from types import FunctionType
from typing import Final

import smart_filter_client
from smart_filter_client import Client, errors, models
from smart_filter_docs.markdown import block, code, sections, table

# What a method takes up of the page's width before its parameters stand on lines of their own.
_WIDTH: Final = 88
# Modules before names of classes, and what a method gives within the flow that it is made of.
_HOME: Final = re.compile(r"\b(?:[a-z_]+\.)+(?=[A-Z])")
_UNION: Final = re.compile(r"\bUnion\[((?:[^\[\]]|\[[^\[\]]*\])*)\]")
_FEED: Final = re.compile(r"^Generator\[.*\bItem\[([^\]]+)\].*\]$")
# Where a docstring tells of two things in one line.
_NEXT: Final = re.compile(r"(?<=[.;])  ?(?=[a-z_, ]+: )")
_FLOW: Final = re.compile(r"^Generator\[.*, (.+)\]$")


def page() -> str:
    """Return the page."""
    return sections(
        "# Python client",
        "`Client` blocks; `AsyncClient` has the same methods with the same parameters: what returns"
        " is awaited, what yields is gone through with `async for`. docs/client.md shows them at"
        " work.",
        "## Client",
        block(_spread("Client", inspect.signature(Client)), "python"),
        *_words(inspect.getdoc(Client)),
        *(part for name in _methods() for part in _callable(name, vars(Client)[name])),
        "## What it answers",
        *(part for name in _values() for part in _value(getattr(_home(name), name))),
        "## Checking webhooks",
        *_callable("verify_webhook", smart_filter_client.verify_webhook),
        "## Errors",
        block(inspect.getdoc(errors) or "", "text"),
    )


def _methods() -> list[str]:
    """Return the names of the methods that are told of: those with words of their own."""
    return [
        name
        for name, value in vars(Client).items()
        if not name.startswith("_") and (isinstance(value, FunctionType) or _is_operation(value))
    ]


def _is_operation(value: object) -> bool:
    return hasattr(value, "__signature__")


def _values() -> list[str]:
    """Return the names of what methods return or take, the client's own before the rest."""
    named = [*smart_filter_client.__all__, *models.__all__]
    return [
        name
        for name in dict.fromkeys(named)
        if dataclasses.is_dataclass(getattr(_home(name), name))
    ]


def _home(name: str) -> object:
    return smart_filter_client if hasattr(smart_filter_client, name) else models


def _callable(name: str, method: object) -> Iterator[str]:
    signature = getattr(method, "__signature__", None) or inspect.signature(method)  # type: ignore[arg-type]
    yield f"### {name}"
    yield block(_spread(name, signature), "python")
    yield from _words(inspect.getdoc(method))


def _value(kind: type) -> Iterator[str]:
    yield f"### {kind.__name__}"
    yield from _words(inspect.getdoc(kind))
    rows = [
        (code(one.name), code(_annotation(one.type)))
        for one in dataclasses.fields(kind)
        if one.repr and not one.name.startswith("_")
    ]
    yield table(("field", "type"), rows)


def _words(told: str | None) -> Iterator[str]:
    """Yield a docstring as Markdown: its paragraphs, and its `name: meaning` lines as a list."""
    for paragraph in (told or "").split("\n\n"):
        yield "\n".join(_items(paragraph))


def _items(paragraph: str) -> Iterator[str]:
    is_listed = False
    for line in _NEXT.sub("\n", paragraph).splitlines():
        name, colon, meaning = line.partition(": ")
        if colon and name.replace(", ", "").isidentifier() and name.islower():
            if not is_listed:
                yield ""
            is_listed = True
            yield f"- `{name}`: {meaning}"
        elif line.startswith("Raises ") and is_listed:
            is_listed = False
            yield f"\n{line}"
        else:
            yield f"  {line.strip()}" if is_listed else line


def _spread(name: str, signature: inspect.Signature) -> str:
    """Return how something is called, one parameter a line where one line is not enough."""
    parameters: list[str] = []
    for one in signature.parameters.values():
        if one.name == "self":
            continue
        if one.kind is one.KEYWORD_ONLY and "*" not in parameters:
            parameters.append("*")
        kind = "" if one.annotation is one.empty else f": {_annotation(one.annotation)}"
        # A function as a default has no name that helps.
        default = "" if one.default is one.empty else f" = {_default(one.default)}"
        parameters.append(f"{one.name}{kind}{default}")
    gives = signature.return_annotation
    returns = "" if gives in {signature.empty, None} else f" -> {_annotation(gives)}"
    whole = f"{name}({', '.join(parameters)}){returns}"
    if len(whole) <= _WIDTH:
        return whole
    lines = "".join(f"    {parameter},\n" for parameter in parameters)
    return f"{name}(\n{lines}){returns}"


def _default(value: object) -> str:
    return getattr(value, "__name__", None) or repr(value)


def _annotation(annotation: object) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = _HOME.sub("", text).replace("'", "").replace("NoneType", "None")
    text = _UNION.sub(lambda union: union[1].replace(", ", " | "), text)
    text = _FEED.sub(r"Iterator[\1]", text)
    return _FLOW.sub(r"\1", text)
