"""Configurations as data: YAML without tags and aliases, `_BASE_` within one folder only.

detectron2 reads them with a loader that runs Python (`!!python/object/apply:`), and opens as
`_BASE_` whatever path or address it is given. Here a document is looked through before
anything is made of it, and a base is another file of the same zoo.
"""

import math
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

import yaml

from smart_filter_shared.errors import SetupFailed

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
Document: TypeAlias = dict[str, Value]
# Gives the text of a file of the zoo by its path there; raises FileNotFoundError.
Reader: TypeAlias = Callable[[str], str]

BASE: Final = "_BASE_"
# The zoo's largest file has 2 kB, three levels and two bases.
LONGEST_BYTES: Final = 65_536
DEEPEST: Final = 12
MOST_BASES: Final = 5
_PATH = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
# Sections that only training reads: nothing of them reaches a model.
OF_TRAINING: Final = ("SOLVER", "DATALOADER", "OUTPUT_DIR", "SEED", "VIS_PERIOD")


def of_zoo(name: str, read: Reader) -> Document:
    """Return a file of the zoo with its bases merged in.

    name: its path in the zoo's folder, with `.yaml`.
    Raises SetupFailed when it, or a base, is not plain data of that folder.
    """
    return _with_bases(parsed(read_in(name, read), name), name, read)


def of_operator(text: str, title: str, read: Reader) -> Document:
    """Return an operator's own document; a base of it is a file of the zoo.

    title: what to call it in errors.  Raises SetupFailed.
    """
    return _with_bases(parsed(text, title), "", read)


def parsed(text: str, title: str) -> Document:
    """Return a YAML document as plain data.

    Raises SetupFailed for tags, anchors, aliases, keys twice, keys that are no strings, and
    what is too large or too deep.
    """
    if len(text.encode("utf-8", "replace")) > LONGEST_BYTES:
        raise SetupFailed(f"{title} is larger than {LONGEST_BYTES} bytes")
    try:
        # Nothing is made of a document before all of it has been looked at.
        _look_through(yaml.parse(text, yaml.SafeLoader), title)
        _refuse_doubles(yaml.compose(text, yaml.SafeLoader), title)
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise SetupFailed(f"{title} is not plain YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise SetupFailed(f"{title} is no mapping of keys to values")
    return _checked(document, title)


def without_training(document: Document) -> Document:
    """Return a document without what only training reads, and without its weights' address."""
    kept = {key: value for key, value in document.items() if key not in OF_TRAINING}
    model = kept.get("MODEL")
    if isinstance(model, dict):
        kept["MODEL"] = {key: value for key, value in model.items() if key != "WEIGHTS"}
    return kept


def read_in(path: str, read: Reader) -> str:
    """Return the text of a file of the zoo.  Raises SetupFailed when there is none."""
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise SetupFailed(f"{path!r} is outside of the zoo's folder")
    try:
        return read(path)
    except FileNotFoundError:
        raise SetupFailed(f"the zoo of the installed detectron2 has no {path}") from None


def _with_bases(document: Document, name: str, read: Reader) -> Document:
    """Merge a document over its base, that over its own, and so on."""
    chain = [document]
    while BASE in chain[-1]:
        base = chain[-1].pop(BASE)
        if len(chain) > MOST_BASES:
            raise SetupFailed(f"{name or 'the document'} has more than {MOST_BASES} bases")
        if not isinstance(base, str) or "://" in base or base.startswith(("/", "~")):
            raise SetupFailed(f"_BASE_ {base!r} is no file of the zoo")
        name = posixpath.normpath(posixpath.join(posixpath.dirname(name), base))
        chain.append(parsed(read_in(name, read), name))
    merged: Document = {}
    for one in reversed(chain):
        merged = _merged(merged, one)
    return merged


def _merged(under: Document, over: Document) -> Document:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            merged[key] = _merged(below, value)
        else:
            merged[key] = value
    return merged


def _look_through(events: Iterable[yaml.Event], title: str) -> None:
    """Refuse what makes more than plain data, and nesting that would exhaust the stack.

    Events come one by one, whatever the depth.
    """
    depth = 0
    for event in events:
        tag, anchor = getattr(event, "tag", None), getattr(event, "anchor", None)
        if tag is not None:
            raise SetupFailed(f"{title} has the tag {tag!r}: only plain values are read")
        if anchor is not None:  # an alias has one too
            raise SetupFailed(f"{title} has the anchor or alias {anchor!r}: write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise SetupFailed(f"{title} is nested deeper than {DEEPEST} levels")


def _refuse_doubles(node: yaml.Node | None, title: str) -> None:
    """Refuse a key that stands twice: one of both would be read, and a person sees the other."""
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise SetupFailed(f"{title} has the key {twice[0]!r} twice")
        for _, value in node.value:
            _refuse_doubles(value, title)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_doubles(value, title)


def _checked(document: Mapping[object, object], title: str) -> Document:
    """Return a mapping whose keys are strings and whose values are plain data."""
    checked: Document = {}
    for key, value in document.items():
        if not isinstance(key, str):
            raise SetupFailed(f"{title} has the key {key!r}, which is no word")
        checked[key] = _value(value, f"{title}: {key}")
    return checked


def _value(value: object, title: str) -> Value:
    if isinstance(value, dict):
        return _checked(value, title)
    if isinstance(value, list):
        return [_value(one, title) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise SetupFailed(f"{title} is {value}, which is no number to work with")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    # YAML reads dates and bytes too.
    raise SetupFailed(f"{title} is a {type(value).__name__}: only plain values are read")
