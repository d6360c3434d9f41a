"""Read YAML that is plain data: no tags, which can run code, and no aliases, which can grow.

Bytes, values and levels are bounded while the document is read, before anything is built of it.
"""

from typing import Any, Final

import yaml

MAX_DEPTH: Final = 12
# Of a document, its keys included. A hundred recipes with all fields and their pictures have about
# half of it. Each takes up to 50 µs and 1 kB.
MAX_VALUES: Final = 20_000
# Of a number, a date or another value that is no text. Python converts a long number in base 60
# in a time that grows with the square of its length.
_MAX_PLAIN_CHARACTERS: Final = 100
_TEXT: Final = "tag:yaml.org,2002:str"


class NotPlainError(ValueError):
    """A document that holds more than plain data; the message ends a sentence about the file."""


# libyaml reads 40 MB in a fifth of a second; PyYAML's own parser takes 20 s and more for it.
_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(text: str | bytes, *, most_bytes: int) -> Any:  # noqa: ANN401 - YAML holds any type
    """Return the document of a text.  Raises NotPlainError, ValueError, yaml.YAMLError."""
    if len(text) > most_bytes:
        raise NotPlainError(f"has more than {most_bytes} bytes")
    _check_events(text)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_node(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check_events(text: str | bytes) -> None:
    """Raise NotPlainError for anything that nodes must not be made of."""
    depth = values = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if not isinstance(event, yaml.NodeEvent):
            continue
        line = 0 if event.start_mark is None else event.start_mark.line + 1
        if event.anchor is not None:  # an alias has one too
            raise NotPlainError(
                f"has the anchor or alias {event.anchor} in line {line}: write the value out"
            )
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise NotPlainError(f"has the tag {tag} in line {line}: only plain values are read")
        if depth > MAX_DEPTH:
            raise NotPlainError(f"is nested deeper than {MAX_DEPTH} levels")
        values += 1
        if values > MAX_VALUES:
            raise NotPlainError(f"has more than {MAX_VALUES} values, up to line {line}")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1


def _check_node(node: yaml.Node) -> None:
    """Raise NotPlainError for numbers that are too long, and for names that stand twice."""
    if isinstance(node, yaml.ScalarNode):
        if node.tag != _TEXT and len(node.value) > _MAX_PLAIN_CHARACTERS:
            line = node.start_mark.line + 1
            raise NotPlainError(
                f"has a number of more than {_MAX_PLAIN_CHARACTERS} characters in line {line}:"
                " put it in quotes"
            )
        return
    if isinstance(node, yaml.MappingNode):
        names: set[str] = set()
        for key, _ in node.value:
            # YAML keeps one of them, and a person may read the other.
            if str(key.value) in names:
                line = key.start_mark.line + 1
                raise NotPlainError(f"has {key.value} twice in one object, in line {line}")
            names.add(str(key.value))
        children = [child for pair in node.value for child in pair]
    else:
        children = node.value
    for child in children:
        _check_node(child)
