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


class _Loader(yaml.SafeLoader):
    """Refuses a document while it is composed, before any object is made of it."""

    _depth = 0
    _values = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if event.anchor is not None:  # an alias has one too
            raise NotPlainError(
                f"has the anchor or alias {event.anchor} in line {line}: write the value out"
            )
        if event.tag is not None:
            raise NotPlainError(
                f"has the tag {event.tag} in line {line}: only plain values are read"
            )
        if self._depth > MAX_DEPTH:
            raise NotPlainError(f"is nested deeper than {MAX_DEPTH} levels")
        self._values += 1
        if self._values > MAX_VALUES:
            raise NotPlainError(f"has more than {MAX_VALUES} values, up to line {line}")
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.ScalarNode) and node.tag != _TEXT:
            if len(node.value) > _MAX_PLAIN_CHARACTERS:
                raise NotPlainError(
                    f"has a number of more than {_MAX_PLAIN_CHARACTERS} characters in line {line}:"
                    " put it in quotes"
                )
        elif isinstance(node, yaml.MappingNode):
            names: set[str] = set()
            for key, _ in node.value:
                # YAML keeps one of them, and a person may read the other.
                if str(key.value) in names:
                    where = key.start_mark.line + 1
                    raise NotPlainError(f"has {key.value} twice in one object, in line {where}")
                names.add(str(key.value))
        return node


def load(text: str | bytes, *, most_bytes: int) -> Any:  # noqa: ANN401 - YAML holds any type
    """Return the document of a text.  Raises NotPlainError, ValueError, yaml.YAMLError."""
    if len(text) > most_bytes:
        raise NotPlainError(f"has more than {most_bytes} bytes")
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
