"""Malformed uploads, and jobs that name a photo elsewhere in a wrong way."""

import uuid

from smart_filter_tests.malformed.accounts import broken, wrong
from smart_filter_tests.malformed.rows import JSON, Row, fields, text

_UPLOAD, _JOB = "POST /v1/uploads", "POST /v1/jobs"
_PUT = "PUT /v1/uploads/{upload_id}"
_JPEG = {"content_type": "image/jpeg"}
_PHOTO = {"photo_url": "https://example.org/a.jpg"}


def _job(name: str, body: object, status: int, code: str, *pointers: str) -> Row:
    return Row(name, _JOB, status, code, pointers=pointers, headers=JSON, content=text(body))


def _put(name: str, content: bytes, status: int, code: str) -> Row:
    """Return what is put into an upload of 1000 bytes of JPEG."""
    return Row(name, _PUT, status, code, pointers=("/photo",), content=content)


UPLOADS = (
    *broken(_UPLOAD),
    wrong(_UPLOAD, "nothing", {}, "/content_type", "/bytes"),
    wrong(_UPLOAD, "no length", _JPEG, "/bytes"),
    wrong(_UPLOAD, "0 bytes", {**_JPEG, "bytes": 0}, "/bytes"),
    wrong(_UPLOAD, "bytes of true", {**_JPEG, "bytes": True}, "/bytes"),
    wrong(_UPLOAD, "bytes of a text", {**_JPEG, "bytes": "1000"}, "/bytes"),
    wrong(_UPLOAD, "bytes of a fraction", {**_JPEG, "bytes": 1000.5}, "/bytes"),
    wrong(_UPLOAD, "type of a number", {"content_type": 1, "bytes": 1000}, "/content_type"),
    wrong(_UPLOAD, "type of 101", {"content_type": "i" * 101, "bytes": 1000}, "/content_type"),
    wrong(_UPLOAD, "unknown name", {**_JPEG, "bytes": 1000, "key": "../a"}, "/key"),
    Row(
        "41 megabytes",
        _UPLOAD,
        413,
        "photo_too_large",
        pointers=("/bytes",),
        headers=JSON,
        content=text({**_JPEG, "bytes": 41_000_000}),
    ),
    Row(
        "GIF",
        _UPLOAD,
        415,
        "unsupported_media",
        pointers=("/content_type",),
        headers=JSON,
        content=text({"content_type": "image/gif", "bytes": 1000}),
        tells="accepted are",
    ),
    Row(
        "type with a newline",
        _UPLOAD,
        415,
        "unsupported_media",
        pointers=("/content_type",),
        headers=JSON,
        content=text({"content_type": "image/jpeg\r\nX: y", "bytes": 1000}),
    ),
    _put("nothing", b"", 422, "invalid_request"),
    _put("shorter", b"\xff\xd8\xff", 422, "invalid_request"),
    _put("longer", bytes(2000), 422, "invalid_request"),
    _put("no picture", bytes(1000), 415, "unsupported_media"),
    Row(
        "compressed",
        _PUT,
        415,
        "unsupported_media",
        pointers=("/Content-Encoding",),
        headers={"Content-Encoding": "gzip"},
        content=bytes(1000),
    ),
    Row("41 megabytes", _PUT, 413, "photo_too_large", ("/photo",), content=bytes(41_000_000)),
    Row("of no id", _PUT, 404, "not_found", path="/v1/uploads/mine", content=bytes(1000)),
    Row("by GET", _UPLOAD, 405, "method_not_allowed", method="GET"),
    _job("photo at a number", {"photo_url": 1}, 422, "invalid_recipe", "/photo_url"),
    _job(
        "photo at no web", {"photo_url": "file:///etc/passwd"}, 422, "invalid_recipe", "/photo_url"
    ),
    _job(
        "photo at a password",
        {"photo_url": "https://a:b@example.org/"},
        422,
        "invalid_recipe",
        "/photo_url",
    ),
    _job("upload of a number", {"upload_id": 1}, 422, "invalid_recipe", "/upload_id"),
    _job("upload of a word", {"upload_id": "mine"}, 422, "invalid_request", "/upload_id"),
    _job("upload with a NUL", {"upload_id": "\0"}, 422, "invalid_request", "/upload_id"),
    _job(
        "upload of nobody",
        {"upload_id": str(uuid.UUID(int=7))},
        422,
        "invalid_request",
        "/upload_id",
    ),
    _job("address and upload", {**_PHOTO, "upload_id": "x"}, 400, "malformed_request", ""),
    _job(
        "address and a wrong recipe",
        {**_PHOTO, "recipe": {"quality": 0}},
        422,
        "invalid_recipe",
        "/quality",
    ),
    Row(
        "photo and its address",
        _JOB,
        400,
        "malformed_request",
        pointers=("",),
        headers={"Content-Type": "multipart/form-data; boundary=cut"},
        content=fields(**_PHOTO),
        tells="exactly one",
    ),
)
