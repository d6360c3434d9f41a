"""Malformed derivations and corrections.

`{rated_id}` stands for a job whose stages have all run on a photo of 48 by 32 pixels with one face,
`{waiting_id}` for one that has not ended.
"""

import base64
import io
import uuid

from PIL import Image

from smart_filter_tests.malformed.accounts import unread
from smart_filter_tests.malformed.rows import (
    CONTRADICTION,
    END,
    FORM,
    INVALID,
    MALFORMED,
    MEDIA,
    RECIPE,
    Row,
    headed,
    part,
    photo,
    sent,
)

_DERIVE = "POST /v1/jobs/{job_id}/derive"
_CORRECT = "POST /v1/jobs/{job_id}/corrections"
_LIST = "GET /v1/jobs/{job_id}/corrections"
_DERIVED = "/v1/jobs/{rated_id}/derive"
_CORRECTED = "/v1/jobs/{rated_id}/corrections"
_SIZE = (48, 32)
_STROKE = {"points": [[1, 2], [40, 30.5]], "width": 12, "keep": True}
_FACE = {"number": 1, "smile": "huge"}
_MATTE = {"kind": "matte", "stage": "segmentation", "consent": False}
_LABEL = {"kind": "label", "stage": "smile", "consent": False}


def _mask(size: tuple[int, int] = _SIZE, mode: str = "L", format_: str = "PNG") -> str:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, format_)
    return base64.b64encode(buffer.getvalue()).decode()


def _derive(name: str, body: object, *pointers: str, answer: tuple[int, str] = INVALID) -> Row:
    return sent(_DERIVE, name, body, *pointers, answer=answer, path=_DERIVED)


def _recipe(name: str, recipe: object, *pointers: str) -> Row:
    return _derive(name, {"recipe": recipe}, *pointers, answer=RECIPE)


def _formed(name: str, answer: tuple[int, str], pointers: tuple[str, ...], *parts: bytes) -> Row:
    content = b"".join(parts) + END
    return Row(name, _DERIVE, *answer, pointers, "", _DERIVED, headers=FORM, content=content)


def _correct(name: str, body: object, *pointers: str, tells: str = "") -> Row:
    return sent(_CORRECT, name, body, *pointers, tells=tells, path=_CORRECTED)


def _drawn(name: str, pointer: str, *, tells: str = "", **forms: object) -> Row:
    return _correct(name, {**_MATTE, **forms}, pointer, tells=tells)


def _stroke(name: str, pointer: str, **changes: object) -> Row:
    return _drawn(name, f"/strokes/0{pointer}", strokes=[{**_STROKE, **changes}])


def _labelled(name: str, pointer: str, *faces: object, **label: object) -> Row:
    return _correct(name, {**_LABEL, "label": {"faces": faces, **label}}, f"/label{pointer}")


_FILE = photo(name="background_file")
_TWICE = part("correction_id", "mine")

DERIVING = (
    unread(_DERIVE, path=_DERIVED),
    Row(
        "form without a boundary",
        _DERIVE,
        *MALFORMED,
        pointers=("",),
        tells="part named 'background_file'",
        headers={"Content-Type": "multipart/form-data"},
        content=b"background=keep",
    ),
    _formed("form with a photo", RECIPE, ("/photo",), photo()),
    _formed("form with a document", RECIPE, ("/recipe",), part("recipe", "{}")),
    _formed("form at fault", RECIPE, ("/quality",), part("quality", "0"), _FILE),
    _formed("background twice", MALFORMED, ("/background_file",), _FILE, _FILE),
    _formed("absent background", RECIPE, ("/background_file",), part("background", "file")),
    _formed(
        "background of text",
        MEDIA,
        ("/background_file",),
        photo(b"Dear Sir,", name="background_file"),
    ),
    _formed("correction twice", INVALID, ("/correction_id",), _TWICE, _TWICE),
    _formed(
        "background and its file",
        CONTRADICTION,
        ("/background", "/background_file"),
        _FILE + part("background", "color:red"),
    ),
    _derive("unknown name", {"photo_base64": "/9j/"}, "/photo_base64"),
    _derive("recipe of a list", {"recipe": []}, "/recipe"),
    _recipe("background without file", {"background": "file"}, "/background_file"),
    _recipe("quality of an object", {"quality": {"of": 90}}, "/quality/of"),
    _recipe("two faults", {"quality": 0, "format": "gif"}, "/quality", "/format"),
    _derive(
        "jpg that shows through",
        {"recipe": {"format": "jpg", "background": "transparent"}},
        *("/background", "/format"),
        answer=CONTRADICTION,
    ),
    *(
        _derive(f"correction {ascii(value)[:20]}", {"correction_id": value}, "/correction_id")
        for value in (1, "mine", "\0", "c" * 101, str(uuid.UUID(int=7)))
    ),
    _derive("webhook of no web", {"webhook_url": "ftp://example.org/"}, "/webhook_url"),
    *headed(_DERIVE, "Idempotency-Key", "a b", content=b"{}"),
    unread(_CORRECT, path=_CORRECTED),
    _correct("nothing", {}, "/kind", "/stage", "/consent"),
    _drawn("neither mask nor strokes", "/kind", tells="mask or strokes"),
    _drawn("mask and strokes", "/kind", mask=_mask(), strokes=[_STROKE]),
    _drawn("matte with a label", "/kind", label={"faces": [_FACE]}),
    _drawn("matte of another stage", "/stage", stage="smile", mask=_mask()),
    _drawn("unknown name", "/tenant", tenant="local", mask=_mask()),
    _drawn("mask of no base64", "/mask", mask="@@@@", tells="base64"),
    _drawn("mask of a JPEG", "/mask", mask=_mask(format_="JPEG"), tells="PNG"),
    _drawn("mask cut off", "/mask", mask=base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()),
    _drawn("mask a line too low", "/mask", mask=_mask((48, 31)), tells="48×32"),
    *(
        _drawn(f"mask in {mode}", "/mask", mask=_mask(mode=mode), tells="grey")
        for mode in ("RGB", "LA", "P", "I;16")
    ),
    _drawn("201 strokes", "/strokes", strokes=[_STROKE] * 201),
    _drawn("too many points", "/strokes", strokes=[{**_STROKE, "points": [[1, 1]] * 2000}] * 11),
    _stroke("stroke to the right of the photo", "/points/1", points=[[1, 2], [48.5, 2]]),
    _stroke("stroke below the photo", "/points/0", points=[[1, 33]]),
    _stroke("2001 points", "/points", points=[[1, 1]] * 2001),
    _stroke("point of words", "/points/0/0", points=[["left", 1]]),
    _stroke("width of a billion", "/width", width=1e9),
    _correct(
        "label of another stage",
        {**_LABEL, "stage": "segmentation", "label": {"faces": [_FACE]}},
        "/stage",
    ),
    _correct("label of nothing", _LABEL, "/kind"),
    _labelled("a face twice", "/faces/1/number", _FACE, _FACE),
    _labelled("absent face", "/faces/0/number", {**_FACE, "number": 2}),
    _labelled("unknown smile", "/faces/0/smile", {**_FACE, "smile": "grin"}),
    *(
        sent(operation, name, body, path=f"/v1/jobs/{{{job}}}/{move}", answer=answer)
        for operation, move, body in ((_DERIVE, "derive", {}), (_CORRECT, "corrections", _MATTE))
        for name, job, answer in (
            ("unfinished", "waiting_id", (409, "job_not_finished")),
            ("deleted", "deleted_id", (410, "job_deleted")),
        )
    ),
    Row("deleted", _LIST, 410, "job_deleted", path="/v1/jobs/{deleted_id}/corrections"),
)
