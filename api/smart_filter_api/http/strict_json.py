"""Parse JSON strictly: documents that two parsers could read differently are rejected."""

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from smart_filter_shared.errors import MalformedRequest


def read_object(body: bytes) -> dict[str, Any]:
    """Parse a body as one JSON object and return it.

    Raises MalformedRequest when it is not an object, is not UTF-8 (RFC 8259, 8.1), repeats a name
    in an object, holds NaN, infinities or lone surrogates, or is nested too deeply.
    """
    try:
        document = json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_unique_object,
            parse_constant=_refuse_constant,
        )
        # JSON escapes can encode lone surrogates, which cannot be stored.
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"the body is not UTF-8, from byte {error.start} on") from error
    except UnicodeEncodeError as error:
        raise MalformedRequest("the body holds half of a character (a lone surrogate)") from error
    except RecursionError as error:
        raise MalformedRequest("the body's objects and lists are nested too deeply") from error
    except json.JSONDecodeError as error:
        raise MalformedRequest(f"the body is not JSON: {error}") from error
    except _RefusedJson as error:
        raise MalformedRequest(f"the body is not acceptable JSON: {error}") from error
    except ValueError as error:  # Python's own limit of digits
        raise MalformedRequest("the body has an integer of too many digits") from error
    if not isinstance(document, dict):
        raise MalformedRequest('the body is not a JSON object such as {"name": "value"}')
    return document


class _RefusedJson(ValueError):
    """JSON that a parser may accept, and that is not accepted here."""


def _unique_object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RefusedJson("an object has the same name more than once")
    return found


def _refuse_constant(constant: str) -> NoReturn:
    raise _RefusedJson(f"{constant} is not a JSON number")
