"""Read YAML that is plain data: no tags, which can run code, and no aliases, which can grow."""

from typing import Any, Final

import yaml

MAX_DEPTH: Final = 12


class NotPlainError(ValueError):
    """A document that holds more than plain data; the message ends a sentence about the file."""


class _Loader(yaml.SafeLoader):
    """Refuses a document while it is composed, before any object is made of it."""

    _depth = 0

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
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.MappingNode):
            names: set[str] = set()
            for key, _ in node.value:
                # YAML keeps one of them, and a person may read the other.
                if str(key.value) in names:
                    where = key.start_mark.line + 1
                    raise NotPlainError(f"has {key.value} twice in one object, in line {where}")
                names.add(str(key.value))
        return node


def load(text: str | bytes) -> Any:  # noqa: ANN401 - YAML holds any type
    """Return the document of a text.  Raises NotPlainError, ValueError, yaml.YAMLError."""
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
