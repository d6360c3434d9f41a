"""Malformed requests of whoever runs the service."""

from smart_filter_tests.malformed.rows import Row

_OPERATOR = "/v1/operator"
_TENANT = f"{_OPERATOR}/tenants/{{tenant}}"
_PAUSE = f"{_OPERATOR}/queues/{{capability}}/pause"
_DRAIN = f"{_OPERATOR}/workers/{{worker_id}}/drain"
_METHOD = (405, "method_not_allowed")
_MALFORMED = (400, "malformed_request")
_NONE = (404, "not_found")

OPERATING = (
    Row("by POST", f"GET {_OPERATOR}/standing", *_METHOD, method="POST"),
    Row("a week", f"GET {_OPERATOR}/history", *_MALFORMED, ("/span",), params=[("span", "week")]),
    Row("by DELETE", f"GET {_OPERATOR}/tenants", *_METHOD, method="DELETE"),
    Row("unknown", f"GET {_TENANT}", *_NONE, path=f"{_OPERATOR}/tenants/nobody"),
    Row("with a NUL", f"GET {_TENANT}", *_NONE, path=f"{_OPERATOR}/tenants/%00"),
    *(
        row
        for move in ("cancel", "redrive")
        for row in (
            Row("unknown", f"POST {_TENANT}/{move}", *_NONE, path=f"{_OPERATOR}/tenants/x/{move}"),
            Row(
                "cursor of a word",
                f"POST {_TENANT}/{move}",
                *_MALFORMED,
                ("/cursor",),
                params=[("cursor", "x")],
            ),
        )
    ),
    *(
        row
        for method in ("PUT", "DELETE")
        for row in (
            Row("unknown", f"{method} {_PAUSE}", *_NONE, path=f"{_OPERATOR}/queues/face.x/pause"),
            Row("no id", f"{method} {_DRAIN}", *_NONE, path=f"{_OPERATOR}/workers/one/drain"),
        )
    ),
)
