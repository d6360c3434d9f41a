"""Documents in JSON, read strictly: what two readers could take differently is refused."""

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from smart_filter_shared.errors import MalformedRequest


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is.

    Raises MalformedRequest when it is none, is not UTF-8 (RFC 8259, 8.1), names something twice
    in an object, holds NaN, infinities or halves of characters, or is too deep.
    """
    try:
        document = json.loads(
            body.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_refuse
        )
        # JSON can name halves of characters, which nothing can store.
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"the body is not UTF-8, from byte {error.start} on") from error
    except UnicodeEncodeError as error:
        raise MalformedRequest("the body names half of a character (a lone surrogate)") from error
    except RecursionError as error:
        raise MalformedRequest("the body's objects and lists lie too deep in each other") from error
    except json.JSONDecodeError as error:
        raise MalformedRequest(f"the body is not JSON: {error}") from error
    except ValueError as error:
        raise MalformedRequest(f"the body cannot be taken as it is: {error}") from error
    if not isinstance(document, dict):
        raise MalformedRequest('the body is not a JSON object such as {"name": "value"}')
    return document


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given more than once in an object")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number of JSON")
