"""Malformed requests of remove.bg clients, which are answered in remove.bg's format.

The rules of each field are tested by `tests/unit/api/removebg/test_fields.py`.
"""

from integration.malformed.rows import END, FORM, JSON, Row, part, photo, text
from smart_filter_tests.serving import a_photo

_REMOVE = "POST /v1.0/removebg"
_URLENCODED = "application/x-www-form-urlencoded"


def _form(name: str, code: str, *parts: bytes) -> Row:
    content = b"".join(parts) + END
    return Row(name, _REMOVE, 400, code, headers=FORM, content=content)


def _image(content: bytes | None = None) -> bytes:
    return photo(content, name="image_file")


def _json(name: str, code: str, body: object) -> Row:
    return Row(name, _REMOVE, 400, code, headers=JSON, content=text(body))


def _raw(name: str, content: bytes, content_type: str = JSON["Content-Type"]) -> Row:
    headers = {"Content-Type": content_type}
    return Row(name, _REMOVE, 400, "malformed_request", headers=headers, content=content)


def _key(operation: str, key: str) -> Row:
    # The header of a proxy, in place of the key that other rows send.
    headers = {"X-Api-Key": key, "Authorization": "Basic dTpw"}
    return Row(f"key {key[:20]}", operation, 403, "auth_failed", headers=headers)


REMOVING = (
    _form("nothing", "missing_source", part("size", "auto")),
    _form("an empty image", "missing_source", _image(b"")),
    _form("two images", "multiple_sources", _image(), part("image_url", "https://a.example/")),
    _form("image of text", "invalid_file_type", _image(b"Dear Sir,")),
    _form("image of 41 megabytes", "file_too_large", _image(a_photo() + bytes(41_000_000))),
    _form("image without a size", "invalid_dimensions", _image(a_photo()[:10])),
    _form(
        "image of too many pixels",
        "resolution_too_high",
        _image(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0"),
    ),
    _form("image named twice", "malformed_request", _image(), _image()),
    _form("background of text", "invalid_file_type", _image(), photo(b"x", name="bg_image_file")),
    _form("roi beyond the photo", "roi_exceeds_bounds", _image(), part("roi", "0px 0px 99px 9px")),
    _json("address with a password", "invalid_image_url", {"image_url": "https://a:b@a.example/"}),
    _json("base64 of nothing but signs", "failed_to_read_image", {"image_file_b64": "@@@@"}),
    _json("image of a list", "malformed_request", {"image_url": ["a"]}),
    _raw("JSON cut off", b'{"image_url": "htt'),
    _raw("form cut off", b"--cut\r\n", FORM["Content-Type"]),
    _raw("urlencoded twice", b"image_url=a&image_url=b", _URLENCODED),
    _raw("urlencoded without UTF-8", b"image_url=%ff", _URLENCODED),
    _raw("a bare photo", a_photo(), "image/jpeg"),
    _raw("no type", b"{}", ""),
    _key("GET /v1.0/account", "\x7f' OR 1=1"),
    _key(_REMOVE, "x" * 5000),
)
