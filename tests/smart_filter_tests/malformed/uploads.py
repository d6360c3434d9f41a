"""Malformed uploads."""

from smart_filter_tests.malformed.accounts import unread
from smart_filter_tests.malformed.rows import INVALID, LARGE, MEDIA, Row, sent
from smart_filter_tests.serving import a_photo

_UPLOAD, _PUT = "POST /v1/uploads", "PUT /v1/uploads/{upload_id}"
_JPEG = {"content_type": "image/jpeg"}


def _length(name: str, length: object, answer: tuple[int, str] = INVALID) -> Row:
    return sent(_UPLOAD, name, {**_JPEG, "bytes": length}, "/bytes", answer=answer)


def _type(name: str, type_: object, answer: tuple[int, str] = MEDIA, tells: str = "") -> Row:
    body = {"content_type": type_, "bytes": 1000}
    return sent(_UPLOAD, name, body, "/content_type", answer=answer, tells=tells)


def _put(name: str, content: bytes, answer: tuple[int, str] = INVALID) -> Row:
    """Return what is put into an upload of 1000 bytes of JPEG."""
    return Row(name, _PUT, *answer, pointers=("/photo",), content=content)


UPLOADS = (
    unread(_UPLOAD),
    sent(_UPLOAD, "nothing", {}, "/content_type", "/bytes"),
    sent(_UPLOAD, "unknown name", {**_JPEG, "bytes": 1000, "key": "../a"}, "/key"),
    _length("0 bytes", 0),
    _length("bytes of true", True),
    _length("bytes of a text", "1000"),
    _length("bytes of a fraction", 1000.5),
    _length("41 megabytes", 41_000_000, LARGE),
    _length("bytes beyond all numbers", 10**30, LARGE),
    _type("type of a number", 1, INVALID),
    _type("type of 101", "i" * 101, INVALID),
    _type("type of nothing", ""),
    _type("GIF", "image/gif", tells="accepted are"),
    _type("type with a newline", "image/jpeg\r\nX: y"),
    _put("shorter", b"\xff\xd8\xff"),
    _put("longer", bytes(2000)),
    _put("no picture", bytes(1000), MEDIA),
    _put("a PNG", a_photo("PNG").ljust(1000, b"\0"), MEDIA),
    _put("41 megabytes", bytes(41_000_000), LARGE),
    Row(
        "compressed",
        _PUT,
        *MEDIA,
        pointers=("/Content-Encoding",),
        headers={"Content-Encoding": "gzip"},
        content=bytes(1000),
    ),
)
