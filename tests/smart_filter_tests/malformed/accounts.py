"""Malformed requests about keys, tokens, webhooks and live video."""

from collections.abc import Sequence

from smart_filter_tests.malformed.rows import JSON, Row, text

_BAD = (400, "malformed_request")
_WRONG = (422, "invalid_request")
_NONE = (404, "not_found")


def wrong(operation: str, name: str, body: object, *pointers: str) -> Row:
    """Return a row whose body has fields at fault."""
    return Row(name, operation, *_WRONG, pointers=pointers, headers=JSON, content=text(body))


def broken(operation: str) -> Sequence[Row]:
    """Return rows with bodies that are no document."""

    def row(name: str, content: bytes, tells: str = "", **headers: str) -> Row:
        told = {**JSON, **{key.replace("_", "-"): value for key, value in headers.items()}}
        pointers = [f"/{key.replace('_', '-')}" for key in headers] or [""]
        return Row(
            name, operation, *_BAD, pointers=pointers, tells=tells, headers=told, content=content
        )

    return (
        row("no body", b""),
        row("a list", b"[]", "JSON object"),
        row("cut off", b'{"url": "htt'),
        row("not UTF-8", b'{"url": "\xff"}'),
        row("names twice", b'{"x": 1, "x": 2}', "more than once"),
        row("100,000 deep", b'{"x":' * 10_000),
        row("NaN", b'{"x": NaN}'),
        row("half a character", rb'{"x": "\udc00"}'),
        row("too large", b'{"x": "' + b"x" * 70_000 + b'"}', "larger than"),
        row("a form", b"url=x", "application/json", Content_Type="multipart/form-data"),
        row("no type", b"{}", "application/json", Content_Type=""),
        Row(
            "compressed",
            operation,
            415,
            "unsupported_media",
            pointers=("/Content-Encoding",),
            headers={**JSON, "Content-Encoding": "br"},
            content=b"{}",
        ),
    )


_KEYS, _TOKENS, _HOOKS = "POST /v1/keys", "POST /v1/tokens", "POST /v1/webhooks"
_CHANGE = "PATCH /v1/webhooks/{webhook_id}"
_LIVE = "POST /v1/live"
_SUBMIT = {"scopes": ["submit"]}
_URL = {"url": "https://example.org/told"}

ACCOUNTS = (
    *(row for operation in (_KEYS, _TOKENS, _HOOKS, _CHANGE, _LIVE) for row in broken(operation)),
    wrong(_KEYS, "no scopes", {}, "/scopes"),
    wrong(_KEYS, "scopes of nothing", {"scopes": []}, "/scopes"),
    wrong(_KEYS, "scopes of a text", {"scopes": "read"}, "/scopes"),
    wrong(_KEYS, "unknown scope", {"scopes": ["root"]}, "/scopes/0"),
    wrong(_KEYS, "four scopes", {"scopes": ["read"] * 4}, "/scopes"),
    wrong(_KEYS, "expiry of 0", {**_SUBMIT, "expires_in_seconds": 0}, "/expires_in_seconds"),
    wrong(_KEYS, "expiry of true", {**_SUBMIT, "expires_in_seconds": True}, "/expires_in_seconds"),
    wrong(_KEYS, "expiry of a text", {**_SUBMIT, "expires_in_seconds": "1"}, "/expires_in_seconds"),
    wrong(
        _KEYS, "expiry of ages", {**_SUBMIT, "expires_in_seconds": 10**12}, "/expires_in_seconds"
    ),
    wrong(_KEYS, "tenant of nothing", {**_SUBMIT, "tenant": ""}, "/tenant"),
    wrong(_KEYS, "tenant of a path", {**_SUBMIT, "tenant": "../local"}, "/tenant"),
    wrong(_KEYS, "tenant of 101", {**_SUBMIT, "tenant": "t" * 101}, "/tenant"),
    wrong(_KEYS, "tenant beyond ASCII", {**_SUBMIT, "tenant": "t\u0435nant"}, "/tenant"),
    wrong(_KEYS, "tenant with a newline", {**_SUBMIT, "tenant": "tests\n"}, "/tenant"),
    wrong(_KEYS, "tenant with a NUL", {**_SUBMIT, "tenant": "tests\0"}, "/tenant"),
    wrong(_KEYS, "unknown name", {**_SUBMIT, "admin": True}, "/admin"),
    Row(
        "key of another tenant",
        _KEYS,
        403,
        "scope",
        headers=JSON,
        tells="tenant",
        content=text({**_SUBMIT, "tenant": "local"}),
    ),
    *(
        Row(
            f"{name} {value[:20]!r}",
            "GET /v1/keys",
            *_BAD,
            pointers=(f"/{name}",),
            params=((name, value),),
        )
        for name, value in (
            *(("limit", "0"), ("limit", "201"), ("limit", "x"), ("cursor", "x"), ("cursor", "")),
            *(("tenant", ""), ("tenant", "a b"), ("tenant", "t" * 101), ("tenant", "x\0")),
        )
    ),
    Row("keys of another tenant", "GET /v1/keys", 403, "scope", params=(("tenant", "local"),)),
    Row("id of a word", "DELETE /v1/keys/{key_id}", *_NONE, path="/v1/keys/mine"),
    Row("id with a NUL", "DELETE /v1/keys/{key_id}", *_NONE, path="/v1/keys/%00"),
    Row("by GET", "DELETE /v1/keys/{key_id}", 405, "method_not_allowed", method="GET"),
    wrong(_LIVE, "background of a number", {"background": 1}, "/background"),
    wrong(_LIVE, "background of nothing", {"background": ""}, "/background"),
    wrong(_LIVE, "unknown background", {"background": "preset:nowhere"}, "/background"),
    wrong(_LIVE, "background that shows through", {"background": "transparent"}, "/background"),
    wrong(_LIVE, "colour that shows through", {"background": "color:#fff8"}, "/background"),
    wrong(_LIVE, "background at an address", {"background": "url:https://a.b/c"}, "/background"),
    wrong(_LIVE, "picture that is stored", {"background": "preset:site/sea"}, "/background"),
    wrong(_LIVE, "background of 1001", {"background": "x" * 1001}, "/background"),
    wrong(_LIVE, "unknown name", {"max_side": 640}, "/max_side"),
    wrong(_TOKENS, "other scopes", {"scopes": ["read"]}, "/scopes"),
    wrong(_TOKENS, "more scopes", {"scopes": ["submit", "admin"]}, "/scopes"),
    wrong(_TOKENS, "ttl of 0", {"ttl_seconds": 0}, "/ttl_seconds"),
    wrong(_TOKENS, "ttl of two days", {"ttl_seconds": 172_800}, "/ttl_seconds"),
    wrong(_TOKENS, "ttl of a fraction", {"ttl_seconds": 1.5}, "/ttl_seconds"),
    wrong(_TOKENS, "ttl beyond all numbers", {"ttl_seconds": 10**100}, "/ttl_seconds"),
    wrong(_TOKENS, "ttl of null", {"ttl_seconds": None}, "/ttl_seconds"),
    wrong(_TOKENS, "no jobs", {"max_jobs": 0}, "/max_jobs"),
    wrong(_TOKENS, "1001 jobs", {"max_jobs": 1001}, "/max_jobs"),
    wrong(
        _TOKENS,
        "several faults",
        {"max_jobs": 0, "ttl_seconds": "x", "a": 1},
        "/max_jobs",
        "/ttl_seconds",
        "/a",
    ),
    wrong(_HOOKS, "no url", {}, "/url"),
    wrong(_HOOKS, "url of a number", {"url": 1}, "/url"),
    wrong(_HOOKS, "url of nothing", {"url": ""}, "/url"),
    wrong(_HOOKS, "url of no web", {"url": "javascript:alert(1)"}, "/url"),
    wrong(_HOOKS, "url with a password", {"url": "https://a:b@example.org/"}, "/url"),
    wrong(_HOOKS, "url of 2049", {"url": f"https://example.org/{'a' * 2040}"}, "/url"),
    wrong(_HOOKS, "url with a NUL", {"url": "https://example.org/\0"}, "/url"),
    wrong(
        _HOOKS,
        "url that looks like another",
        {"url": "https://ex\u0430mple.org\u2024evil/"},
        "/url",
    ),
    wrong(_HOOKS, "events of nothing", {**_URL, "events": []}, "/events"),
    wrong(_HOOKS, "unknown event", {**_URL, "events": ["job.queued"]}, "/events/0"),
    wrong(_HOOKS, "17 events", {**_URL, "events": ["job.failed"] * 17}, "/events"),
    wrong(_HOOKS, "own secret", {**_URL, "secret": "whsec_AAAA"}, "/secret"),
    wrong(_CHANGE, "enabled by a word", {"enabled": "yes"}, "/enabled"),
    wrong(_CHANGE, "enabled by 1", {"enabled": 1}, "/enabled"),
    wrong(_CHANGE, "url of no web", {"url": "ftp://example.org/"}, "/url"),
    wrong(_CHANGE, "own id", {"id": "x"}, "/id"),
    *(
        Row(
            f"id {value}",
            operation,
            *_NONE,
            path=operation.split()[1].format(webhook_id=value),
            headers=JSON if operation == _CHANGE else {},
            content=b"{}" if operation == _CHANGE else None,
        )
        for operation in (
            "GET /v1/webhooks/{webhook_id}",
            _CHANGE,
            "DELETE /v1/webhooks/{webhook_id}",
            "POST /v1/webhooks/{webhook_id}/rotate",
            "POST /v1/webhooks/{webhook_id}/test",
            "GET /v1/webhooks/{webhook_id}/deliveries",
            "POST /v1/webhooks/{webhook_id}/deliveries/replay",
        )
        for value in ("mine", "Default", "%00")
    ),
    *(
        Row(
            f"key of {operation}",
            operation,
            *_BAD,
            pointers=("/Idempotency-Key",),
            headers={"Idempotency-Key": "a b"},
        )
        for operation in (
            "POST /v1/webhooks/{webhook_id}/rotate",
            "POST /v1/webhooks/{webhook_id}/test",
            "POST /v1/webhooks/{webhook_id}/deliveries/replay",
        )
    ),
    *(
        Row(
            f"{name} {value!r}",
            "GET /v1/webhooks/{webhook_id}/deliveries",
            *_BAD,
            pointers=(f"/{name}",),
            params=((name, value),),
        )
        for name, value in (
            *(("limit", "0"), ("limit", "x"), ("state", "lost"), ("cursor", "x")),
            *(("cursor", "9" * 19), ("cursor", "-1"), ("cursor", "\uff11")),
        )
    ),
    *(
        Row(
            f"delivery {value}",
            "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
            *_NONE,
            path=f"/v1/webhooks/{{webhook_id}}/deliveries/{value}/replay",
        )
        for value in ("mine", "019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a")
    ),
    Row("by PUT", "GET /v1/webhooks", 405, "method_not_allowed", method="PUT"),
    Row("by DELETE", "GET /v1/webhooks", 405, "method_not_allowed", method="DELETE"),
)
