"""An operator's own configuration, key by key against the list of what it may say."""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files as resources
from typing import Any, Final, cast

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks.detectron2.documents import BASE, OF_TRAINING, Document, Value

WEIGHTS: Final = "MODEL.WEIGHTS"
# yacs writes tuples as strings such as "(640, 672)".
LONGEST_TUPLE: Final = 400


def check(document: Document, title: str) -> None:
    """Check every key and value of a document, but for the sections that only training reads.

    Raises SetupFailed naming the first that is not allowed.
    """
    for key, value in _flat(document):
        # A base is resolved within the zoo's folder by whoever reads the document.
        if key == BASE or key.partition(".")[0] in OF_TRAINING:
            continue
        if key == WEIGHTS:
            if value is not None and value != "":
                raise SetupFailed(
                    f"{title}: {WEIGHTS} is {value!r}: weights are admitted on their own,"
                    " by digest; leave it out"
                )
            continue
        problem = _problem(key, _decoded(value))
        if problem is not None:
            raise SetupFailed(f"{title}: {key} {problem}")


def _problem(key: str, value: object) -> str | None:  # noqa: PLR0911 - one answer a kind of key
    """Return what is wrong with a value, or None."""
    allowed = _allowed()
    if key in allowed["integers"]:
        least, most = allowed["integers"][key]
        is_right = type(value) is int and least <= value <= most
        return None if is_right else f"is no integer from {least} to {most}"
    if key in allowed["numbers"]:
        least, most = allowed["numbers"][key]
        is_right = type(value) in {int, float} and least <= cast("float", value) <= most
        return None if is_right else f"is no number from {least} to {most}"
    if key in allowed["booleans"]["keys"]:
        return None if isinstance(value, bool) else "is neither true nor false"
    if key in allowed["words"]:
        words = allowed["words"][key]
        return None if value in words else f"is none of {', '.join(map(repr, words))}"
    if key in allowed["series"]:
        longest, least, most = allowed["series"][key]
        numbers = list(_leaves(value))
        is_right = len(numbers) <= longest and all(
            type(one) in {int, float} and least <= cast("float", one) <= most for one in numbers
        )
        return None if is_right else f"is not at most {longest} numbers from {least} to {most}"
    if key in allowed["names"]:
        longest, pattern = allowed["names"][key]
        names = list(_leaves(value))
        is_right = len(names) <= longest and all(
            isinstance(one, str) and re.fullmatch(pattern, one) for one in names
        )
        return None if is_right else f"is not at most {longest} words like {pattern}"
    if key in allowed["flags"]:
        flags = list(_leaves(value))
        is_right = len(flags) == allowed["flags"][key] and all(isinstance(f, bool) for f in flags)
        return None if is_right else f"is not {allowed['flags'][key]} of true and false"
    return "is not among the keys that a configuration may set"


def _flat(document: Mapping[str, Value], prefix: str = "") -> Iterator[tuple[str, Value]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from _leaves(one)
    else:
        yield value


def _decoded(value: Value) -> object:
    """Return what yacs makes of a value: a tuple of a string that looks like one."""
    if isinstance(value, str) and value.startswith(("(", "[")) and len(value) <= LONGEST_TUPLE:
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return value


@cache
def _allowed() -> dict[str, Any]:  # Any: six kinds of entries, each read in one place above
    text = resources(__package__).joinpath("keys.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
