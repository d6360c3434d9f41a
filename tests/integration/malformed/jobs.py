"""Malformed requests about jobs: their submission, lists, moves, derivations and corrections.

The rules of forms and of each field of a recipe are tested in `tests/unit/api/intake`
and `tests/unit/shared/recipe`; here are the names, and a value of each kind of field.

`{rated_id}` stands for a job whose stages have all run on a photo of 48 by 32 pixels with one face,
`{waiting_id}` for one that has not ended.
"""

import base64
import uuid
from collections.abc import Sequence
from dataclasses import replace

from integration.malformed.accounts import unread
from integration.malformed.rows import (
    CONTRADICTION,
    END,
    FORM,
    INVALID,
    LARGE,
    MALFORMED,
    MEDIA,
    PHOTO_URL,
    RECIPE,
    WEBHOOK_URL,
    Row,
    compressed_row,
    fields,
    header_rows,
    json_row,
    parameter_rows,
    part,
    photo,
    raw_row,
)
from smart_filter_api.intake.multipart import MAX_OTHER_BYTES
from smart_filter_shared.feedback.corrections import MAX_MASK_BYTES
from smart_filter_tests.later import next_week
from smart_filter_tests.pictures import plain, png_header
from smart_filter_tests.serving import a_photo

_JOBS = "POST /v1/jobs"
_WHOLE = photo() + END
_PHOTO = base64.b64encode(a_photo()).decode()
_ADDRESS = "https://example.org/a.jpg"


def _row(
    name: str, body: bytes, pointer: str = "", answer: tuple[int, str] = MALFORMED, tells: str = ""
) -> Row:
    return raw_row(_JOBS, name, body, pointer, answer, tells=tells, headers=FORM)


def _typed(name: str, content_type: str, tells: str) -> Row:
    """Make a row whose body is a form under another content type."""
    return raw_row(_JOBS, name, _WHOLE, tells=tells, headers={"Content-Type": content_type})


FORMS = (
    _row("empty", b""),
    _row("no photo", part("quality", "90") + END, "/photo", tells="part named 'photo'"),
    *(
        _row(f"photo as {name}", photo(name=name) + END, f"/{name}", tells="did you mean photo?")
        for name in ("file", "selfie")
    ),
    _row("only a recipe", part("recipe", "{}", filename="a") + END, "/photo", tells="no photo"),
    *(
        _row(
            f"misspelled {name}",
            photo() + part(name, _ADDRESS) + END,
            f"/{name}",
            answer,
            tells=f"did you mean {meant}?",
        )
        for name, meant, answer in (
            ("webhook_ur", "webhook_url", WEBHOOK_URL),
            ("photo_ur", "photo_url", PHOTO_URL),
            ("upload_di", "upload_id", INVALID),
        )
    ),
    _row(
        "JSON in recipe",
        photo() + part("recipe", '{"background": "keep"}') + END,
        "/recipe",
        RECIPE,
        tells="send each field of the recipe as a field of the form",
    ),
    _row(
        "photo and its address",
        photo() + part("photo_url", "https://a.example/") + END,
        tells="exactly one",
    ),
    _row("name not UTF-8", photo() + part(b"\xff\xfe", "x") + END, tells="UTF-8"),
    _row("cut in the photo", photo()[:200]),
    _row(
        "large extra file",
        photo() + part("extra", bytes(MAX_OTHER_BYTES + 1), filename="extra.bin") + END,
        "",
        LARGE,
        tells="without the pictures",
    ),
    _typed("no boundary", "multipart/form-data", tells="has no boundary"),
    _typed("long boundary", f"multipart/form-data; boundary={'x' * 500}", ""),
    _row("photo of nothing", photo(b"") + END, "/photo", MEDIA, tells="is empty"),
    _row(
        "photo of ICO",
        photo(a_photo("ICO")) + END,
        "/photo",
        MEDIA,
        tells="the photo is an ICO; save it as PNG; accepted are JPEG, PNG, WebP, AVIF, HEIC, GIF",
    ),
    _row("photo cut in its header", photo(a_photo("AVIF")[:120]) + END, "/photo", MEDIA),
    _row("photo of 50 megapixels", photo(png_header(10_000, 5_001)) + END, "/photo", LARGE),
    _row(
        "background of 50 megapixels",
        photo() + photo(png_header(10_000, 5_001), name="background_file") + END,
        "/background_file",
        LARGE,
        tells="the background is ",
    ),
    _row("photo of 41 megabytes", photo(a_photo() + bytes(41_000_000)) + END, "/photo", LARGE),
    compressed_row(_JOBS, FORM, _WHOLE),
    *(
        raw_row(
            *(_JOBS, f"a body of {content_type}", body, "/Content-Type", MEDIA),
            tells="send the body as multipart/form-data or application/json",
            headers={"Content-Type": content_type},
        )
        for content_type, body in (
            ("text/plain", b"{}"),
            ("application/x-www-form-urlencoded", b"photo_url=https://a.example/"),
            ("", _WHOLE),
        )
    ),
)


def _faulty(
    name: str,
    answer: tuple[int, str] = RECIPE,
    **values: str | Sequence[str],
) -> Row:
    """Make a row in which every field is wrong."""
    listed = [f"/{field.replace('__', '/')}" for field in values]
    return Row(
        name,
        _JOBS,
        *answer,
        pointers=listed,
        headers=FORM,
        content=fields(**values),
    )


RECIPES = (
    _row(
        "Cyrillic letter in a name",
        photo() + part("qu\u0430lity", "1") + END,
        "/qu\u0430lity",
        RECIPE,
    ),
    _row(
        "fields below recipe",
        photo() + part("recipe.background", "keep") + END,
        "/recipe/background",
        RECIPE,
        tells="is not a field of a recipe",
    ),
    *(
        _row(
            f"{name} {value[:20]}",
            photo() + part(name, value) + END,
            f"/{name.replace('.', '/')}",
            RECIPE,
            tells=tells,
        )
        for name, value, tells in (
            ("backgroud", "keep", "did you mean background?"),
            ("run_at", "9999-12-31T00:00:00Z", "30 days"),
            ("recipe", "a,b,c,d,e", "at most 4"),
            ("recipe", "../shop", "is not a saved recipe"),
            ("recipe", "shop\0", "is not a saved recipe"),
            ("recipe", "x" * 4000, "is not a saved recipe"),
            ("metadata.order id", "1", "A-Z a-z 0-9 . _ -"),
        )
    ),
    _row(
        "both spellings",
        photo() + part("harmonise", "1") + part("harmonize", "1") + END,
        "/harmonise",
        RECIPE,
        tells="harmonize",
    ),
    _faulty("preset of a path", background="preset:../../etc/passwd"),
    _faulty("background at a password", background="url:https://user:secret@example.org/a.jpg"),
    _faulty("webhook at a file", WEBHOOK_URL, webhook_url="file:///etc/passwd"),
    _faulty("webhook twice", WEBHOOK_URL, webhook_url=["https://example.org/"] * 2),
    _faulty("model of a path", face__model="../../weights"),
    _faulty("several faults", quality="0", seed="x", format="gif", persons="0"),
    _faulty(
        "deadline before it may run",
        CONTRADICTION,
        deadline_ms="1000",
        run_at=next_week(),
    ),
)


def _raw(
    name: str, body: bytes, pointer: str = "", answer: tuple[int, str] = MALFORMED, tells: str = ""
) -> Row:
    return raw_row(_JOBS, name, body, pointer, answer, tells=tells)


def _document(name: str, recipe: str, tells: str = "") -> Row:
    """Make a row whose recipe no JSON library can write."""
    body = f'{{"photo_base64": "{_PHOTO}", "recipe": {recipe}}}'
    return _raw(name, body.encode(), tells=tells)


def _base64(name: str, photo: object, answer: tuple[int, str] = MALFORMED) -> Row:
    return json_row(_JOBS, name, {"photo_base64": photo}, "/photo_base64", answer=answer)


def _nested(name: str, recipe: object, *pointers: str, answer: tuple[int, str] = RECIPE) -> Row:
    body = {"photo_base64": _PHOTO, "recipe": recipe}
    return json_row(_JOBS, name, body, *pointers, answer=answer)


def _elsewhere(name: str, answer: tuple[int, str], pointer: str, **body: object) -> Row:
    return json_row(_JOBS, name, body, pointer, answer=answer)


JSON_BODIES = (
    _raw("JSON of a list", b"[]", tells="JSON object"),
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
        "/photo_base64",
        answer=LARGE,
    ),
    _document("half a character", r'{"background": "\ud800"}'),
    _document("NaN", '{"quality": NaN}', tells="NaN"),
    _document("recipe 100,000 deep", '{"a":' * 100_000 + "1" + "}" * 100_000),
    _raw("no photo in JSON", b'{"recipe": {"photo_base64": "AAAA"}}', tells="photo_base64"),
    _base64("photo of a number", 1),
    _base64("photo of text", base64.b64encode(b"Dear Sir,").decode(), MEDIA),
    json_row(
        _JOBS,
        "unknown names",
        {"photo_base64": _PHOTO, "quality": 90, "recipes": {}},
        *("/quality", "/recipes"),
        answer=RECIPE,
    ),
    json_row(
        _JOBS,
        "recipe fields at the top",
        {"photo_base64": _PHOTO, "background": "auto"},
        "/background",
        answer=RECIPE,
        tells="put it under `recipe`",
    ),
    *(
        json_row(_JOBS, f"{name} in JSON", body, f"/{name}", answer=answer, tells=tells)
        for name, body, answer, tells in (
            ("photo_ur", {"photo_ur": _ADDRESS}, PHOTO_URL, "did you mean photo_url?"),
            ("photo", {"photo": _PHOTO}, RECIPE, "send the photo as photo_base64"),
        )
    ),
    json_row(
        _JOBS,
        "two misspelled names",
        {"photo_ur": _ADDRESS, "webhook_ur": _ADDRESS},
        *("/photo_ur", "/webhook_ur"),
        answer=RECIPE,
    ),
    json_row(
        _JOBS,
        "recipe in quotes",
        {"photo_base64": _PHOTO, "recipe": '{"background": "keep"}'},
        "/recipe",
        answer=RECIPE,
        tells="leave out the quotes",
    ),
    _elsewhere("name of a number", INVALID, "/photo_name", photo_base64=_PHOTO, photo_name=7),
    _elsewhere("photo at no web", PHOTO_URL, "/photo_url", photo_url="file:///etc/passwd"),
    _elsewhere(
        "photo at a password", PHOTO_URL, "/photo_url", photo_url="https://user:secret@a.b/"
    ),
    _elsewhere("upload with a NUL", INVALID, "/upload_id", upload_id="\0"),
    _elsewhere("unknown upload", INVALID, "/upload_id", upload_id=str(uuid.UUID(int=7))),
    _nested("list of lists", {"outputs": [["image"]]}, "/outputs"),
    # More than the limit of a form.
    _nested("200 names", dict.fromkeys(map(str, range(200)), 1), "/recipe", answer=MALFORMED),
    _nested("200 outputs", {"outputs": ["image"] * 200}, "/outputs", answer=MALFORMED),
    _nested("long filters", {"filters": ["a," * 3000]}, "/filters", answer=MALFORMED),
)


_LIST, _JOB = "GET /v1/jobs", "GET /v1/jobs/{job_id}"
_CANCEL, _REDRIVE = "POST /v1/jobs/{job_id}/cancel", "POST /v1/jobs/{job_id}/redrive"
_OUTPUT = "GET /v1/jobs/{job_id}/outputs/{name}"
_THUMBNAIL = "GET /v1/backgrounds/{name}/thumbnail"
_NONE = (404, "not_found")

LISTS = (
    *parameter_rows(_LIST, "limit", "0", "201", "\uff11", "9" * 5000, ""),
    *parameter_rows(_LIST, "state", "lost", "QUEUED", tells="is not one of queued, running"),
    *parameter_rows(_LIST, "state", "faild", tells="did you mean failed?"),
    *parameter_rows(_LIST, "sate", "failed", tells="did you mean state?"),
    *parameter_rows(_LIST, "metdata.order", "17", tells="did you mean metadata.order?"),
    *parameter_rows(_JOBS, "wait", "30", tells="it has expires_in, download"),
    *parameter_rows("GET /v1/jobs/{job_id}/events", "last_event_id", "1"),
    *parameter_rows("GET /v1/usage", "form", "2026-01-01", tells="did you mean from?"),
    *parameter_rows(
        _LIST, "created_after", "yesterday", "2026-01-01T00:00:00", "0001-01-01T00:00:00+23:59"
    ),
    *parameter_rows(_LIST, "cursor", "", "x", "\u00e9" * 22, "A" * 21 + "B"),
    *parameter_rows(_LIST, "metadata.a", "x\0y", tells="NUL"),
    *parameter_rows(_JOB, "expires_in", "59", "604801", "soon"),
    Row("slash at the end", _LIST, *_NONE, path="/v1/jobs/"),
    *(
        Row(f"id {name}", _JOB, *_NONE, path=f"/v1/jobs/{job_id}")
        for name, job_id in {
            "of bytes that are no UTF-8": "%ff%fe",
            "with SQL": "'%20OR%201=1--",
            "up a folder": "..%2F..%2Fetc",
            "in full-width digits": "%EF%BC%90" * 32,
        }.items()
    ),
    *header_rows(_JOB + "/events", "last-event-id", "first", str(2**63), "9" * 5000),
    *header_rows(_CANCEL, "Idempotency-Key", "", '""', "k" * 256, '"a\tb"'),
    *header_rows(_CANCEL, "Idempotency-Key", "schl\u00fcssel".encode()),
    *header_rows(_REDRIVE, "Idempotency-Key", "k" * 256),
    Row("what has ended", _CANCEL, 409, "job_final"),
    Row("what succeeded", _REDRIVE, 409, "job_final"),
    *(
        Row(f"output {name}", _OUTPUT, *_NONE, path=f"/v1/jobs/{{job_id}}/outputs/{name}")
        for name in ("hologram", "matte", "..%2Fimage")
    ),
    *parameter_rows(_OUTPUT, "redirect", "maybe", tells="is neither true nor false"),
    *parameter_rows(_OUTPUT, "redirct", "1", tells="did you mean redirect?"),
    *parameter_rows("GET /v1/jobs/{job_id}/photo", "original", "maybe"),
    Row(
        "a repeated parameter",
        "GET /v1/jobs",
        *MALFORMED,
        pointers=("/state",),
        tells="is given 2 times; give it once",
        params=(("state", "failed"), ("state", "succeeded")),
    ),
    *parameter_rows("GET /v1/models", "all", "maybe"),
    *(
        Row(f"of {name[:30]}", _THUMBNAIL, *_NONE, path=f"/v1/backgrounds/{name}/thumbnail")
        for name in ("nosuch", "sky+linen", "other/sky", "..%2F..%2Fetc%2Fpasswd")
    ),
    *parameter_rows("GET /v1/usage", "from", "yesterday", "2026-02-30"),
    *parameter_rows("GET /v1/usage", "to", "2026-01-01T00:00:00Z", "\uff12026-01-01"),
    *(
        Row(
            name,
            "GET /v1/usage",
            *MALFORMED,
            pointers=("/from",),
            tells="366",
            params=(("from", first), ("to", last)),
        )
        for name, first, last in (
            ("days in the wrong order", "2026-02-01", "2026-01-01"),
            ("years", "0001-01-01", "9999-12-31"),
        )
    ),
    *parameter_rows("GET /v1/operator/history", "span", "week"),
    *parameter_rows("POST /v1/operator/tenants/{tenant}/cancel", "cursor", "x"),
    *parameter_rows("POST /v1/operator/tenants/{tenant}/redrive", "cursor", "x"),
    Row("up a folder", "GET /problems/{code}", *_NONE, path="/problems/..%2F..%2Fetc%2Fpasswd"),
)


_DERIVE = "POST /v1/jobs/{job_id}/derive"
_CORRECT = "POST /v1/jobs/{job_id}/corrections"
_CORRECTIONS = "GET /v1/jobs/{job_id}/corrections"
_DERIVED = "/v1/jobs/{rated_id}/derive"
_CORRECTED = "/v1/jobs/{rated_id}/corrections"
_SIZE = (48, 32)
_STROKE = {"points": [[1, 2], [40, 30.5]], "width": 12, "keep": True}
_FACE = {"number": 1, "smile": "huge"}
_MATTE = {"kind": "matte", "stage": "segmentation", "consent": False}
_LABEL = {"kind": "label", "stage": "smile", "consent": False}


def _mask(size: tuple[int, int] = _SIZE, mode: str = "L") -> str:
    return base64.b64encode(plain(*size, 0, mode=mode)).decode()


def _derive(name: str, body: object, *pointers: str, answer: tuple[int, str] = INVALID) -> Row:
    return json_row(_DERIVE, name, body, *pointers, answer=answer, path=_DERIVED)


def _formed(name: str, answer: tuple[int, str], pointers: tuple[str, ...], *parts: bytes) -> Row:
    content = b"".join(parts) + END
    return Row(name, _DERIVE, *answer, pointers, "", _DERIVED, headers=FORM, content=content)


def _correct(name: str, body: object, *pointers: str, tells: str = "") -> Row:
    return json_row(_CORRECT, name, body, *pointers, tells=tells, path=_CORRECTED)


def _drawn(name: str, pointer: str, *, tells: str = "", **forms: object) -> Row:
    return _correct(name, {**_MATTE, **forms}, pointer, tells=tells)


def _stroke(name: str, pointer: str, **changes: object) -> Row:
    return _drawn(name, f"/strokes/0{pointer}", strokes=[{**_STROKE, **changes}])


def _labeled(name: str, pointer: str, *faces: object, **label: object) -> Row:
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
        tells="has no boundary",
        headers={"Content-Type": "multipart/form-data"},
        content=b"background=keep",
    ),
    _formed("form with a photo", RECIPE, ("/photo",), photo()),
    _formed("form at fault", RECIPE, ("/quality",), part("quality", "0"), _FILE),
    _derive("misspelled webhook", {"webhook_ur": _ADDRESS}, "/webhook_ur", answer=WEBHOOK_URL),
    _formed("background twice", MALFORMED, ("/background_file",), _FILE, _FILE),
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
    json_row(
        _DERIVE,
        "recipe field at the top",
        {"background": "keep"},
        "/background",
        answer=RECIPE,
        tells="put it under `recipe`",
        path=_DERIVED,
    ),
    raw_row(
        *(_DERIVE, "text", b"{}", "/Content-Type", MEDIA),
        tells="send the body as application/json or multipart/form-data",
        path=_DERIVED,
        headers={"Content-Type": "text/plain"},
    ),
    _derive(
        "jpg that shows through",
        {"recipe": {"format": "jpg", "background": "transparent"}},
        *("/background", "/format"),
        answer=CONTRADICTION,
    ),
    *(
        _derive(f"correction {ascii(value)[:20]}", {"correction_id": value}, "/correction_id")
        for value in ("mine", "c" * 101, str(uuid.UUID(int=7)))
    ),
    *header_rows(_DERIVE, "Idempotency-Key", "a b", content=b"{}"),
    unread(_CORRECT, path=_CORRECTED),
    raw_row(
        *(_CORRECT, "a form", b"kind=matte", "/Content-Type", MEDIA),
        path=_CORRECTED,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    ),
    json_row(
        *(_CORRECT, "large mask", {**_MATTE, "mask": "A" * 2 * MAX_MASK_BYTES}, ""),
        answer=LARGE,
        path=_CORRECTED,
    ),
    _correct("nothing", {}, "/kind", "/stage"),
    _drawn("neither mask nor strokes", "/kind", tells="mask or strokes"),
    _drawn("matte of another stage", "/stage", stage="smile", mask=_mask()),
    _drawn("unknown name", "/tenant", tenant="local", mask=_mask()),
    replace(
        _drawn("mask of no base64", "/mask", mask="@@@@", tells="base64"),
        status=MALFORMED[0],
        code=MALFORMED[1],
    ),
    _drawn("mask cut off", "/mask", mask=base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()),
    _drawn("mask a line too low", "/mask", mask=_mask((48, 31)), tells="48×32"),
    *(
        _drawn(f"mask in {mode}", "/mask", mask=_mask(mode=mode), tells="grayscale")
        for mode in ("RGB", "I;16")
    ),
    _drawn("too many points", "/strokes", strokes=[{**_STROKE, "points": [[1, 1]] * 2000}] * 11),
    _stroke("stroke to the right of the photo", "/points/1", points=[[1, 2], [48.5, 2]]),
    _stroke("points of booleans", "/points/0/0", points=[[True, 2]]),
    _stroke("width of a boolean", "/width", width=True),
    _stroke("2001 points", "/points", points=[[1, 1]] * 2001),
    _correct(
        "label of another stage",
        {**_LABEL, "stage": "segmentation", "label": {"faces": [_FACE]}},
        "/stage",
    ),
    _correct("label of nothing", _LABEL, "/kind"),
    _correct(
        "faces to learn from",
        {"kind": "faces", "stage": "face", "faces": {"remove": [1]}, "consent": True},
        "/consent",
    ),
    _labeled("a face twice", "/faces/1/number", _FACE, _FACE),
    _labeled("absent face", "/faces/0/number", {**_FACE, "number": 2}),
    *(
        json_row(operation, name, body, path=f"/v1/jobs/{{{job}}}/{move}", answer=answer)
        for operation, move, body in ((_DERIVE, "derive", {}), (_CORRECT, "corrections", _MATTE))
        for name, job, answer in (
            ("unfinished", "waiting_id", (409, "job_not_finished")),
            ("deleted", "deleted_id", (410, "job_deleted")),
        )
    ),
    Row("deleted", _CORRECTIONS, 410, "job_deleted", path="/v1/jobs/{deleted_id}/corrections"),
)
