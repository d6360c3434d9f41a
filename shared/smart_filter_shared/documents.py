"""Read JSON and TOML that people hand in as files or arguments, with bounds.

A parser builds a whole document before it returns. So bytes and values are counted first, in one
pass over the text.
"""

import json
import tomllib
from pathlib import Path
from typing import Any, Final

# Bytes of a file that a person writes; a program's may be longer, and its reader says so.
MAX_BYTES: Final = 1_000_000
# Values of a document. As Python objects, they take up to 30 MB and 0.3 s.
MAX_VALUES: Final = 200_000
# Dots of a line of TOML. A key `a.a.a` takes time with the square of its parts: 500,000 of them,
# which fit into MAX_BYTES, hours.
_MAX_DOTS: Final = 50


def read_file(path: Path, *, most_bytes: int = MAX_BYTES) -> bytes:
    """Return the content of a file.  Raises OSError, and ValueError for a longer file."""
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"it has more than {most_bytes} bytes")
    return content


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 - JSON holds any type
    """Return the value of a JSON document.  Raises ValueError, which says what is wrong."""
    _check_values(text, "[{,")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def parse_toml(text: str) -> dict[str, Any]:
    """Return the table of a TOML document.  Raises ValueError, which says what is wrong."""
    _check_values(text, "[{,=")
    for number, line in enumerate(text.splitlines(), start=1):
        if line.count(".") > _MAX_DOTS:
            raise ValueError(f"line {number} has more than {_MAX_DOTS} dots")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _check_values(text: str | bytes, marks: str) -> None:
    """Raise ValueError for too many of these characters; each value has one of them at most."""
    count = sum(
        text.count(mark) if isinstance(text, str) else text.count(mark.encode()) for mark in marks
    )
    if count > MAX_VALUES:
        raise ValueError(f"it has more than {MAX_VALUES} values")
