"""Malformed requests of clients of remove.bg, which are told so in remove.bg's words."""

import base64

from smart_filter_tests.malformed.rows import END, FORM, JSON, Row, part, photo, text
from smart_filter_tests.serving import a_photo

_REMOVE, _ACCOUNT = "POST /v1.0/removebg", "GET /v1.0/account"
_BODY = (400, "malformed_request")
_PHOTO = base64.b64encode(a_photo()).decode()
_URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}


def _form(name: str, code: str, *parts: bytes) -> Row:
    content = b"".join(parts) + END
    return Row(name, _REMOVE, 400, code, headers=FORM, content=content)


def _image(content: bytes | None = None) -> bytes:
    return photo(content, name="image_file")


def _field(field: str, value: str, code: str = "") -> Row:
    """Return a row with a field at fault beside an image that is good."""
    return _form(
        f"{field} {value[:20]!r}", code or f"invalid_{field}", _image(), part(field, value)
    )


def _json(name: str, code: str, body: object) -> Row:
    return Row(name, _REMOVE, 400, code, headers=JSON, content=text(body))


def _raw(name: str, content: bytes, **headers: str) -> Row:
    told = {key.replace("_", "-"): value for key, value in headers.items()}
    return Row(name, _REMOVE, *_BODY, headers=told or JSON, content=content)


REMOVING = (
    _form("nothing", "missing_source", part("size", "auto")),
    _form("an empty image", "missing_source", _image(b"")),
    _form("two images", "multiple_sources", _image(), part("image_url", "https://a.example/")),
    _form("image and base64", "multiple_sources", _image(), part("image_file_b64", _PHOTO)),
    _form("image of text", "invalid_file_type", _image(b"Dear Sir,")),
    _form("GIF", "invalid_file_type", _image(b"GIF89a" + bytes(40))),
    _form("image without a size", "invalid_dimensions", _image(a_photo()[:10])),
    _form(
        "image of too many pixels",
        "resolution_too_high",
        _image(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0"),
    ),
    _form("image named twice", "malformed_request", _image(), _image()),
    _form("size sent twice", "malformed_request", _image(), *[part("size", "hd")] * 2),
    _form(
        "two backgrounds",
        "multiple_bg_sources",
        _image(),
        part("bg_color", "red"),
        part("bg_image_url", "https://a.example/"),
    ),
    _form("background of text", "invalid_file_type", _image(), photo(b"x", name="bg_image_file")),
    _field("size", "huge"),
    _field("size", "\uff48\uff44"),
    _field("type", "spaceship"),
    _field("type_level", "3"),
    _field("format", "gif"),
    _field("channels", "rgb"),
    _field("crop", "perhaps"),
    _field("crop_margin", "1px 2px 3px"),
    _field("crop_margin", "501px"),
    _field("scale", "5%"),
    _field("scale", "101%"),
    _field("position", "in the middle"),
    _field("semitransparency", "half"),
    _field("add_shadow", "2"),
    _field("shadow_type", "long"),
    _field("shadow_opacity", "101"),
    _field("shadow_opacity", "-1"),
    _field("bg_color", "#12345"),
    _field("bg_color", "url(javascript:1)"),
    _field("bg_color", "red\0"),
    _field("bg_image_url", "file:///etc/passwd"),
    _field("roi", "10%"),
    _field("roi", "a b c d"),
    _field("roi", "0px 0px 9999px 9px", "roi_exceeds_bounds"),
    _field("roi", "9px 0px 9px 9px", "roi_region_empty"),
    _json("address of no web", "invalid_image_url", {"image_url": "ftp://a.example/"}),
    _json("address with a password", "invalid_image_url", {"image_url": "https://a:b@a.example/"}),
    _json("base64 of nothing but signs", "failed_to_read_image", {"image_file_b64": "@@@@"}),
    _json("image of a list", "malformed_request", {"image_url": ["a"]}),
    _json("size of an object", "malformed_request", {"image_file_b64": _PHOTO, "size": {}}),
    _raw("JSON cut off", b'{"image_url": "htt'),
    _raw("JSON of a list", b"[]"),
    _raw("JSON not UTF-8", b'{"image_url": "\xff"}'),
    _raw("JSON that names twice", b'{"size": "hd", "size": "4k"}'),
    _raw("form cut off", b"--cut\r\n", **FORM),
    _raw("urlencoded twice", b"image_url=a&image_url=b", **_URLENCODED),
    _raw("urlencoded not UTF-8", b"image_url=%ff", **_URLENCODED),
    _raw("urlencoded of 200", b"&".join(b"a%d=1" % n for n in range(200)), **_URLENCODED),
    _raw("a bare photo", a_photo(), Content_Type="image/jpeg"),
    _raw("no type", b"{}", Content_Type=""),
    Row("key of nobody", _ACCOUNT, 403, "auth_failed", headers={"X-Api-Key": "sf_live_none"}),
    Row("key of signs", _ACCOUNT, 403, "auth_failed", headers={"X-Api-Key": "\x7f' OR 1=1"}),
    Row("key of nobody", _REMOVE, 403, "auth_failed", headers={"X-Api-Key": "x" * 5000}),
)
