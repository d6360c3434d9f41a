"""The page about the Python client, from its signatures and docstrings."""

import dataclasses
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from types import FunctionType
from typing import Annotated, Final, Literal, get_args, get_origin, get_type_hints

import smart_filter_client
import smart_filter_wire
from smart_filter_client import Client, Recipe, errors, models
from smart_filter_docs.markdown import block, code, sections, table
from smart_filter_wire import formats
from smart_filter_wire.webhooks import EndedEventPage

# The modules of the types of answers.
_WIRE: Final = [
    f"{smart_filter_wire.__name__}.{module.name}"
    for module in pkgutil.iter_modules(smart_filter_wire.__path__)
    if module.name != "formats"
]
# Longest signature in characters that stays on one line.
_WIDTH: Final = 88
# Rewrites of annotations: modules before class names are cut.
_HOME: Final = re.compile(r"\b(?:[a-z_]+\.)+(?=[A-Z])")
# The mark of a format is no part of a type.
_MARKED: Final = re.compile(r"Annotated\[(.*?), (?:<[^>]*>|Rounded\([^)]*\)|Limits\([^)]*\))\]")
_OPTIONAL: Final = re.compile(r"\bOptional\[([^\[\]]+)\]")
_UNION: Final = re.compile(r"\bUnion\[((?:[^\[\]]|\[[^\[\]]*\])*)\]")
# The second of two `name: meaning` pairs in one line of a docstring.
_NEXT: Final = re.compile(r"(?<=[.;])  ?(?=[a-z_, ]+: )")


def page() -> str:
    """Return the page."""
    return sections(
        "# Python client",
        "`Client` blocks; `AsyncClient` has the same methods with the same parameters: await"
        " methods that return, and use `async for` with methods that yield."
        " docs/client.md has examples.",
        "## Client",
        block(_spread("Client", inspect.signature(Client)), "python"),
        *_paragraphs(inspect.getdoc(Client)),
        *(part for name in _methods() for part in _callable(name, vars(Client)[name])),
        "## Recipe",
        *_paragraphs(inspect.getdoc(Recipe)),
        table(
            ("name", "type"),
            ((code(name), code(_annotation(kind))) for name, kind in _fields(Recipe)),
        ),
        "## Words",
        table(
            ("type", "words"),
            (
                (code(name), " ".join(map(code, get_args(_bare(words)))))
                for name, words in _literals().items()
            ),
        ),
        "## Results",
        *(part for kind in _values() for part in _value(kind)),
        "## Webhook verification",
        *_callable("verify_webhook", smart_filter_client.verify_webhook),
        "## Errors",
        block(inspect.getdoc(errors) or "", "text"),
    )


def _methods() -> list[str]:
    """Return the names of the public methods of the client."""
    return [
        name
        for name, value in vars(Client).items()
        if not name.startswith("_") and isinstance(value, FunctionType)
    ]


def _fields(kind: type) -> list[tuple[str, object]]:
    """Return the fields of a TypedDict, those with dots last."""
    return sorted(get_type_hints(kind).items(), key=lambda field: "." in field[0])


def _values() -> Iterator[type]:
    """Yield the dataclasses of the client, then those of answers, without their pages."""
    for name, value in _names().items():
        is_page = name.endswith("Page") and name != EndedEventPage.__name__
        if dataclasses.is_dataclass(value) and isinstance(value, type) and not is_page:
            yield value


def _names() -> dict[str, object]:
    """Return the public names of the client and of the types of answers; a client's own first."""
    homes = [smart_filter_client, models, *(import_module(name) for name in _WIRE)]
    return {
        name: value
        for home in reversed(homes)
        for name, value in vars(home).items()
        if name[0].isupper() and getattr(value, "__module__", "") != formats.__name__
    }


def _callable(name: str, method: Callable[..., object]) -> Iterator[str]:
    signature = inspect.signature(method)
    yield f"### {name}"
    yield block(_spread(name, signature), "python")
    yield from _paragraphs(inspect.getdoc(method))


def _value(kind: type) -> Iterator[str]:
    yield f"### {kind.__name__}"
    yield from _paragraphs(inspect.getdoc(kind))
    rows = [
        (code(field.name), code(_annotation(field.type)))
        for field in dataclasses.fields(kind)
        if field.repr and not field.name.startswith("_")
    ]
    yield table(("field", "type"), rows)


def _paragraphs(docstring: str | None) -> Iterator[str]:
    """Yield a docstring as Markdown: its paragraphs, and its `name: meaning` lines as a list."""
    for paragraph in (docstring or "").split("\n\n"):
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
    """Return a signature, with one parameter a line when one line is too short."""
    parameters: list[str] = []
    for given in signature.parameters.values():
        if given.name in {"self", "client"}:
            continue
        if given.kind is given.KEYWORD_ONLY and "*" not in parameters:
            parameters.append("*")
        kind = "" if given.annotation is given.empty else f": {_annotation(given.annotation)}"
        # A default that is a function is shown by its name.
        default = "" if given.default is given.empty else f" = {_default(given.default)}"
        parameters.append(f"{given.name}{kind}{default}")
    gives = signature.return_annotation
    given_back = _annotation(gives).replace("AsyncGenerator", "Iterator")
    returns = "" if gives in {signature.empty, None} else f" -> {given_back}"
    whole = f"{name}({', '.join(parameters)}){returns}"
    if len(whole) <= _WIDTH:
        return whole
    lines = "".join(f"    {parameter},\n" for parameter in parameters)
    return f"{name}(\n{lines}){returns}"


def _default(value: object) -> str:
    return getattr(value, "__name__", None) or repr(value)


def _annotation(annotation: object) -> str:
    text = _formatted(annotation)
    for name, words in _literals().items():
        for kind in (words, _bare(words)):
            text = text.replace(_formatted(kind), name)
    text = _MARKED.sub(r"\1", text).replace("NoneType", "None")
    text = _UNION.sub(lambda union: union[1].replace(", ", " | "), text)
    return _OPTIONAL.sub(r"\1 | None", text)


def _formatted(annotation: object) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return _HOME.sub("", text)


def _literals() -> dict[str, object]:
    """Return the sets of words that the client names, by name."""
    return {name: kind for name, kind in _names().items() if get_origin(_bare(kind)) is Literal}


def _bare(kind: object) -> object:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind
