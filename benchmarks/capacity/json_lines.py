"""Write results as JSON that is readable in a diff: one line for each, with few digits."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_DIGITS: Final = 4


def to_json_lines(some: Iterable["DataclassInstance"]) -> str:
    """Return a JSON list of dataclasses, one a line."""
    return "[\n" + ",\n".join(map(_line, some)) + "\n]"


def _line(record: "DataclassInstance") -> str:
    exact = json.dumps(asdict(record))
    rounded = json.loads(exact, parse_float=lambda number: round(float(number), _DIGITS))
    return json.dumps(rounded, separators=(",", ":"))
