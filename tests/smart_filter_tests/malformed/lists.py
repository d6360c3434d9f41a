"""Malformed queries, headers and addresses of what is looked at or moved."""

from smart_filter_tests.malformed.rows import MALFORMED, Row, asked, headed

_JOBS, _JOB = "GET /v1/jobs", "GET /v1/jobs/{job_id}"
_CANCEL, _REDRIVE = "POST /v1/jobs/{job_id}/cancel", "POST /v1/jobs/{job_id}/redrive"
_OUTPUT = "GET /v1/jobs/{job_id}/outputs/{name}"
_THUMBNAIL = "GET /v1/backgrounds/{name}/thumbnail"
_NONE = (404, "not_found")

LISTS = (
    *asked(_JOBS, "limit", "0", "-1", "201", "1e2", "\uff11", "9" * 5000, "", "ten"),
    *asked(_JOBS, "state", "lost", "QUEUED", "queued ", "\u212a"),
    *asked(_JOBS, "created_after", "yesterday", "2026-01-01", "2026-01-01T00:00:00"),
    *asked(_JOBS, "created_after", "2026-02-30T00:00:00Z", "9999-12-31T23:59:59-23:59"),
    *asked(_JOBS, "created_after", "0001-01-01T00:00:00+23:59"),
    *asked(_JOBS, "cursor", "", "x", "AAAA", "A" * 23, "\u00e9" * 22, "A" * 21 + "B"),
    *asked(_JOBS, "metadata.a", "x\0y", tells="NUL"),
    Row("slash at the end", _JOBS, *_NONE, path="/v1/jobs/"),
    Row("two slashes", _JOBS, *_NONE, path="//v1/jobs"),
    Row("capitals in the path", _JOBS, *_NONE, path="/v1/Jobs"),
    *(
        Row(f"id {name}", _JOB, *_NONE, path=f"/v1/jobs/{job_id}")
        for name, job_id in {
            "of bytes that are no UTF-8": "%ff%fe",
            "of 3000 letters": "a" * 3000,
            "with SQL": "'%20OR%201=1--",
            "up a folder": "..%2F..%2Fetc",
            "in full-width digits": "%EF%BC%90" * 32,
            "in braces": "%7B019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a%7D",
        }.items()
    ),
    *headed(_JOB + "/events", "last-event-id", "first", "-1", "1.5", str(2**63), "9" * 5000),
    *headed(_CANCEL, "Idempotency-Key", "", '""', "k" * 256, "a b", '"a', '"a\tb"', '"\\n"'),
    *headed(_CANCEL, "Idempotency-Key", "schl\u00fcssel".encode()),
    *headed(_REDRIVE, "Idempotency-Key", "k" * 256),
    Row("what has ended", _CANCEL, 409, "job_final"),
    Row("what succeeded", _REDRIVE, 409, "job_final"),
    *(
        Row(f"output {name}", _OUTPUT, *_NONE, path=f"/v1/jobs/{{job_id}}/outputs/{name}")
        for name in ("hologram", "Image", "image.png", "matte", "..%2Fimage", "%00")
    ),
    *asked(_OUTPUT, "redirect", "maybe", ""),
    *asked("GET /v1/jobs/{job_id}/photo", "original", "maybe", ""),
    *asked("GET /v1/models", "all", "maybe", ""),
    *(
        Row(f"of {name[:30]}", _THUMBNAIL, *_NONE, path=f"/v1/backgrounds/{name}/thumbnail")
        for name in (
            *("nosuch", "SKY", "sky.webp", "sky+linen", "tenant/", "site/nosuch", "other/sky"),
            *("..%2F..%2Fetc%2Fpasswd", "%00", "%ff", "a" * 3000),
        )
    ),
    *asked("GET /v1/usage", "from", "yesterday", "2026-02-30", "2026-1-1"),
    *asked("GET /v1/usage", "to", "9999-12-32", "2026-01-01T00:00:00Z", "\uff12026-01-01"),
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
    *asked("GET /v1/operator/history", "span", "week"),
    *asked("POST /v1/operator/tenants/{tenant}/cancel", "cursor", "x"),
    *asked("POST /v1/operator/tenants/{tenant}/redrive", "cursor", "x"),
    Row("up a folder", "GET /problems/{code}", *_NONE, path="/problems/..%2F..%2Fetc%2Fpasswd"),
)
