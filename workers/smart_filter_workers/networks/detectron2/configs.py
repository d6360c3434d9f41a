"""Configurations as data: YAML without tags and aliases, `_BASE_` within one folder only.

detectron2 reads them with a loader that runs Python (`!!python/object/apply:`), and its `_BASE_`
opens any path or address. Here a document is checked before it is loaded, and a base must be
another file of the same zoo.

Check an operator's own configuration against the list of allowed keys and values.
"""

import ast
import posixpath
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files as resources
from typing import Any, Final, TypeAlias, cast

import yaml
from pydantic import ConfigDict, JsonValue, TypeAdapter, ValidationError

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers import plain_yaml
from smart_filter_workers.plain_yaml import NotPlainError

Value: TypeAlias = JsonValue
Document: TypeAlias = dict[str, Value]
# Returns the text of a zoo file by its path in the zoo; raises FileNotFoundError.
ReadZooFile: TypeAlias = Callable[[str], str]

BASE_KEY: Final = "_BASE_"
# The zoo's largest file has 2 kB and two bases.
MAX_BYTES: Final = 65_536
MAX_BASES: Final = 5
_DOCUMENT: Final = TypeAdapter(
    Document, config=ConfigDict(strict=True, allow_inf_nan=False, defer_build=True)
)
_PATH = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
# Sections that only training reads: they do not affect the model.
TRAINING_KEYS: Final = ("SOLVER", "DATALOADER", "OUTPUT_DIR", "SEED", "VIS_PERIOD")

WEIGHTS_KEY: Final = "MODEL.WEIGHTS"
# yacs writes tuples as strings such as "(640, 672)".
MAX_TUPLE_CHARACTERS: Final = 400


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
    try:
        document = plain_yaml.load(text.encode("utf-8", "replace"), most_bytes=MAX_BYTES)
    except NotPlainError as error:
        raise SetupFailed(f"{title} {error}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise SetupFailed(f"{title} is not plain YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise SetupFailed(f"{title} is not a mapping of keys to values")
    try:
        return _DOCUMENT.validate_python(document)
    except ValidationError as error:
        # Keys that are no strings, numbers that are not finite, dates and bytes.
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise SetupFailed(
            f"{title}: {place}: only plain values are read ({first['msg']})"
        ) from error


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


def check(document: Document, title: str) -> None:
    """Check every key and value of a document, except in sections that only training reads.

    Raises SetupFailed naming the first one that is not allowed.
    """
    for key, value in _flatten(document):
        # The base is resolved within the zoo's folder when the document is loaded.
        if key == BASE_KEY or key.partition(".")[0] in TRAINING_KEYS:
            continue
        if key == WEIGHTS_KEY:
            if value is not None and value != "":
                raise SetupFailed(
                    f"{title}: {WEIGHTS_KEY} is {value!r}: weights are admitted on their own,"
                    " by digest; leave it out"
                )
            continue
        problem = _problem(key, _decode_value(value))
        if problem is not None:
            raise SetupFailed(f"{title}: {key} {problem}")


def _problem(key: str, value: object) -> str | None:  # noqa: PLR0911 - one return for each kind of key
    """Return what is wrong with a value; None if nothing is."""
    allowed = _load_allowed()
    if key in allowed["integers"]:
        least, most = allowed["integers"][key]
        is_right = type(value) is int and least <= value <= most
        return None if is_right else f"is not an integer from {least} to {most}"
    if key in allowed["numbers"]:
        least, most = allowed["numbers"][key]
        is_right = type(value) in {int, float} and least <= cast("float", value) <= most
        return None if is_right else f"is not a number from {least} to {most}"
    if key in allowed["booleans"]["keys"]:
        return None if isinstance(value, bool) else "is neither true nor false"
    if key in allowed["words"]:
        words = allowed["words"][key]
        return None if value in words else f"is not one of {', '.join(map(repr, words))}"
    if key in allowed["series"]:
        longest, least, most = allowed["series"][key]
        numbers = list(_leaves(value))
        is_right = len(numbers) <= longest and all(
            type(number) in {int, float} and least <= cast("float", number) <= most
            for number in numbers
        )
        return None if is_right else f"is not at most {longest} numbers from {least} to {most}"
    if key in allowed["names"]:
        longest, pattern = allowed["names"][key]
        names = list(_leaves(value))
        is_right = len(names) <= longest and all(
            isinstance(name, str) and re.fullmatch(pattern, name) for name in names
        )
        return None if is_right else f"is not at most {longest} words that match {pattern}"
    if key in allowed["flags"]:
        flags = list(_leaves(value))
        is_right = len(flags) == allowed["flags"][key] and all(isinstance(f, bool) for f in flags)
        return None if is_right else f"is not {allowed['flags'][key]} of true and false"
    return "is not among the keys that a configuration may set"


def _flatten(document: Mapping[str, Value], prefix: str = "") -> Iterator[tuple[str, Value]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _decode_value(value: Value) -> object:
    """Return the value as yacs reads it: a string that looks like a tuple becomes one."""
    if (
        isinstance(value, str)
        and value.startswith(("(", "["))
        and len(value) <= MAX_TUPLE_CHARACTERS
    ):
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return value


@cache
def _load_allowed() -> dict[str, Any]:  # Any: six kinds of entries, each read in one place above
    text = resources(__package__).joinpath("keys.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
