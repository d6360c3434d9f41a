"""Malformed derivations and corrections.

`{rated_id}` stands for a job whose stages have all run on a photo of 48 by 32 pixels with one face,
`{waiting_id}` for one that has not ended.
"""

import base64
import io
import uuid
from collections.abc import Sequence

from PIL import Image

from smart_filter_tests.malformed.accounts import broken
from smart_filter_tests.malformed.rows import END, FORM, JSON, Row, part, photo, text

_DERIVE = "POST /v1/jobs/{job_id}/derive"
_CORRECT = "POST /v1/jobs/{job_id}/corrections"
_LIST = "GET /v1/jobs/{job_id}/corrections"
_BAD, _WRONG = (400, "malformed_request"), (422, "invalid_request")
_RECIPE = (422, "invalid_recipe")
_SIZE = (48, 32)
_STROKE = {"points": [[1, 2], [40, 30.5]], "width": 12, "keep": True}
_FACE = {"number": 1, "smile": "huge"}


def _mask(size: tuple[int, int] = _SIZE, mode: str = "L", format_: str = "PNG") -> str:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, format_)
    return base64.b64encode(buffer.getvalue()).decode()


def _derive(name: str, body: object, told: tuple[int, str], *pointers: str) -> Row:
    path = "/v1/jobs/{rated_id}/derive"
    return Row(name, _DERIVE, *told, pointers=pointers, path=path, headers=JSON, content=text(body))


def _changed(name: str, recipe: object, *pointers: str) -> Row:
    return _derive(name, {"recipe": recipe}, _RECIPE, *pointers)


def _correct(
    name: str, body: object, *pointers: str, told: tuple[int, str] = _WRONG, tells: str = ""
) -> Row:
    return Row(
        name,
        _CORRECT,
        *told,
        pointers=pointers,
        tells=tells,
        path="/v1/jobs/{rated_id}/corrections",
        headers=JSON,
        content=text(body),
    )


def _drawn(name: str, pointer: str, *, tells: str = "", **forms: object) -> Row:
    body = {"kind": "matte", "stage": "segmentation", "consent": False, **forms}
    return _correct(name, body, pointer, tells=tells)


def _stroke(name: str, pointer: str, **changes: object) -> Row:
    return _drawn(name, f"/strokes/0{pointer}", strokes=[{**_STROKE, **changes}])


def _face(name: str, pointer: str, **changes: object) -> Row:
    return _labelled(name, f"/label/faces/0{pointer}", faces=[{**_FACE, **changes}])


def _labelled(name: str, pointer: str, **label: object) -> Row:
    body = {"kind": "label", "stage": "smile", "consent": False, "label": label}
    return _correct(name, body, pointer)


def _of_others(operation: str, content: bytes | None) -> Sequence[Row]:
    """Return rows about jobs of which there is nothing to be had."""
    method, path = operation.split()
    headers = {} if content is None else JSON

    def row(name: str, told: tuple[int, str], job_id: str) -> Row:
        where = path.format(job_id=job_id)
        return Row(f"of {name}", operation, *told, path=where, headers=headers, content=content)

    others = (
        row("a word", (404, "not_found"), "mine"),
        row("a NUL", (404, "not_found"), "%00"),
        row("nobody", (404, "not_found"), str(uuid.UUID(int=7))),
        row("what was deleted", (410, "job_deleted"), "{deleted_id}"),
    )
    if method == "GET":
        return others
    return (*others, row("what has not ended", (409, "job_not_finished"), "{waiting_id}"))


def _formed(name: str, told: tuple[int, str], pointer: str, *parts: bytes) -> Row:
    path = "/v1/jobs/{rated_id}/derive"
    body = b"".join(parts) + END
    return Row(name, _DERIVE, *told, pointers=(pointer,), path=path, headers=FORM, content=body)


_FILE = photo(name="background_file")
_TWICE = part("correction_id", "mine")

DERIVING = (
    # All but the form that is none: a form may send a background.
    *(row for row in broken(_DERIVE) if row.name != "a form"),
    Row(
        "form without a boundary",
        _DERIVE,
        *_BAD,
        pointers=("",),
        tells="part named 'background_file'",
        headers={"Content-Type": "multipart/form-data"},
        content=b"background=keep",
    ),
    _formed("form with a photo", _RECIPE, "/photo", photo()),
    _formed("form with a document", _RECIPE, "/recipe", part("recipe", "{}")),
    _formed("form at fault", _RECIPE, "/quality", part("quality", "0"), _FILE),
    _formed("background twice", _BAD, "/background_file", _FILE, _FILE),
    _formed("background by name alone", _RECIPE, "/background_file", part("background", "file")),
    _formed(
        "background of text",
        (415, "unsupported_media"),
        "/background_file",
        photo(b"Dear Sir,", name="background_file"),
    ),
    _formed("correction twice", _WRONG, "/correction_id", _TWICE, _TWICE),
    Row(
        "background beside its file",
        _DERIVE,
        *(422, "contradiction"),
        pointers=("/background", "/background_file"),
        path="/v1/jobs/{rated_id}/derive",
        headers=FORM,
        content=_FILE + part("background", "color:red") + END,
    ),
    *_of_others(_DERIVE, b"{}"),
    *_of_others(_CORRECT, text({"kind": "matte", "stage": "segmentation", "consent": False})),
    *_of_others(_LIST, None),
    _derive("unknown name", {"photo_base64": "/9j/"}, _WRONG, "/photo_base64"),
    _derive("recipe of a list", {"recipe": []}, _WRONG, "/recipe"),
    _derive("recipe of a text", {"recipe": "keep"}, _WRONG, "/recipe"),
    _changed("unknown name of a recipe", {"colour": "red"}, "/colour"),
    _changed("name with a NUL", {"quality\0": 1}, "/quality\0"),
    _changed("quality of 0", {"quality": 0}, "/quality"),
    _changed("quality of an object", {"quality": {"of": 90}}, "/quality/of"),
    _changed("background of nothing", {"background": ""}, "/background"),
    _changed("two names at fault", {"quality": 0, "format": "gif"}, "/quality", "/format"),
    _changed("metadata of a number", {"metadata": {"a": [1, 2]}}, "/metadata/a"),
    _derive(
        "jpg that shows through",
        {"recipe": {"format": "jpg", "background": "transparent"}},
        (422, "contradiction"),
        *("/background", "/format"),
    ),
    _derive("correction of a number", {"correction_id": 1}, _WRONG, "/correction_id"),
    _derive("correction of a word", {"correction_id": "mine"}, _WRONG, "/correction_id"),
    _derive("correction with a NUL", {"correction_id": "\0"}, _WRONG, "/correction_id"),
    _derive("correction of 101", {"correction_id": "c" * 101}, _WRONG, "/correction_id"),
    _derive(
        "correction of nobody", {"correction_id": str(uuid.UUID(int=7))}, _WRONG, "/correction_id"
    ),
    _derive("webhook of no web", {"webhook_url": "ftp://example.org/"}, _WRONG, "/webhook_url"),
    _derive("webhook of a list", {"webhook_url": []}, _WRONG, "/webhook_url"),
    Row(
        "key of two words",
        _DERIVE,
        *_BAD,
        pointers=("/Idempotency-Key",),
        headers={**JSON, "Idempotency-Key": "a b"},
        content=b"{}",
    ),
    Row("by GET", _DERIVE, 405, "method_not_allowed", method="GET"),
    # All but the one that is too large: a mask may be that large.
    *(row for row in broken(_CORRECT) if row.name != "too large"),
    _correct("nothing", {}, "/kind", "/stage", "/consent"),
    _drawn("neither mask nor strokes", "/kind", tells="mask or strokes"),
    _drawn("mask and strokes", "/kind", mask=_mask(), strokes=[_STROKE]),
    _drawn("matte with a label", "/kind", label={"faces": [_FACE]}),
    _drawn("unknown kind", "/kind", kind="hair", mask=_mask()),
    _drawn("matte of another stage", "/stage", stage="smile", mask=_mask()),
    _drawn("unknown stage", "/stage", stage="prepare", mask=_mask()),
    _drawn("unknown name", "/tenant", tenant="local", mask=_mask()),
    _drawn("consent by a word", "/consent", consent="yes", mask=_mask()),
    _drawn("consent by 1", "/consent", consent=1, mask=_mask()),
    _drawn("mask of a number", "/mask", mask=1),
    _drawn("mask of no base64", "/mask", mask="@@@@", tells="base64"),
    _drawn("mask of text", "/mask", mask=base64.b64encode(b"Dear Sir,").decode(), tells="PNG"),
    _drawn("mask of a JPEG", "/mask", mask=_mask(format_="JPEG"), tells="PNG"),
    _drawn("mask cut off", "/mask", mask=base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()),
    _drawn("mask a line too low", "/mask", mask=_mask((48, 31)), tells="48×32"),
    _drawn("mask on its side", "/mask", mask=_mask((32, 48)), tells="32×48"),
    _drawn("mask in colour", "/mask", mask=_mask(mode="RGB"), tells="grey"),
    _drawn("mask with alpha", "/mask", mask=_mask(mode="LA"), tells="grey"),
    _drawn("mask with a palette", "/mask", mask=_mask(mode="P"), tells="grey"),
    _drawn("mask of 16 bits", "/mask", mask=_mask(mode="I;16"), tells="grey"),
    _drawn("no strokes", "/strokes", strokes=[]),
    _drawn("201 strokes", "/strokes", strokes=[_STROKE] * 201),
    _drawn("strokes of an object", "/strokes", strokes={"points": []}),
    _drawn("too many points", "/strokes", strokes=[{**_STROKE, "points": [[1, 1]] * 2000}] * 11),
    _stroke("stroke to the right of the photo", "/points/1", points=[[1, 2], [48.5, 2]]),
    _stroke("stroke below the photo", "/points/0", points=[[1, 33]]),
    _stroke("stroke to the left of the photo", "/points/0", points=[[-0.5, 2]]),
    _stroke("point far out", "/points/0", points=[[1e300, -1e300]]),
    _stroke("stroke of no points", "/points", points=[]),
    _stroke("2001 points", "/points", points=[[1, 1]] * 2001),
    _stroke("point of one number", "/points/0", points=[[1]]),
    _stroke("point of three numbers", "/points/0", points=[[1, 2, 3]]),
    _stroke("point of words", "/points/0/0", points=[["left", 1]]),
    _stroke("width of 0", "/width", width=0),
    _stroke("width of ages", "/width", width=1e9),
    _stroke("keep by a word", "/keep", keep="yes"),
    _stroke("unknown name of a stroke", "/colour", colour="red"),
    _correct(
        "label of another stage",
        {"kind": "label", "stage": "segmentation", "consent": True, "label": {"faces": [_FACE]}},
        "/stage",
    ),
    _correct("label of nothing", {"kind": "label", "stage": "smile", "consent": True}, "/kind"),
    _labelled("no faces", "/label/faces", faces=[]),
    _labelled("faces of an object", "/label/faces", faces={"number": 1}),
    _labelled("a face twice", "/label/faces/1/number", faces=[_FACE, _FACE]),
    _labelled("unknown name of a label", "/label/mouths", faces=[_FACE], mouths=1),
    _face("face of nobody", "/number", number=2),
    _face("face 0", "/number", number=0),
    _face("face of ages", "/number", number=10**30),
    _face("unknown smile", "/smile", smile="grin"),
    _face("eye by a word", "/left_open", left_open="yes"),
    _face("unknown name of a face", "/age", age=30),
    Row("by PUT", _CORRECT, 405, "method_not_allowed", method="PUT"),
)
