"""Decode the base64 of pictures, in every form that libraries write.

Accepted are both alphabets, line breaks and other white space, text without padding, and the head
of a data URL.  Source: RFC 4648, 4 and 5; RFC 2045, 6.8; RFC 2397.
"""

import base64
import json
import re
import string
from collections.abc import Iterator
from typing import Final

from smart_filter_shared.errors import MalformedRequest
from smart_filter_shared.recipe.words import json_pointer

_DATA_URL: Final = re.compile(rb"data:[^,]{0,100};base64,")
# A call of C stops other requests until it has read all of its bytes; this takes up to 10 ms.
_PIECE_BYTES: Final = 1 << 20
_ESCAPE_BYTES: Final = len(r"\u002b")
_TO_STANDARD_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")
_WHITE_SPACE: Final = string.whitespace.encode()
_EXPECTED: Final = "send the bytes of the file as base64 (RFC 4648), or as a data URL with base64"


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
