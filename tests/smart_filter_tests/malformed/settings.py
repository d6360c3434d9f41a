"""Malformed requests about sessions and tenants."""

from smart_filter_tests.malformed.accounts import broken, wrong
from smart_filter_tests.malformed.rows import JSON, Row, text

_SIGN_IN, _TENANT = "POST /v1/session", "PATCH /v1/tenants/{tenant}"
_NONE = (404, "not_found")

SETTINGS = (
    wrong(_SIGN_IN, "unknown name", {"key": "x", "tenant": "local"}, "/tenant"),
    wrong(_SIGN_IN, "key of a number", {"key": 1}, "/key"),
    Row(
        "unknown key",
        _SIGN_IN,
        401,
        "unauthorized",
        pointers=("/Authorization",),
        headers=JSON,
        content=text({"key": "sf_live_none"}),
    ),
    Row("by PUT", "GET /v1/session", 405, "method_not_allowed", method="PUT"),
    Row("by PATCH", "DELETE /v1/session", 405, "method_not_allowed", method="PATCH"),
    *broken(_TENANT),
    wrong(_TENANT, "unknown name", {"name": "x"}, "/name"),
    wrong(_TENANT, "nothing kept by a word", {"keep_nothing": "perhaps"}, "/keep_nothing"),
    wrong(_TENANT, "nothing kept by 0", {"keep_nothing": 0}, "/keep_nothing"),
    wrong(_TENANT, "recipe of a list", {"recipe": []}, "/recipe"),
    Row("another one's", "GET /v1/tenants/{tenant}", *_NONE, path="/v1/tenants/local"),
    Row("with a NUL", "GET /v1/tenants/{tenant}", *_NONE, path="/v1/tenants/%00"),
    Row(
        "change another one's",
        _TENANT,
        *_NONE,
        path="/v1/tenants/local",
        headers=JSON,
        content=b"{}",
    ),
)
