"""Keys, keys of devices, and tokens for live video."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from smart_filter_api import keys
from smart_filter_api.keys import Scope
from smart_filter_shared.errors import Unauthorized
from smart_filter_shared.ids import OPERATOR
from smart_filter_shared.live.tokens import Admission, Tokens
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.serving import Api, Clock, a_photo, an_api, served_as

Json = dict[str, Any]


def issued(api: Api, path: str = "/v1/keys", **wish: object) -> Json:
    answer = api.client.post(path, json=wish)
    assert answer.status_code == 201, answer.text
    document: Json = answer.json()
    return document


def as_bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def submitted(api: Api, key: str, **headers: str) -> httpx.Response:
    files = {"photo": ("photo", a_photo())}
    return api.client.post("/v1/jobs", files=files, headers={**as_bearer(key), **headers})


@pytest.mark.parametrize("end", ["expires", "is-revoked"])
def test_key_is_refused_once_it_expires_or_is_revoked(api: Api, clock: Clock, end: str) -> None:
    key = issued(api, scopes=["read"], expires_in_seconds=3600)
    created, expires = (
        dt.datetime.fromisoformat(key[name]) for name in ("created_at", "expires_at")
    )
    assert expires - created == dt.timedelta(hours=1)
    assert api.client.get("/v1/jobs", headers=as_bearer(key["key"])).status_code == 200

    if end == "expires":
        api.bench.execute("UPDATE keys SET expires_at = now() WHERE expires_at > now()")
    else:
        answers = [api.client.delete(f"/v1/keys/{key['key_id']}") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [204, 204]
    clock.make_old()  # callers are remembered for a second

    assert api.client.get("/v1/jobs", headers=as_bearer(key["key"])).status_code == 401


def test_keys_are_listed_in_pages_and_never_shown(api: Api) -> None:
    ids = {issued(api, scopes=["read"])["key_id"] for _ in range(3)}

    first = api.client.get("/v1/keys", params={"limit": 2}).json()
    second = api.client.get("/v1/keys", params={"limit": 2, "cursor": first["next_cursor"]}).json()

    listed = [*first["items"], *second["items"]]
    assert ids < {key["key_id"] for key in listed}
    assert len(listed) == 4  # with the client's own
    assert second["next_cursor"] is None
    assert all("key" not in key and "digest" not in key for key in listed)


def test_operator_administers_every_tenant(api: Api) -> None:
    operator = api.headers(*Scope, tenant=OPERATOR)

    key = api.client.post(
        "/v1/keys", json={"tenant": "acme", "scopes": ["submit"]}, headers=operator
    ).json()
    listed = api.client.get("/v1/keys", params={"tenant": "acme"}, headers=operator).json()
    revoked = api.client.delete(f"/v1/keys/{key['key_id']}", headers=operator)

    assert [one["key_id"] for one in listed["items"]] == [key["key_id"]]
    assert revoked.status_code == 204
    assert submitted(api, key["key"]).status_code == 401


def test_operators_keys_are_not_revoked_over_http(api: Api) -> None:
    issued = api.bench.do(keys.issue, tenant=OPERATOR, scopes=[Scope.OPERATOR])
    administrator = api.headers(Scope.ADMIN, tenant=OPERATOR)

    answer = api.client.delete(f"/v1/keys/{issued.key_id}", headers=administrator)

    assert (answer.status_code, answer.json()["code"]) == (403, "scope")
    assert f"smart-filter keys revoke {issued.key_id}" in answer.json()["detail"]
    assert api.bench.do(keys.authenticate, keys.digest_of(issued.key)).tenant == OPERATOR


@pytest.mark.parametrize(
    ("path", "wish"), [("/v1/keys", {"scopes": ["read"]}), ("/v1/tokens", {"scopes": ["submit"]})]
)
def test_key_whose_answer_was_lost_is_shown_again_and_stored_nowhere(
    api: Api, path: str, wish: Json
) -> None:
    again = {"Idempotency-Key": "one"}

    first, second = (api.client.post(path, json=wish, headers=again) for _ in range(2))

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert first.json()["key"] is not None
    with api.bench.transaction() as connection:
        stored = str(connection.execute(text("SELECT * FROM requests")).all())
    assert first.json()["key"] not in stored


def test_device_submits_as_many_jobs_as_it_may_also_when_all_come_at_once(api: Api) -> None:
    token = issued(api, "/v1/tokens", scopes=["submit"], ttl_seconds=60, max_jobs=3)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: submitted(api, token["key"]), range(8)))

    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [403] * 5
    assert api.leftovers()["jobs"] == api.leftovers()["objects"] == 3
    assert {answer.json()["id"] for answer in answers if answer.status_code == 202} == {
        job["id"] for job in api.client.get("/v1/jobs").json()["items"]
    }


def test_neither_a_refused_photo_nor_a_repeated_request_is_counted(api: Api) -> None:
    token = issued(api, "/v1/tokens", max_jobs=1)
    header = as_bearer(token["key"])

    refused = api.client.post("/v1/jobs", files={"photo": ("photo", b"no photo")}, headers=header)
    answers = [submitted(api, token["key"], **{"Idempotency-Key": "mine"}) for _ in range(2)]

    assert refused.status_code == 415
    assert [answer.status_code for answer in answers] == [202, 202]


def test_device_does_nothing_but_submit(api: Api) -> None:
    key = issued(api, "/v1/tokens", max_jobs=1)["key"]
    job = submitted(api, key).json()["id"]

    answers = [
        api.client.request(method, f"/v1/{path}", headers=as_bearer(key))
        for method, path in (
            *(("POST", f"jobs/{job}/cancel"), ("POST", f"jobs/{job}/redrive")),
            *(("DELETE", f"jobs/{job}"), ("GET", f"jobs/{job}"), ("GET", "jobs")),
            *(("GET", "usage"), ("GET", "keys")),
            *(("POST", "tokens"), ("POST", "uploads"), ("POST", "live")),
        )
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(403, "scope")}
    assert api.job(job)["state"] == "queued"


def test_devices_key_dies_with_the_one_that_issued_it(api: Api) -> None:
    parent = issued(api, scopes=["submit"], expires_in_seconds=60)
    token = api.client.post(
        "/v1/tokens", json={"ttl_seconds": 3600}, headers=as_bearer(parent["key"])
    ).json()
    assert token["expires_at"] == parent["expires_at"]

    api.client.delete(f"/v1/keys/{parent['key_id']}")

    assert submitted(api, token["key"]).status_code == 401


def admission(api: Api, token: str) -> Admission:
    keys = [SecretStr.get_secret_value(key) for key in api.bench.settings.live.secret]
    return Tokens(keys).read(token, now=dt.datetime.now(dt.UTC))


@pytest.mark.parametrize("background", ["blur:0.5", None])
def test_token_for_live_video_is_the_callers(api: Api, background: str | None) -> None:
    answer = api.client.post("/v1/live", json={"background": background} if background else {})

    said = answer.json()
    admitted = admission(api, said["token"])
    assert answer.status_code == 201
    assert said["url"] == "wss://live.example.org/v1/live/socket"
    assert (admitted.tenant, admitted.background) == (TENANT, background)
    assert admitted.expires_at == dt.datetime.fromisoformat(said["expires_at"])


def test_token_for_live_video_whose_answer_was_lost_is_shown_again(api: Api) -> None:
    once = {"Idempotency-Key": "one"}

    first, second = (api.client.post("/v1/live", json={}, headers=once) for _ in range(2))

    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"


def test_without_the_settings_there_is_no_live_video(bench: Bench) -> None:
    with served_as(bench) as url, an_api(url, bench) as api:
        answer = api.client.post("/v1/live", json={})

    assert (answer.status_code, answer.json()["code"]) == (422, "not_available")
    assert "SMART_FILTER_LIVE_URL" in answer.json()["detail"]


def test_issued_key_identifies_its_tenant_and_scopes_and_is_not_stored(bench: Bench) -> None:
    with bench.transaction() as connection:
        issued = keys.issue(connection, tenant=TENANT, scopes=[Scope.READ])

        caller = keys.authenticate(connection, keys.digest_of(issued.key))
        stored = str(connection.exec_driver_sql("SELECT * FROM keys").all())

    assert issued.key.startswith("sf_live_")
    assert (caller.key_id, caller.tenant, caller.scopes) == (issued.key_id, TENANT, {"read"})
    assert issued.key not in stored


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE keys SET revoked_at = now()",
        "UPDATE keys SET expires_at = statement_timestamp()",
        "DELETE FROM keys",
    ],
)
def test_key_that_is_not_valid_any_more_is_refused(bench: Bench, change: str) -> None:
    with bench.transaction() as connection:
        issued = keys.issue(
            connection, tenant=TENANT, scopes=[Scope.READ], valid_for=dt.timedelta(days=1)
        )
        keys.authenticate(connection, keys.digest_of(issued.key))
        connection.exec_driver_sql(change)

        with pytest.raises(Unauthorized):
            keys.authenticate(connection, keys.digest_of(issued.key))


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        *((Scope.READ, "POST", path) for path in ("jobs", "batches", "live", "jobs/1/cancel")),
        *((Scope.READ, "POST", path) for path in ("jobs/1/redrive", "jobs/1/corrections")),
        *((Scope.READ, method, f"tenants/{TENANT}") for method in ("GET", "PATCH")),
        *((Scope.READ, "DELETE", "jobs/1"), (Scope.ADMIN, "GET", "jobs/1/outputs/image")),
        *((Scope.SUBMIT, "GET", path) for path in ("jobs", "models")),
    ],
)
def test_key_does_only_what_its_scopes_allow(
    api: Api, scope: Scope, method: str, path: str
) -> None:
    headers = {"Authorization": f"Bearer {api.key(scope)}"}

    answer = api.client.request(method, f"/v1/{path}", headers=headers, json={})

    assert (answer.status_code, answer.json()["code"]) == (403, "scope")
