"""Parse JSON strictly, and decode the base64 of pictures in every form that libraries write.

Documents that two parsers could read differently are rejected. Of base64, both alphabets, line
breaks and other white space, text without padding, and the head of a data URL are accepted.
Source: RFC 4648, 4 and 5; RFC 2045, 6.8; RFC 2397.
"""

import base64
import json
import re
import string
from collections.abc import Iterator, Sequence
from typing import Any, Final, NoReturn

from smart_filter_shared.errors import MalformedRequest
from smart_filter_shared.recipe.declaration import json_pointer

# Other requests wait while Python parses a list or an object, which is one call of up to 0.3 s for
# this number. A batch of a thousand photos with all fields of the recipe has a third of it.
MAX_MARKS: Final = 200_000
# A number of 64 bits has at most 20 digits, and no field takes a larger one. Python takes quadratic
# time to parse an integer.
_MAX_INTEGER_CHARACTERS: Final = 20
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")

_DATA_URL: Final = re.compile(rb"data:[^,]{0,100};base64,")
# A call of C stops other requests until it has read all of its bytes; this takes up to 10 ms.
_PIECE_BYTES: Final = 1 << 20
_ESCAPE_BYTES: Final = len(r"\u002b")
_TO_STANDARD_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")
_WHITE_SPACE: Final = string.whitespace.encode()
_EXPECTED: Final = "send the bytes of the file as base64 (RFC 4648), or as a data URL with base64"


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


def max_text_bytes(length: int) -> int:
    """Return the length in a request of the base64 of a picture of this length, at most.

    Three bytes are four letters. A sixth more is for line breaks after 64 letters, and for these
    and `+`, `/` and `=` as escapes of JSON or a form, since the letters of pictures are random.
    """
    return -(-length // 3) * 4 * 7 // 6


def decode_base64(text: bytes | memoryview, name: str) -> bytes:
    """Decode base64, with or without JSON's escapes, and return the bytes.

    name: the field that holds the text.  Raises MalformedRequest.
    """
    head = _DATA_URL.match(text)
    try:
        return b"".join(_decode_pieces(text if head is None else text[head.end() :]))
    except ValueError as error:
        raise MalformedRequest(
            f"{name} is not base64; {_EXPECTED}", pointer=json_pointer(name)
        ) from error


def _decode_pieces(text: bytes | memoryview) -> Iterator[bytes]:
    """Yield the bytes of a text.  Raises ValueError, or binascii.Error, which is one."""
    held = b""
    for piece in _cut_pieces(text):
        held += _read_letters(piece)
        padding = held.find(b"=")
        end = (len(held) if padding < 0 else padding) // 4 * 4
        yield base64.b64decode(held[:end], validate=True)
        held = held[end:]
        if len(held) > 4:  # noqa: PLR2004 - letters of a group
            raise ValueError("data follow the padding")
    yield base64.b64decode(held + b"=" * (-len(held) % 4), validate=True)


def _cut_pieces(text: bytes | memoryview) -> Iterator[bytes]:
    """Yield a text in pieces that cut no JSON escape."""
    start = 0
    while start < len(text):
        piece = bytes(text[start : start + _PIECE_BYTES])
        escape = piece.rfind(b"\\", 1 - _ESCAPE_BYTES)
        if escape > 0 and len(piece) == _PIECE_BYTES:
            piece = piece[:escape]
        start += len(piece)
        yield piece


def _read_letters(piece: bytes) -> bytes:
    """Return a piece in the standard alphabet, without escapes and white space."""
    if b"\\" in piece:  # some writers of JSON escape slashes, plus and equals signs
        piece = json.loads(b'"%b"' % piece, strict=False).encode()
    return piece.translate(_TO_STANDARD_ALPHABET, _WHITE_SPACE)
