"""Check an operator's own configuration against the list of allowed keys and values."""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files as resources
from typing import Any, Final, cast

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks.detectron2.config_documents import (
    BASE_KEY,
    TRAINING_KEYS,
    Document,
    Value,
)

WEIGHTS_KEY: Final = "MODEL.WEIGHTS"
# yacs writes tuples as strings such as "(640, 672)".
MAX_TUPLE_CHARACTERS: Final = 400


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
