"""Parse JSON strictly: documents that two parsers could read differently are rejected."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from smart_filter_shared.errors import MalformedRequest

# Other requests wait while Python parses a list or an object, which is one call of up to 0.3 s for
# this number. A batch of a thousand photos with all fields of the recipe has a third of it.
MAX_MARKS: Final = 200_000
# A number of 64 bits has at most 20 digits, and no field takes a larger one. Python takes quadratic
# time to parse an integer.
_MAX_INTEGER_CHARACTERS: Final = 20
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def read_object(body: bytes) -> dict[str, Any]:
    """Parse a body as one JSON object and return it; raises MalformedRequest like `read_value`."""
    document = read_value(body)
    if not isinstance(document, dict):
        raise MalformedRequest('the body is not a JSON object such as {"name": "value"}')
    return document


def read_value(body: bytes, *, called: str = "the body") -> object:
    """Parse one JSON value and return it.

    called: its name in error messages.
    Raises MalformedRequest when it is not UTF-8 (RFC 8259, 8.1), repeats a name in an object, holds
    NaN, infinities, lone surrogates or an integer of more than 20 characters, is nested too deeply,
    or has more than MAX_MARKS commas and opening brackets, with those in strings.
    """
    if sum(map(body.count, b"{[,")) > MAX_MARKS:
        raise MalformedRequest(f"{called} has more than {MAX_MARKS} commas and opening brackets")
    try:
        document = json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_unique_object,
            parse_int=_parse_integer,
            parse_constant=_refuse_constant,
        )
        if _SURROGATE.search(body):
            # JSON escapes can encode lone surrogates, which cannot be stored.
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"{called} is not UTF-8, from byte {error.start} on") from error
    except UnicodeEncodeError as error:
        raise MalformedRequest(f"{called} holds half of a character (a lone surrogate)") from error
    except RecursionError as error:
        raise MalformedRequest(f"{called}'s objects and lists are nested too deeply") from error
    except json.JSONDecodeError as error:
        raise MalformedRequest(f"{called} is not JSON: {error}") from error
    except _RefusedJson as error:
        raise MalformedRequest(f"{called} is not acceptable JSON: {error}") from error
    return document


class _RefusedJson(ValueError):
    """JSON that a parser may accept, and that is not accepted here."""


def _unique_object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise _RefusedJson("an object has the same name more than once")
    return document


def _parse_integer(text: str) -> int:
    if len(text) > _MAX_INTEGER_CHARACTERS:
        raise _RefusedJson(f"an integer has more than {_MAX_INTEGER_CHARACTERS} characters")
    return int(text)


def _refuse_constant(constant: str) -> NoReturn:
    raise _RefusedJson(f"{constant} is not a JSON number")
