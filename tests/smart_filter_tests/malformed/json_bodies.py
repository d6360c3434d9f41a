"""Malformed JSON bodies of POST /v1/jobs."""

import base64
import gzip
from collections.abc import Sequence

from smart_filter_tests.malformed.rows import JSON, Row, text
from smart_filter_tests.serving import a_photo

_BAD = (400, "malformed_request")
_WRONG = (422, "invalid_recipe")
_PHOTO = base64.b64encode(a_photo()).decode()


def _row(
    name: str,
    body: bytes,
    told: tuple[int, str] = _BAD,
    pointers: Sequence[str] = ("",),
    tells: str = "",
) -> Row:
    return Row(
        name, "POST /v1/jobs", *told, pointers=pointers, tells=tells, headers=JSON, content=body
    )


def _recipe(name: str, recipe: object, pointers: Sequence[str]) -> Row:
    return _row(name, text({"photo_base64": _PHOTO, "recipe": recipe}), _WRONG, pointers)


def _raw(recipe: str) -> bytes:
    return f'{{"photo_base64": "{_PHOTO}", "recipe": {recipe}}}'.encode()


_AT_PHOTO = ("/photo_base64",)

JSON_BODIES = (
    _row("JSON of nothing", b"", tells="not JSON"),
    _row("JSON of text", b"photo please"),
    _row("JSON of a list", b"[]", tells="JSON object"),
    _row("JSON of null", b"null"),
    _row("JSON of a number", b"1"),
    _row("JSON cut off", text({"photo_base64": _PHOTO})[:-1]),
    _row("JSON with a comma too many", b'{"photo_base64": "",}'),
    _row("JSON in single quotes", b"{'photo_base64': ''}"),
    _row("JSON with a comment", b'{"photo_base64": "" /* none */}'),
    _row("JSON not UTF-8", b'{"photo_base64": "", "recipe": {"background": "\xff"}}'),
    _row("JSON in UTF-16", text({"photo_base64": _PHOTO}).decode().encode("utf-16")),
    _row("JSON with half a character", _raw(r'{"background": "\ud800"}')),
    _row("JSON with NaN", _raw('{"quality": NaN}'), tells="NaN"),
    _row("JSON with infinity", _raw('{"quality": -Infinity}')),
    _row("JSON with 5000 digits", _raw(f'{{"seed": {"9" * 5000}}}')),
    _row("JSON 100,000 deep", b"[" * 100_000),
    _row("recipe 100,000 deep", _raw('{"a":' * 100_000 + "1" + "}" * 100_000)),
    _row("photo named twice", b'{"photo_base64": "", "photo_base64": ""}', tells="more than once"),
    _row("recipe that names twice", _raw('{"quality": 80, "quality": 90}'), tells="more than once"),
    _row("no photo in JSON", b"{}", tells="photo_base64"),
    _row("photo of null", b'{"photo_base64": null}', tells="photo_base64"),
    _row("photo of a number", b'{"photo_base64": 1}', pointers=_AT_PHOTO),
    _row("photo of a list", b'{"photo_base64": ["x"]}', pointers=_AT_PHOTO),
    _row("photo that is no base64", b'{"photo_base64": "@@@@"}', pointers=_AT_PHOTO),
    _row("photo in base64 cut off", text({"photo_base64": _PHOTO[:-3]}), pointers=_AT_PHOTO),
    _row("photo in base64url", b'{"photo_base64": "_-_-"}', pointers=_AT_PHOTO),
    _row("photo as a bare data URL", b'{"photo_base64": "data:,x"}', pointers=_AT_PHOTO),
    _row(
        "photo in base64 of text",
        text({"photo_base64": base64.b64encode(b"Dear Sir,").decode()}),
        (415, "unsupported_media"),
        _AT_PHOTO,
        "accepted are",
    ),
    _row("photo of no letters", b'{"photo_base64": ""}', (415, "unsupported_media"), _AT_PHOTO),
    _row(
        "unknown name in JSON",
        text({"photo_base64": _PHOTO, "quality": 90, "recipes": {}}),
        _WRONG,
        ("/quality", "/recipes"),
    ),
    _row(
        "webhook of a list",
        text({"photo_base64": _PHOTO, "webhook_url": []}),
        _WRONG,
        ("/webhook_url",),
    ),
    _recipe("recipe of a list", [], ["/recipe"]),
    _recipe("recipe of a text", "quality=90", ["/recipe"]),
    _recipe("quality of an object", {"quality": {"of": 90}}, ["/quality/of"]),
    _recipe("quality of two", {"quality": [80, 90]}, ["/quality"]),
    _recipe("quality of true", {"quality": True}, ["/quality"]),
    _recipe("quality beyond all numbers", {"quality": 10**40}, ["/quality"]),
    _recipe("list of objects", {"outputs": [{"image": True}]}, ["/outputs"]),
    _recipe(
        "name in two spellings",
        {"face.model": "auto", "face": {"model": "auto"}},
        ["/face/model"],
    ),
    _recipe("metadata of a list", {"metadata": {"a": [1, 2]}}, ["/metadata/a"]),
    Row(
        "compressed JSON",
        "POST /v1/jobs",
        415,
        "unsupported_media",
        pointers=("/Content-Encoding",),
        headers={**JSON, "Content-Encoding": "gzip"},
        content=gzip.compress(text({"photo_base64": _PHOTO})),
    ),
)
