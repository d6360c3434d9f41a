"""Malformed JSON bodies of POST /v1/jobs."""

import base64
import uuid

from smart_filter_tests.malformed.rows import (
    INVALID,
    JSON,
    LARGE,
    MALFORMED,
    MEDIA,
    RECIPE,
    Row,
    sent,
    text,
)
from smart_filter_tests.serving import a_photo

_JOBS = "POST /v1/jobs"
_PHOTO = base64.b64encode(a_photo()).decode()
_ADDRESS = "https://example.org/a.jpg"


def _raw(
    name: str,
    body: bytes,
    pointer: str = "",
    answer: tuple[int, str] = MALFORMED,
    tells: str = "",
) -> Row:
    return Row(name, _JOBS, *answer, pointers=(pointer,), tells=tells, headers=JSON, content=body)


def _document(name: str, recipe: str, tells: str = "") -> Row:
    """Return a row whose recipe cannot be written by a JSON library."""
    body = f'{{"photo_base64": "{_PHOTO}", "recipe": {recipe}}}'
    return _raw(name, body.encode(), tells=tells)


def _photo(name: str, photo: object, answer: tuple[int, str] = MALFORMED) -> Row:
    return sent(_JOBS, name, {"photo_base64": photo}, "/photo_base64", answer=answer)


def _recipe(name: str, recipe: object, *pointers: str) -> Row:
    body = {"photo_base64": _PHOTO, "recipe": recipe}
    return sent(_JOBS, name, body, *pointers, answer=RECIPE)


def _bound(name: str, recipe: object, *pointers: str) -> Row:
    """Return a row whose recipe exceeds what a form may hold."""
    body = {"photo_base64": _PHOTO, "recipe": recipe}
    return sent(_JOBS, name, body, *pointers, answer=MALFORMED)


def _elsewhere(name: str, answer: tuple[int, str], pointer: str, **body: object) -> Row:
    return sent(_JOBS, name, body, pointer, answer=answer)


JSON_BODIES = (
    _raw("JSON of nothing", b"", tells="not JSON"),
    _raw("JSON of a list", b"[]", tells="JSON object"),
    _raw("JSON cut off", text({"photo_base64": _PHOTO})[:-1]),
    _raw("JSON not UTF-8", b'{"photo_base64": "", "recipe": {"background": "\xff"}}'),
    _raw("JSON 100,000 deep", b"[" * 100_000),
    _raw("photo named twice", b'{"photo_base64": "", "photo_base64": ""}', tells="more than once"),
    _raw(
        "large recipe",
        b'{"photo_base64": "%s", "recipe": {"a": [%s{}]}}' % (_PHOTO.encode(), b"{}," * 500_000),
        answer=LARGE,
    ),
    _raw(
        "large photo",
        b'{"photo_base64": "%s"}' % (b"A" * 56_000_000),
        "/photo",
        answer=LARGE,
    ),
    _document("half a character", r'{"background": "\ud800"}'),
    _document("half a character in a name", r'{"\ud800": "a"}'),
    _document("NaN", '{"quality": NaN}', tells="NaN"),
    _document("5000 digits", f'{{"seed": {"9" * 5000}}}'),
    _document("recipe 100,000 deep", '{"a":' * 100_000 + "1" + "}" * 100_000),
    _document("recipe that names twice", '{"quality": 80, "quality": 90}', tells="more than once"),
    _raw("no photo in JSON", b'{"recipe": {"photo_base64": "AAAA"}}', tells="photo_base64"),
    _raw("photo of null", b'{"photo_base64": null}', tells="photo_base64"),
    _photo("photo of a number", 1),
    _photo("photo that is no base64", "@@@@"),
    _photo("photo in base64 cut off", _PHOTO[:-3]),
    _photo("photo in base64url", "_-_-"),
    _photo("photo as a bare data URL", "data:,x"),
    _photo("photo of text", base64.b64encode(b"Dear Sir,").decode(), MEDIA),
    _photo("photo of no letters", "", MEDIA),
    sent(
        _JOBS,
        "unknown names",
        {"photo_base64": _PHOTO, "quality": 90, "recipes": {}},
        *("/quality", "/recipes"),
        answer=RECIPE,
    ),
    _elsewhere("webhook of a list", RECIPE, "/webhook_url", photo_base64=_PHOTO, webhook_url=[]),
    _elsewhere("webhook of no web", RECIPE, "/webhook_url", photo_base64=_PHOTO, webhook_url="x"),
    _elsewhere("photo at a number", RECIPE, "/photo_url", photo_url=1),
    _elsewhere("photo at no web", RECIPE, "/photo_url", photo_url="file:///etc/passwd"),
    _elsewhere("photo at a password", RECIPE, "/photo_url", photo_url="https://user:secret@a.b/"),
    _elsewhere("upload of a number", RECIPE, "/upload_id", upload_id=1),
    _elsewhere("upload with a NUL", INVALID, "/upload_id", upload_id="\0"),
    _elsewhere("unknown upload", INVALID, "/upload_id", upload_id=str(uuid.UUID(int=7))),
    _elsewhere("address and upload", MALFORMED, "", photo_url=_ADDRESS, upload_id="x"),
    _elsewhere("address and faults", RECIPE, "/quality", photo_url=_ADDRESS, recipe={"quality": 0}),
    _recipe("recipe of a list", [], "/recipe"),
    _recipe("quality of an object", {"quality": {"of": 90}}, "/quality/of"),
    _recipe("quality of two", {"quality": [80, 90]}, "/quality"),
    _recipe("quality of true", {"quality": True}, "/quality"),
    _recipe("quality of a fraction", {"quality": 80.5}, "/quality"),
    _recipe("list of lists", {"outputs": [["image"]]}, "/outputs"),
    _recipe("list of odd things", {"filters": ["hat", 7, "hat"]}, "/filters"),
    _recipe("list of an object", {"metadata": {"a": {"b": {}}}, "seed": [{}]}, "/seed"),
    _recipe("two spellings", {"metadata": {"a": "1"}, "metadata.a": "2"}, "/metadata/a"),
    _recipe("unknown parameter", {"segmentation": {"params": {"x": 1}}}, "/segmentation/params/x"),
    _bound("long margin", {"margin": "1px " * 2000}, "/margin"),
    _bound("200 names", {f"a{number}": 1 for number in range(200)}, "/recipe"),
    _bound("200 outputs", {"outputs": ["image"] * 200}, "/outputs"),
    _bound("long filters", {"filters": ["a," * 3000]}, "/filters"),
    _bound("long name", {"a" * 300: 1}, "/recipe"),
)
