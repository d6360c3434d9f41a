"""Malformed bodies of POST /v1/jobs: forms, recipes sent in forms, and JSON.

The rules of forms and of each field of a recipe are those of `tests/unit/test_api_multipart.py`
and `tests/unit/test_recipe*.py`; here are the names, and a value of each kind of field.
"""

import base64
import uuid
from collections.abc import Sequence

from smart_filter_api.multipart import MAX_OTHER_BYTES
from smart_filter_tests.malformed.rows import (
    CONTRADICTION,
    END,
    FORM,
    INVALID,
    LARGE,
    MALFORMED,
    MEDIA,
    RECIPE,
    Row,
    compressed,
    fields,
    part,
    photo,
    raw,
    sent,
    text,
)
from smart_filter_tests.serving import a_photo

_JOBS = "POST /v1/jobs"
_WHOLE = photo() + END


def _row(
    name: str, body: bytes, pointer: str = "", answer: tuple[int, str] = MALFORMED, tells: str = ""
) -> Row:
    return raw(_JOBS, name, body, pointer, answer, tells=tells, headers=FORM)


def _typed(name: str, content_type: str, tells: str) -> Row:
    """Return a row whose body is a form, called something else."""
    return raw(_JOBS, name, _WHOLE, tells=tells, headers={"Content-Type": content_type})


FORMS = (
    _row("empty", b""),
    _row("no photo", part("quality", "90") + END, "/photo", tells="part named 'photo'"),
    _row(
        "photo and its address",
        photo() + part("photo_url", "https://a.example/") + END,
        tells="exactly one",
    ),
    _row("name not UTF-8", photo() + part(b"\xff\xfe", "x") + END, tells="UTF-8"),
    _row("cut in the photo", photo()[:200]),
    _row(
        "value not UTF-8",
        photo() + part("metadata.a", b"\xc3\x28") + END,
        "/metadata/a",
        tells="UTF-8",
    ),
    _row(
        "large file beside it",
        photo() + part("extra", bytes(MAX_OTHER_BYTES + 1), filename="extra.bin") + END,
        "",
        LARGE,
        tells="around its pictures",
    ),
    _typed("no boundary", "multipart/form-data", tells="multipart/form-data"),
    _typed("long boundary", f"multipart/form-data; boundary={'x' * 500}", ""),
    _typed("bare photo", "image/jpeg", tells="part named 'photo'"),
    _row("photo of nothing", photo(b"") + END, "/photo", MEDIA, tells="is empty"),
    _row("photo as a field", part("photo", "a.jpg") + END, "/photo", MEDIA),
    _row(
        "photo of GIF",
        photo(a_photo("GIF")) + END,
        "/photo",
        MEDIA,
        tells="the photo is a GIF; accepted are JPEG, PNG, WebP, AVIF and HEIC",
    ),
    _row(
        "background of GIF",
        photo() + photo(a_photo("GIF"), name="background_file") + END,
        "/background_file",
        MEDIA,
    ),
    compressed(_JOBS, FORM, _WHOLE),
)


def _named(name: str, field: str, pointer: str) -> Row:
    """Return a row whose field's name is odd."""
    body = photo() + part(field, "1") + END
    return _row(name, body, pointer, RECIPE)


def _faulty(
    name: str,
    answer: tuple[int, str] = RECIPE,
    pointers: Sequence[str] | None = None,
    **values: str | Sequence[str],
) -> Row:
    """Return a row whose every field is at fault, unless pointers say otherwise."""
    named = [f"/{field.replace('__', '/')}" for field in values]
    return Row(
        name,
        _JOBS,
        *answer,
        pointers=named if pointers is None else pointers,
        headers=FORM,
        content=fields(**values),
    )


RECIPES = (
    _named("Cyrillic letter in a name", "qu\u0430lity", "/qu\u0430lity"),
    _named("name with a slash", "a/b", "/a~1b"),
    _faulty("quality in full-width digits", quality="\uff19\uff10"),
    _faulty("quality twice", quality=["80", "90"]),
    _faulty("preset of a path", background="preset:../../etc/passwd"),
    _faulty("preset of another tenant", background="preset:tenant/theirs"),
    _faulty("file that did not come", background="file", pointers=["/background_file"]),
    _faulty("background at a password", background="url:https://user:secret@example.org/a.jpg"),
    _faulty("webhook at a file", webhook_url="file:///etc/passwd"),
    _faulty("webhook twice", webhook_url=["https://example.org/", "https://example.org/"]),
    _faulty("caption without text", filters="caption", pointers=["/filters/caption/text"]),
    _faulty("run before year 1", run_at="0001-01-01T00:00:00+23:59"),
    _faulty("model of a path", face__model="../../weights"),
    _faulty("several faults", quality="0", seed="x", format="gif", persons="0"),
    _faulty(
        "deadline before it may run",
        CONTRADICTION,
        deadline_ms="1000",
        run_at="2999-01-01T00:00:00Z",
    ),
    _faulty("transparent JPEG", CONTRADICTION, background="transparent", format="jpg"),
    _faulty(
        "numbers for a model that tells nobody apart",
        CONTRADICTION,
        ["/persons", "/segmentation/model"],
        persons="1",
    ),
    *(
        Row(
            f"background {background} and its file",
            _JOBS,
            *CONTRADICTION,
            pointers=["/background", "/background_file"],
            headers=FORM,
            content=photo() + photo(name="background_file") + part("background", background) + END,
        )
        for background in ("auto", "color:red")
    ),
)


_PHOTO = base64.b64encode(a_photo()).decode()
_ADDRESS = "https://example.org/a.jpg"


def _raw(
    name: str, body: bytes, pointer: str = "", answer: tuple[int, str] = MALFORMED, tells: str = ""
) -> Row:
    return raw(_JOBS, name, body, pointer, answer, tells=tells)


def _document(name: str, recipe: str, tells: str = "") -> Row:
    """Return a row whose recipe cannot be written by a JSON library."""
    body = f'{{"photo_base64": "{_PHOTO}", "recipe": {recipe}}}'
    return _raw(name, body.encode(), tells=tells)


def _base64(name: str, photo: object, answer: tuple[int, str] = MALFORMED) -> Row:
    return sent(_JOBS, name, {"photo_base64": photo}, "/photo_base64", answer=answer)


def _nested(name: str, recipe: object, *pointers: str) -> Row:
    body = {"photo_base64": _PHOTO, "recipe": recipe}
    return sent(_JOBS, name, body, *pointers, answer=RECIPE)


def _bound(name: str, recipe: object, *pointers: str) -> Row:
    """Return a row whose recipe exceeds what a form may hold."""
    body = {"photo_base64": _PHOTO, "recipe": recipe}
    return sent(_JOBS, name, body, *pointers, answer=MALFORMED)


def _elsewhere(name: str, answer: tuple[int, str], pointer: str, **body: object) -> Row:
    return sent(_JOBS, name, body, pointer, answer=answer)


JSON_BODIES = (
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
    _raw("large photo", b'{"photo_base64": "%s"}' % (b"A" * 56_000_000), "/photo", answer=LARGE),
    _document("half a character", r'{"background": "\ud800"}'),
    _document("NaN", '{"quality": NaN}', tells="NaN"),
    _document("5000 digits", f'{{"seed": {"9" * 5000}}}'),
    _document("recipe 100,000 deep", '{"a":' * 100_000 + "1" + "}" * 100_000),
    _document("recipe that names twice", '{"quality": 80, "quality": 90}', tells="more than once"),
    _raw("no photo in JSON", b'{"recipe": {"photo_base64": "AAAA"}}', tells="photo_base64"),
    _base64("photo of a number", 1),
    _base64("photo that is no base64", "@@@@"),
    _base64("photo as a bare data URL", "data:,x"),
    _base64("photo of text", base64.b64encode(b"Dear Sir,").decode(), MEDIA),
    sent(
        _JOBS,
        "unknown names",
        {"photo_base64": _PHOTO, "quality": 90, "recipes": {}},
        *("/quality", "/recipes"),
        answer=RECIPE,
    ),
    _elsewhere("webhook of no web", RECIPE, "/webhook_url", photo_base64=_PHOTO, webhook_url="x"),
    _elsewhere("photo at a number", RECIPE, "/photo_url", photo_url=1),
    _elsewhere("photo at no web", RECIPE, "/photo_url", photo_url="file:///etc/passwd"),
    _elsewhere("photo at a password", RECIPE, "/photo_url", photo_url="https://user:secret@a.b/"),
    _elsewhere("upload of a number", RECIPE, "/upload_id", upload_id=1),
    _elsewhere("upload with a NUL", INVALID, "/upload_id", upload_id="\0"),
    _elsewhere("unknown upload", INVALID, "/upload_id", upload_id=str(uuid.UUID(int=7))),
    _elsewhere("address and upload", MALFORMED, "", photo_url=_ADDRESS, upload_id="x"),
    _elsewhere("address and faults", RECIPE, "/quality", photo_url=_ADDRESS, recipe={"quality": 0}),
    _nested("recipe of a list", [], "/recipe"),
    _nested("quality of an object", {"quality": {"of": 90}}, "/quality/of"),
    _nested("quality of true", {"quality": True}, "/quality"),
    _nested("quality of a fraction", {"quality": 80.5}, "/quality"),
    _nested("list of lists", {"outputs": [["image"]]}, "/outputs"),
    _nested("list of odd things", {"filters": ["hat", 7, "hat"]}, "/filters"),
    _nested("two spellings", {"metadata": {"a": "1"}, "metadata.a": "2"}, "/metadata/a"),
    _nested("unknown parameter", {"segmentation": {"params": {"x": 1}}}, "/segmentation/params/x"),
    _bound("long margin", {"margin": "1px " * 2000}, "/margin"),
    _bound("200 names", {f"a{number}": 1 for number in range(200)}, "/recipe"),
    _bound("200 outputs", {"outputs": ["image"] * 200}, "/outputs"),
    _bound("long filters", {"filters": ["a," * 3000]}, "/filters"),
    _bound("long name", {"a" * 300: 1}, "/recipe"),
)
