"""Malformed requests about keys, tokens, webhooks, live video and uploads."""

from integration.malformed.rows import (
    INVALID,
    JSON,
    LARGE,
    MEDIA,
    RECIPE,
    WEBHOOK_URL,
    Row,
    compressed_row,
    header_rows,
    json_row,
    parameter_rows,
    raw_row,
)
from smart_filter_shared.tenants.saved_recipes import MAX_BYTES
from smart_filter_tests.serving import a_photo

_KEYS, _TOKENS, _HOOKS = "POST /v1/keys", "POST /v1/tokens", "POST /v1/webhooks"
_CHANGE = "PATCH /v1/webhooks/{webhook_id}"
_DELIVERIES = "GET /v1/webhooks/{webhook_id}/deliveries"
_LIVE = "POST /v1/live"
_RECIPE = "PUT /v1/recipes/{recipe_name}"
_PICTURE = "PUT /v1/backgrounds/tenant/{picture_name}"
_SUBMIT = {"scopes": ["submit"]}
_URL = {"url": "https://example.org/told"}


def _mistyped(name: str, type_: str) -> Row:
    headers = {"Content-Type": type_}
    return raw_row(
        *(_KEYS, name, b"{}", "/Content-Type", MEDIA), tells="application/json", headers=headers
    )


def _address(name: str, body: object, operation: str = _HOOKS) -> Row:
    return json_row(operation, name, body, "/url", answer=WEBHOOK_URL)


def unread(operation: str, *, path: str = "") -> Row:
    """Make a row with a truncated body: the operation uses the common body reader."""
    return raw_row(operation, "cut off", b'{"url": "htt', path=path)


ACCOUNTS = (
    # One reader parses the documents of all operations.
    raw_row(_KEYS, "no body", b""),
    raw_row(_KEYS, "too large", b'{"x": "' + b"x" * 70_000 + b'"}', tells="larger than"),
    _mistyped("a form", "multipart/form-data"),
    _mistyped("no type", ""),
    compressed_row(_KEYS, JSON),
    *(unread(operation) for operation in (_KEYS, _TOKENS, _HOOKS, _CHANGE, _LIVE)),
    json_row(_KEYS, "no scopes", {}, "/scopes"),
    json_row(_KEYS, "an operator's scope", {"scopes": ["operator"]}, "/scopes/0"),
    json_row(
        _KEYS, "late expiry", {**_SUBMIT, "expires_in_seconds": 10**12}, "/expires_in_seconds"
    ),
    json_row(_KEYS, "tenant of a path", {**_SUBMIT, "tenant": "../local"}, "/tenant"),
    json_row(_KEYS, "unknown name", {**_SUBMIT, "admin": True}, "/admin"),
    json_row(_KEYS, "another tenant", {**_SUBMIT, "tenant": "local"}, answer=(403, "scope")),
    *parameter_rows("GET /v1/keys", "limit", "0", "201"),
    *parameter_rows("DELETE /v1/keys/{key_id}", "with_issued", "maybe"),
    *parameter_rows("GET /v1/audit", "limit", "0", "201"),
    *parameter_rows("GET /v1/audit", "cursor", "x"),
    *parameter_rows("GET /v1/audit", "tenant", "", "a b"),
    *parameter_rows("GET /v1/keys", "cursor", "x"),
    *parameter_rows("GET /v1/keys", "tenant", "", "a b"),
    Row("keys of another tenant", "GET /v1/keys", 403, "scope", params=(("tenant", "local"),)),
    unread(_RECIPE),
    raw_row(_PICTURE, "text", b"Dear Sir,", "/picture", MEDIA, headers={}),
    compressed_row(_PICTURE, {}),
    *parameter_rows(_PICTURE, "use", "poster", "LOGO"),
    *parameter_rows(_PICTURE, "name", "wall", tells="it has use, title, tags"),
    json_row(_RECIPE, "bare fields", {"background": "keep"}, "/background", "/recipe"),
    json_row(
        *(_RECIPE, "large", {"recipe": {"metadata": {f"{n:060}": "💐" * 256 for n in range(16)}}}),
        "/recipe",
        answer=RECIPE,
        tells=str(MAX_BYTES),
    ),
    json_row(_LIVE, "unknown background", {"background": "preset:nowhere"}, "/background"),
    json_row(_LIVE, "color that shows through", {"background": "color:#fff8"}, "/background"),
    json_row(_LIVE, "background at an address", {"background": "url:https://a.b/c"}, "/background"),
    json_row(_LIVE, "stored picture", {"background": "preset:site/sea"}, "/background"),
    json_row(_LIVE, "unknown name", {"max_side": 640}, "/max_side"),
    json_row(_TOKENS, "other scopes", {"scopes": ["read"]}, "/scopes"),
    json_row(
        _TOKENS,
        "several faults",
        {"max_jobs": 0, "ttl_seconds": "x", "a": 1},
        *("/max_jobs", "/ttl_seconds", "/a"),
    ),
    _address("url of no web", {"url": "javascript:alert(1)"}),
    _address("lookalike url", {"url": "https://ex\u0430mple.org\u2024evil/"}),
    _address("no url", {}),
    json_row(_HOOKS, "unknown event", {**_URL, "events": ["job.queued"]}, "/events/0"),
    json_row(_HOOKS, "own secret", {**_URL, "secret": "whsec_AAAA"}, "/secret"),
    _address("url of no web", {"url": "ftp://example.org/"}, _CHANGE),
    json_row(_CHANGE, "own id", {"id": "x"}, "/id"),
    *(
        row
        for move in ("rotate", "test", "deliveries/replay")
        for row in header_rows(f"POST /v1/webhooks/{{webhook_id}}/{move}", "Idempotency-Key", "a b")
    ),
    *parameter_rows(_DELIVERIES, "limit", "0"),
    *(
        Row(
            f"delivery {value}",
            "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
            *(404, "not_found"),
            path=f"/v1/webhooks/{{webhook_id}}/deliveries/{value}/replay",
        )
        for value in ("mine", "019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a")
    ),
    *parameter_rows(_DELIVERIES, "state", "lost"),
    *parameter_rows("GET /v1/events", "cursor", "x", "-1", "9" * 19, "1:1:"),
    *parameter_rows(_DELIVERIES, "cursor", "x", "-1", "9" * 19, "\uff11"),
    json_row("POST /v1/session", "unknown name", {"key": "x", "tenant": "local"}, "/tenant"),
    json_row(
        *("POST /v1/session", "unknown key", {"key": "sf_live_none"}, "/Authorization"),
        answer=(401, "unauthorized"),
    ),
    unread("PATCH /v1/tenants/{tenant}"),
    *(
        json_row(
            *("PATCH /v1/tenants/{tenant}", f"recipe of {name} {value}", {"recipe": {name: value}}),
            f"/recipe/{name}",
            answer=RECIPE,
        )
        for name, value in (
            *(("color", "red"), ("run_at", "2030-01-01T00:00:00Z"), ("background", "file")),
            ("background", "preset:tenant/none"),
        )
    ),
    *(
        json_row("PATCH /v1/tenants/{tenant}", f"{name} {value}", {name: value}, f"/{name}")
        for name, value in (
            *(("limits", {}), ("keep_nothing", "perhaps"), ("keep_nothing", 0), ("recipe", [])),
            *(("emotions", True), ("emotions", "off")),
            *(("keep_input_seconds", -1), ("keep_result_seconds", 59)),
            *(("keep_input_seconds", 10**12), ("link_seconds", 59), ("link_seconds", 604_801)),
            *(("link_seconds", "60"), ("link_seconds", True)),
        )
    ),
)


_UPLOAD, _PUT = "POST /v1/uploads", "PUT /v1/uploads/{upload_id}"
_JPEG = {"content_type": "image/jpeg"}


def _length(name: str, length: object, answer: tuple[int, str] = INVALID) -> Row:
    return json_row(_UPLOAD, name, {**_JPEG, "bytes": length}, "/bytes", answer=answer)


def _type(name: str, type_: object, answer: tuple[int, str] = MEDIA, tells: str = "") -> Row:
    body = {"content_type": type_, "bytes": 1000}
    return json_row(_UPLOAD, name, body, "/content_type", answer=answer, tells=tells)


def _put(name: str, content: bytes, answer: tuple[int, str] = INVALID) -> Row:
    """Make a row that puts content into an upload of 1000 bytes of JPEG."""
    return Row(name, _PUT, *answer, pointers=("/photo",), content=content)


UPLOADS = (
    unread(_UPLOAD),
    json_row(_UPLOAD, "unknown name", {**_JPEG, "bytes": 1000, "key": "../a"}, "/key"),
    _length("0 bytes", 0),
    _length("41 megabytes", 41_000_000, LARGE),
    _type("ICO", "image/x-icon", tells="accepted are"),
    _type("type with a newline", "image/jpeg\r\nX: y"),
    _put("shorter", b"\xff\xd8\xff"),
    _put("longer", bytes(2000)),
    _put("no picture", bytes(1000), MEDIA),
    _put("a PNG", a_photo("PNG").ljust(1000, b"\0"), MEDIA),
    _put("41 megabytes", bytes(41_000_000), LARGE),
    compressed_row(_PUT, {}, bytes(1000)),
)
