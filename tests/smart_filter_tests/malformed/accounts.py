"""Malformed requests about keys, tokens, webhooks, live video and uploads."""

from smart_filter_tests.malformed.rows import (
    INVALID,
    JSON,
    LARGE,
    MEDIA,
    Row,
    asked,
    compressed,
    headed,
    raw,
    sent,
)
from smart_filter_tests.serving import a_photo

_KEYS, _TOKENS, _HOOKS = "POST /v1/keys", "POST /v1/tokens", "POST /v1/webhooks"
_CHANGE = "PATCH /v1/webhooks/{webhook_id}"
_DELIVERIES = "GET /v1/webhooks/{webhook_id}/deliveries"
_LIVE = "POST /v1/live"
_SUBMIT = {"scopes": ["submit"]}
_URL = {"url": "https://example.org/told"}


def _mistyped(name: str, type_: str) -> Row:
    headers = {"Content-Type": type_}
    return raw(_KEYS, name, b"{}", "/Content-Type", tells="application/json", headers=headers)


def unread(operation: str, *, path: str = "") -> Row:
    """Return a row whose body is cut off: the operation reads it as the others do."""
    return raw(operation, "cut off", b'{"url": "htt', path=path)


ACCOUNTS = (
    # One reader takes the documents of all operations.
    raw(_KEYS, "no body", b""),
    raw(_KEYS, "too large", b'{"x": "' + b"x" * 70_000 + b'"}', tells="larger than"),
    _mistyped("a form", "multipart/form-data"),
    _mistyped("no type", ""),
    compressed(_KEYS, JSON),
    *(unread(operation) for operation in (_KEYS, _TOKENS, _HOOKS, _CHANGE, _LIVE)),
    sent(_KEYS, "no scopes", {}, "/scopes"),
    sent(_KEYS, "late expiry", {**_SUBMIT, "expires_in_seconds": 10**12}, "/expires_in_seconds"),
    sent(_KEYS, "tenant of a path", {**_SUBMIT, "tenant": "../local"}, "/tenant"),
    sent(_KEYS, "unknown name", {**_SUBMIT, "admin": True}, "/admin"),
    sent(_KEYS, "another tenant", {**_SUBMIT, "tenant": "local"}, answer=(403, "scope")),
    *asked("GET /v1/keys", "limit", "0", "201"),
    *asked("GET /v1/keys", "cursor", "x"),
    *asked("GET /v1/keys", "tenant", "", "a b"),
    Row("keys of another tenant", "GET /v1/keys", 403, "scope", params=(("tenant", "local"),)),
    sent(_LIVE, "unknown background", {"background": "preset:nowhere"}, "/background"),
    sent(_LIVE, "color that shows through", {"background": "color:#fff8"}, "/background"),
    sent(_LIVE, "background at an address", {"background": "url:https://a.b/c"}, "/background"),
    sent(_LIVE, "stored picture", {"background": "preset:site/sea"}, "/background"),
    sent(_LIVE, "unknown name", {"max_side": 640}, "/max_side"),
    sent(_TOKENS, "other scopes", {"scopes": ["read"]}, "/scopes"),
    sent(
        _TOKENS,
        "several faults",
        {"max_jobs": 0, "ttl_seconds": "x", "a": 1},
        *("/max_jobs", "/ttl_seconds", "/a"),
    ),
    sent(_HOOKS, "url of no web", {"url": "javascript:alert(1)"}, "/url"),
    sent(_HOOKS, "lookalike url", {"url": "https://ex\u0430mple.org\u2024evil/"}, "/url"),
    sent(_HOOKS, "unknown event", {**_URL, "events": ["job.queued"]}, "/events/0"),
    sent(_HOOKS, "own secret", {**_URL, "secret": "whsec_AAAA"}, "/secret"),
    sent(_CHANGE, "url of no web", {"url": "ftp://example.org/"}, "/url"),
    sent(_CHANGE, "own id", {"id": "x"}, "/id"),
    *(
        row
        for move in ("rotate", "test", "deliveries/replay")
        for row in headed(f"POST /v1/webhooks/{{webhook_id}}/{move}", "Idempotency-Key", "a b")
    ),
    *asked(_DELIVERIES, "limit", "0"),
    *(
        Row(
            f"delivery {value}",
            "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
            *(404, "not_found"),
            path=f"/v1/webhooks/{{webhook_id}}/deliveries/{value}/replay",
        )
        for value in ("mine", "019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a")
    ),
    *asked(_DELIVERIES, "state", "lost"),
    *asked(_DELIVERIES, "cursor", "x", "-1", "9" * 19, "\uff11"),
    sent("POST /v1/session", "unknown name", {"key": "x", "tenant": "local"}, "/tenant"),
    sent(
        *("POST /v1/session", "unknown key", {"key": "sf_live_none"}, "/Authorization"),
        answer=(401, "unauthorized"),
    ),
    unread("PATCH /v1/tenants/{tenant}"),
    *(
        sent("PATCH /v1/tenants/{tenant}", f"{name} {value}", {name: value}, f"/{name}")
        for name, value in (
            *(("limits", {}), ("keep_nothing", "perhaps"), ("keep_nothing", 0), ("recipe", [])),
            *(("keep_nothing", None), ("keep_input_seconds", -1), ("keep_result_seconds", 59)),
            *(("keep_input_seconds", 10**12),),
        )
    ),
)


_UPLOAD, _PUT = "POST /v1/uploads", "PUT /v1/uploads/{upload_id}"
_JPEG = {"content_type": "image/jpeg"}


def _length(name: str, length: object, answer: tuple[int, str] = INVALID) -> Row:
    return sent(_UPLOAD, name, {**_JPEG, "bytes": length}, "/bytes", answer=answer)


def _type(name: str, type_: object, answer: tuple[int, str] = MEDIA, tells: str = "") -> Row:
    body = {"content_type": type_, "bytes": 1000}
    return sent(_UPLOAD, name, body, "/content_type", answer=answer, tells=tells)


def _put(name: str, content: bytes, answer: tuple[int, str] = INVALID) -> Row:
    """Return what is put into an upload of 1000 bytes of JPEG."""
    return Row(name, _PUT, *answer, pointers=("/photo",), content=content)


UPLOADS = (
    unread(_UPLOAD),
    sent(_UPLOAD, "unknown name", {**_JPEG, "bytes": 1000, "key": "../a"}, "/key"),
    _length("0 bytes", 0),
    _length("41 megabytes", 41_000_000, LARGE),
    _type("GIF", "image/gif", tells="accepted are"),
    _type("type with a newline", "image/jpeg\r\nX: y"),
    _put("shorter", b"\xff\xd8\xff"),
    _put("longer", bytes(2000)),
    _put("no picture", bytes(1000), MEDIA),
    _put("a PNG", a_photo("PNG").ljust(1000, b"\0"), MEDIA),
    _put("41 megabytes", bytes(41_000_000), LARGE),
    compressed(_PUT, {}, bytes(1000)),
)
