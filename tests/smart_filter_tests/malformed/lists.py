"""Malformed queries, headers and addresses of whatever is looked at or moved."""

from collections.abc import Sequence

from smart_filter_tests.malformed.rows import Row

_BAD = (400, "malformed_request")
_NONE = (404, "not_found")
_METHOD = (405, "method_not_allowed")


def _query(operation: str, name: str, value: str, told: str = "") -> Row:
    """Return a row with one wrong parameter."""
    shown = value if value.isascii() and value.isprintable() and len(value) < 40 else ascii(value)
    return Row(
        f"{name} {shown[:40]}",
        operation,
        *_BAD,
        pointers=(f"/{name}",),
        tells=told,
        params=((name, value),),
    )


def _key(operation: str, name: str, key: str | bytes) -> Row:
    """Return a row with an Idempotency-Key that is none."""
    return Row(
        f"key {name}",
        operation,
        *_BAD,
        pointers=("/Idempotency-Key",),
        tells="in quotes",
        headers={"Idempotency-Key": key},
    )


def _absent(operation: str, name: str, path: str) -> Row:
    return Row(f"id {name}", operation, *_NONE, path=path)


def _method(operation: str, *methods: str) -> Sequence[Row]:
    return [Row(f"by {method}", operation, *_METHOD, method=method) for method in methods]


LISTS = (
    *(
        _query("GET /v1/jobs", "limit", value)
        for value in ("0", "-1", "201", "1e2", "\uff11", "9" * 5000, "", "ten", "1;2", "\0")
    ),
    *(_query("GET /v1/jobs", "state", value) for value in ("done", "QUEUED", "queued ", "\u212a")),
    *(
        _query("GET /v1/jobs", "created_after", value)
        for value in (
            *("yesterday", "0", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00:00 01:00"),
            *("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-02-30T00:00:00Z"),
        )
    ),
    *(
        _query("GET /v1/jobs", "cursor", value)
        for value in ("", "x", "A" * 23, "\u00e9" * 22, "A" * 21 + "B", "../../etc/passwd")
    ),
    _query("GET /v1/jobs", "metadata.a", "x\0y", "NUL"),
    Row("method TRACE", "GET /v1/jobs", *_METHOD, method="TRACE"),
    *(_method("GET /v1/jobs", "DELETE", "PATCH", "PUT", "BREW")),
    Row("slash at the end", "GET /v1/jobs", *_NONE, path="/v1/jobs/"),
    Row("two slashes", "GET /v1/jobs", *_NONE, path="//v1/jobs"),
    Row("capitals in the path", "GET /v1/jobs", *_NONE, path="/v1/Jobs"),
    *(
        _absent("GET /v1/jobs/{job_id}", name, f"/v1/jobs/{job_id}")
        for name, job_id in {
            "of a word": "mine",
            "of a number": "1",
            "with a NUL": "%00",
            "of bytes that are no UTF-8": "%ff%fe",
            "of 3000 letters": "a" * 3000,
            "with SQL": "'%20OR%201=1--",
            "up a folder": "..%2F..%2Fetc",
            "in full-width digits": "%EF%BC%90" * 32,
            "in braces": "%7B019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a%7D",
        }.items()
    ),
    *(_method("GET /v1/jobs/{job_id}", "PUT", "POST", "PATCH")),
    Row(
        "job that was deleted",
        "GET /v1/jobs/{job_id}",
        410,
        "job_deleted",
        path="/v1/jobs/{deleted_id}",
    ),
    *(
        Row(
            f"behind event {value[:20]!r}",
            "GET /v1/jobs/{job_id}/events",
            *_BAD,
            pointers=("/last-event-id",),
            headers={"Last-Event-ID": value},
        )
        for value in ("first", "-1", "1.5", str(2**63), "9" * 5000, "0x1", "1,2")
    ),
    *(_method("GET /v1/jobs/{job_id}/events", "POST")),
    *(
        _key("POST /v1/jobs/{job_id}/cancel", name, key)
        for name, key in {
            "of nothing": "",
            "of 256": "k" * 256,
            "of two words": "a b",
            "in half quotes": '"a',
            "with a tab": '"a\tb"',
            "beyond ASCII": "schl\u00fcssel".encode(),
        }.items()
    ),
    Row("cancel what has ended", "POST /v1/jobs/{job_id}/cancel", 409, "job_final"),
    Row(
        "cancel what was deleted",
        "POST /v1/jobs/{job_id}/cancel",
        410,
        "job_deleted",
        path="/v1/jobs/{deleted_id}/cancel",
    ),
    _absent("POST /v1/jobs/{job_id}/cancel", "of a word", "/v1/jobs/mine/cancel"),
    Row("redrive what succeeded", "POST /v1/jobs/{job_id}/redrive", 409, "job_final"),
    _absent("POST /v1/jobs/{job_id}/redrive", "of a word", "/v1/jobs/mine/redrive"),
    _key("POST /v1/jobs/{job_id}/redrive", "of 256", "k" * 256),
    _absent("DELETE /v1/jobs/{job_id}", "of a word", "/v1/jobs/mine"),
    Row(
        "delete twice", "DELETE /v1/jobs/{job_id}", 410, "job_deleted", path="/v1/jobs/{deleted_id}"
    ),
    Row("delete all", "DELETE /v1/jobs/{job_id}", *_METHOD, path="/v1/jobs"),
    *(
        Row(
            f"output {name[:30]}",
            "GET /v1/jobs/{job_id}/outputs/{name}",
            *_NONE,
            path=f"/v1/jobs/{{job_id}}/outputs/{name}",
        )
        for name in ("hologram", "Image", "image.png", "matte", "..%2Fimage", "%00")
    ),
    *(
        Row(
            f"redirect {value!r}",
            "GET /v1/jobs/{job_id}/outputs/{name}",
            *_BAD,
            pointers=("/redirect",),
            params=(("redirect", value),),
        )
        for value in ("maybe", "2", "", "1.0")
    ),
    *(
        _query("GET /v1/jobs/{job_id}/photo", "original", value)
        for value in ("maybe", "2", "", "1.0", "full")
    ),
    _absent("GET /v1/jobs/{job_id}/photo", "of a word", "/v1/jobs/mine/photo"),
    _absent("GET /v1/jobs/{job_id}/photo", "of a file", "/v1/jobs/{job_id}/photo.jpg"),
    *(_method("GET /v1/jobs/{job_id}/photo", "POST", "PUT", "DELETE")),
    *(_query("GET /v1/models", "all", value) for value in ("maybe", "", "2")),
    *(_method("GET /v1/models", "POST", "DELETE")),
    *(_method("GET /v1/backgrounds", "POST", "PUT")),
    _absent("GET /v1/backgrounds", "below it", "/v1/backgrounds/rainbow"),
    *(_method("GET /v1/backgrounds/keywords", "POST")),
    *(
        _absent(
            "GET /v1/backgrounds/{name}/thumbnail",
            f"of {name[:30]}",
            f"/v1/backgrounds/{name}/thumbnail",
        )
        for name in (
            *("nosuch", "SKY", "sky.webp", "sky+linen", "tenant/", "site/nosuch", "other/sky"),
            *("..%2Fsky", "..%2F..%2Fetc%2Fpasswd", "%00", "%ff", "%20", "a" * 3000),
        )
    ),
    *(_method("GET /v1/backgrounds/{name}/thumbnail", "POST", "DELETE")),
    *(_method("GET /v1/filters", "POST", "PUT")),
    _absent("GET /v1/filters", "below it", "/v1/filters/hat"),
    *(
        _query("GET /v1/usage", name, value)
        for name, value in (
            *(("from", "yesterday"), ("from", "2026-02-30"), ("from", "0"), ("from", "2026-1-1")),
            *(("to", "9999-12-32"), ("to", "2026-01-01T00:00:00Z"), ("to", "\uff12026-01-01")),
        )
    ),
    Row(
        "days in the wrong order",
        "GET /v1/usage",
        *_BAD,
        pointers=("/from",),
        tells="366",
        params=(("from", "2026-02-01"), ("to", "2026-01-01")),
    ),
    Row(
        "years",
        "GET /v1/usage",
        *_BAD,
        pointers=("/from",),
        tells="366",
        params=(("from", "0001-01-01"), ("to", "9999-12-31")),
    ),
    *(_method("GET /livez", "POST")),
    *(_method("GET /readyz", "POST")),
    *(_method("GET /metrics", "POST")),
    _absent("GET /problems/{code}", "of nobody", "/problems/headache"),
    _absent("GET /problems/{code}", "up a folder", "/problems/..%2F..%2Fetc%2Fpasswd"),
)
