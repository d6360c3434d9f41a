"""Configurations as data: YAML without tags and aliases, `_BASE_` within one folder only.

detectron2 reads them with a loader that runs Python (`!!python/object/apply:`), and its `_BASE_`
opens any path or address. Here a document is checked before it is loaded, and a base must be
another file of the same zoo.
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
# Returns the text of a zoo file by its path in the zoo; raises FileNotFoundError.
ReadZooFile: TypeAlias = Callable[[str], str]

BASE_KEY: Final = "_BASE_"
# The zoo's largest file has 2 kB, three levels and two bases.
MAX_BYTES: Final = 65_536
MAX_DEPTH: Final = 12
MAX_BASES: Final = 5
_PATH = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
# Sections that only training reads: they do not affect the model.
TRAINING_KEYS: Final = ("SOLVER", "DATALOADER", "OUTPUT_DIR", "SEED", "VIS_PERIOD")


def load_zoo_document(name: str, read: ReadZooFile) -> Document:
    """Return a zoo file with its bases merged in.

    name: its path in the zoo's folder, with `.yaml`.
    Raises SetupFailed when it or a base is not plain data in that folder.
    """
    return _merge_bases(parse(read_zoo_file(name, read), name), name, read)


def load_own_document(text: str, title: str, read: ReadZooFile) -> Document:
    """Return an operator's own document, its bases merged in; they must be zoo files.

    title: its name in errors.  Raises SetupFailed.
    """
    return _merge_bases(parse(text, title), "", read)


def parse(text: str, title: str) -> Document:
    """Return a YAML document as plain data.

    Raises SetupFailed for tags, anchors, aliases, duplicate keys, keys other than strings, and
    documents that are too large or too deep.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise SetupFailed(f"{title} is larger than {MAX_BYTES} bytes")
    try:
        # Check the whole document before any object is created from it.
        _check_events(yaml.parse(text, yaml.SafeLoader), title)
        _refuse_duplicate_keys(yaml.compose(text, yaml.SafeLoader), title)
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise SetupFailed(f"{title} is not plain YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise SetupFailed(f"{title} is not a mapping of keys to values")
    return _check_mapping(document, title)


def strip_training(document: Document) -> Document:
    """Return a document without training's sections and without its weights' address."""
    kept = {key: value for key, value in document.items() if key not in TRAINING_KEYS}
    model = kept.get("MODEL")
    if isinstance(model, dict):
        kept["MODEL"] = {key: value for key, value in model.items() if key != "WEIGHTS"}
    return kept


def read_zoo_file(path: str, read: ReadZooFile) -> str:
    """Return the text of a zoo file.  Raises SetupFailed when there is none."""
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise SetupFailed(f"{path!r} is outside the zoo's folder")
    try:
        return read(path)
    except FileNotFoundError:
        raise SetupFailed(f"the zoo of the installed detectron2 has no {path}") from None


def _merge_bases(document: Document, name: str, read: ReadZooFile) -> Document:
    """Return a document merged over its base, that one over its own base, and so on."""
    chain = [document]
    while BASE_KEY in chain[-1]:
        base = chain[-1].pop(BASE_KEY)
        if len(chain) > MAX_BASES:
            raise SetupFailed(f"{name or 'the document'} has more than {MAX_BASES} bases")
        if not isinstance(base, str) or "://" in base or base.startswith(("/", "~")):
            raise SetupFailed(f"_BASE_ {base!r} is not a zoo file")
        name = posixpath.normpath(posixpath.join(posixpath.dirname(name), base))
        chain.append(parse(read_zoo_file(name, read), name))
    merged: Document = {}
    for base in reversed(chain):
        merged = _merge(merged, base)
    return merged


def _merge(under: Document, over: Document) -> Document:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            merged[key] = _merge(below, value)
        else:
            merged[key] = value
    return merged


def _check_events(events: Iterable[yaml.Event], title: str) -> None:
    """Refuse everything but plain data, and nesting that would exhaust the stack.

    Events are a flat stream, so the check itself does not recurse.
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
        if depth > MAX_DEPTH:
            raise SetupFailed(f"{title} is nested deeper than {MAX_DEPTH} levels")


def _refuse_duplicate_keys(node: yaml.Node | None, title: str) -> None:
    """Refuse duplicate keys: YAML keeps one of them, and a person may read the other."""
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise SetupFailed(f"{title} has the key {twice[0]!r} twice")
        for _, value in node.value:
            _refuse_duplicate_keys(value, title)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_duplicate_keys(value, title)


def _check_mapping(document: Mapping[object, object], title: str) -> Document:
    """Return a mapping whose keys are strings and whose values are plain data."""
    checked: Document = {}
    for key, value in document.items():
        if not isinstance(key, str):
            raise SetupFailed(f"{title} has the key {key!r}, which is not a string")
        checked[key] = _value(value, f"{title}: {key}")
    return checked


def _value(value: object, title: str) -> Value:
    if isinstance(value, dict):
        return _check_mapping(value, title)
    if isinstance(value, list):
        return [_value(item, title) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise SetupFailed(f"{title} is {value}, which is not a finite number")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    # YAML also reads dates and bytes.
    raise SetupFailed(f"{title} is a {type(value).__name__}: only plain values are read")
