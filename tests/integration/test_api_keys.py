"""Keys that keys issue: their issuers, their ends, and what is revoked together."""

import datetime as dt
from typing import Any

import httpx
import pytest

from smart_filter_api.auth import api_keys
from smart_filter_api.auth.api_keys import Scope
from smart_filter_shared.ids import OPERATOR
from smart_filter_tests.serving import Api, Clock, as_bearer, refusal_of, serve_with


def test_leaked_key_is_revoked_with_the_keys_that_it_issued(api: Api, clock: Clock) -> None:
    leaked = api.issue(scopes=["admin"])
    child = api.issue(leaked["key"], scopes=["admin"])
    keys = [leaked, child, api.issue(child["key"], scopes=["read"])]
    token = api.create("/v1/tokens", json={}, headers=as_bearer(api.key(Scope.SUBMIT)))
    other = api.issue(scopes=["read"])

    alone = api.client.delete(f"/v1/keys/{leaked['key_id']}")
    clock.expire_caches()
    still_valid = [is_valid(api, key["key"]) for key in keys]
    together = api.client.delete(f"/v1/keys/{leaked['key_id']}", params={"with_issued": "true"})
    clock.expire_caches()

    assert (alone.status_code, together.status_code) == (204, 204)
    assert child["issued_by"] == leaked["key_id"]
    assert still_valid == [False, True, True]
    assert [is_valid(api, key["key"]) for key in (*keys, other)] == [False, False, False, True]
    assert is_valid(api, token["key"])


@pytest.mark.slow
def test_unknown_keys_are_bounded_and_lock_no_known_key_out(api: Api) -> None:
    known = as_bearer(api.key(Scope.READ))
    # A separate API: unknown keys of other tests do not count here.
    with serve_with(api.bench) as site, httpx.Client(base_url=site.url, timeout=60) as client:
        assert client.get("/v1/usage", headers=known).status_code == 200

        tried = 0
        # The bucket refills while the test runs: ten attempts a second.
        while (answer := client.get("/v1/jobs", headers=as_bearer(str(tried)))).status_code == 401:
            tried += 1
        allowed = client.get("/v1/usage", headers=known)

    assert refusal_of(answer) == (429, "rate_limited")
    assert tried >= 600
    assert allowed.status_code == 200


def is_valid(api: Api, key: str) -> bool:
    return api.client.get("/v1/usage", headers=as_bearer(key)).status_code != 401


def test_only_the_operators_tenant_issues_keys_without_an_end(api: Api) -> None:
    usual = api.issue(scopes=["read"])
    operator = api.headers(Scope.ADMIN, tenant=OPERATOR)
    answer = api.create("/v1/keys", json={"scopes": ["read"]}, headers=operator)

    created, expires = (
        dt.datetime.fromisoformat(usual[name]) for name in ("created_at", "expires_at")
    )
    assert expires - created == dt.timedelta(days=365)
    assert answer["expires_at"] is None


def test_key_ends_no_later_than_its_issuer(api: Api) -> None:
    issuer = api.issue(scopes=["admin"], expires_in_seconds=3600)
    wishes: list[dict[str, Any]] = [
        {},
        {"expires_in_seconds": 365 * 86400},
        {"expires_in_seconds": 60},
    ]

    ends = [api.issue(issuer["key"], scopes=["read"], **w)["expires_at"] for w in wishes]

    assert ends[:2] == [issuer["expires_at"]] * 2
    assert ends[2] < issuer["expires_at"]


def test_operators_key_with_an_end_issues_none_without(api: Api) -> None:
    operator = api.bench.do(
        api_keys.issue, tenant=OPERATOR, scopes=[Scope.ADMIN], valid_for=dt.timedelta(hours=1)
    )

    answer = api.issue(operator.key, scopes=["read"], tenant="acme")

    assert operator.row.expires_at == dt.datetime.fromisoformat(answer["expires_at"])
