"""Malformed requests about keys, tokens, webhooks and live video."""

from smart_filter_tests.malformed.rows import (
    JSON,
    MALFORMED,
    MEDIA,
    Row,
    asked,
    headed,
    sent,
    text,
)

_KEYS, _TOKENS, _HOOKS = "POST /v1/keys", "POST /v1/tokens", "POST /v1/webhooks"
_CHANGE = "PATCH /v1/webhooks/{webhook_id}"
_DELIVERIES = "GET /v1/webhooks/{webhook_id}/deliveries"
_LIVE = "POST /v1/live"
_SUBMIT = {"scopes": ["submit"]}
_URL = {"url": "https://example.org/told"}


def _broken(name: str, content: bytes, tells: str = "") -> Row:
    """Return a row whose body is no document; one reader takes those of all operations."""
    return Row(name, _KEYS, *MALFORMED, pointers=("",), tells=tells, headers=JSON, content=content)


def _mistyped(name: str, content_type: str) -> Row:
    return Row(
        name,
        _KEYS,
        *MALFORMED,
        pointers=("/Content-Type",),
        tells="application/json",
        headers={"Content-Type": content_type},
        content=b"{}",
    )


def unread(operation: str, *, path: str = "") -> Row:
    """Return a row whose body is cut off: the operation reads it as the others do."""
    return Row(
        "cut off",
        operation,
        *MALFORMED,
        pointers=("",),
        path=path,
        headers=JSON,
        content=b'{"url": "htt',
    )


ACCOUNTS = (
    _broken("no body", b""),
    _broken("a list", b"[]", "JSON object"),
    _broken("not UTF-8", b'{"url": "\xff"}', "UTF-8"),
    _broken("names twice", b'{"x": 1, "x": 2}', "more than once"),
    _broken("100,000 deep", b'{"x":' * 10_000, "too deep"),
    _broken("NaN", b'{"x": NaN}', "NaN"),
    _broken("half a character", rb'{"x": "\udc00"}', "surrogate"),
    _broken("too large", b'{"x": "' + b"x" * 70_000 + b'"}', "larger than"),
    _mistyped("a form", "multipart/form-data"),
    _mistyped("no type", ""),
    Row(
        "compressed",
        _KEYS,
        *MEDIA,
        pointers=("/Content-Encoding",),
        headers={**JSON, "Content-Encoding": "br"},
        content=b"{}",
    ),
    *(unread(operation) for operation in (_KEYS, _TOKENS, _HOOKS, _CHANGE, _LIVE)),
    sent(_KEYS, "no scopes", {}, "/scopes"),
    sent(_KEYS, "scopes of nothing", {"scopes": []}, "/scopes"),
    sent(_KEYS, "unknown scope", {"scopes": ["root"]}, "/scopes/0"),
    sent(_KEYS, "four scopes", {"scopes": ["read"] * 4}, "/scopes"),
    sent(_KEYS, "expiry of 0", {**_SUBMIT, "expires_in_seconds": 0}, "/expires_in_seconds"),
    sent(_KEYS, "expiry of true", {**_SUBMIT, "expires_in_seconds": True}, "/expires_in_seconds"),
    sent(_KEYS, "late expiry", {**_SUBMIT, "expires_in_seconds": 10**12}, "/expires_in_seconds"),
    sent(_KEYS, "tenant of a path", {**_SUBMIT, "tenant": "../local"}, "/tenant"),
    sent(_KEYS, "tenant of 101", {**_SUBMIT, "tenant": "t" * 101}, "/tenant"),
    sent(_KEYS, "tenant beyond ASCII", {**_SUBMIT, "tenant": "t\u0435nant"}, "/tenant"),
    sent(_KEYS, "tenant with a newline", {**_SUBMIT, "tenant": "tests\n"}, "/tenant"),
    sent(_KEYS, "tenant with a NUL", {**_SUBMIT, "tenant": "tests\0"}, "/tenant"),
    sent(_KEYS, "unknown name", {**_SUBMIT, "admin": True}, "/admin"),
    sent(_KEYS, "another tenant", {**_SUBMIT, "tenant": "local"}, answer=(403, "scope")),
    *asked("GET /v1/keys", "limit", "0", "201"),
    *asked("GET /v1/keys", "cursor", "x"),
    *asked("GET /v1/keys", "tenant", "", "a b"),
    Row("keys of another tenant", "GET /v1/keys", 403, "scope", params=(("tenant", "local"),)),
    sent(_LIVE, "background of a number", {"background": 1}, "/background"),
    sent(_LIVE, "background of nothing", {"background": ""}, "/background"),
    sent(_LIVE, "unknown background", {"background": "preset:nowhere"}, "/background"),
    sent(_LIVE, "background that shows through", {"background": "transparent"}, "/background"),
    sent(_LIVE, "color that shows through", {"background": "color:#fff8"}, "/background"),
    sent(_LIVE, "background at an address", {"background": "url:https://a.b/c"}, "/background"),
    sent(_LIVE, "stored picture", {"background": "preset:site/sea"}, "/background"),
    sent(_LIVE, "background of 1001", {"background": "x" * 1001}, "/background"),
    sent(_LIVE, "unknown name", {"max_side": 640}, "/max_side"),
    sent(_TOKENS, "other scopes", {"scopes": ["read"]}, "/scopes"),
    sent(_TOKENS, "more scopes", {"scopes": ["submit", "admin"]}, "/scopes"),
    sent(_TOKENS, "ttl of 0", {"ttl_seconds": 0}, "/ttl_seconds"),
    sent(_TOKENS, "ttl above a day", {"ttl_seconds": 86_401}, "/ttl_seconds"),
    sent(_TOKENS, "ttl of null", {"ttl_seconds": None}, "/ttl_seconds"),
    sent(_TOKENS, "1001 jobs", {"max_jobs": 1001}, "/max_jobs"),
    sent(
        _TOKENS,
        "several faults",
        {"max_jobs": 0, "ttl_seconds": "x", "a": 1},
        *("/max_jobs", "/ttl_seconds", "/a"),
    ),
    sent(_HOOKS, "no url", {}, "/url"),
    sent(_HOOKS, "url of no web", {"url": "javascript:alert(1)"}, "/url"),
    sent(_HOOKS, "url with a password", {"url": "https://a:b@example.org/"}, "/url"),
    sent(_HOOKS, "url of 2049", {"url": f"https://example.org/{'a' * 2040}"}, "/url"),
    sent(_HOOKS, "lookalike url", {"url": "https://ex\u0430mple.org\u2024evil/"}, "/url"),
    sent(_HOOKS, "events of nothing", {**_URL, "events": []}, "/events"),
    sent(_HOOKS, "unknown event", {**_URL, "events": ["job.queued"]}, "/events/0"),
    sent(_HOOKS, "17 events", {**_URL, "events": ["job.failed"] * 17}, "/events"),
    sent(_HOOKS, "own secret", {**_URL, "secret": "whsec_AAAA"}, "/secret"),
    sent(_CHANGE, "enabled by a word", {"enabled": "yes"}, "/enabled"),
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
    sent("POST /v1/session", "key of a number", {"key": 1}, "/key"),
    Row(
        "unknown key",
        "POST /v1/session",
        401,
        "unauthorized",
        pointers=("/Authorization",),
        headers=JSON,
        content=text({"key": "sf_live_none"}),
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
