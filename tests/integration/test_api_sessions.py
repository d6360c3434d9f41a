"""Authentication: browser sessions, API keys, device keys, and tokens for live video."""

import datetime as dt
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from smart_filter_api.auth import api_keys
from smart_filter_api.auth import sessions as browser_sessions
from smart_filter_api.auth.api_keys import Scope
from smart_filter_shared.ids import OPERATOR
from smart_filter_shared.live.tokens import TokenClaims, Tokens
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.serving import Api, Clock, a_photo, an_api, serve_with
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE
from smart_filter_tests.stored_results import run_stages

COOKIE = "smart-filter"
APP = "https://app.example.com"
Json = dict[str, Any]


class Browser:
    def __init__(self, api: Api, client: httpx.Client, *, key: str | None = None) -> None:
        self.api = api
        self.client = client
        self.key = key or api.key(*Scope)

    def sign_in(self, **wish: str) -> httpx.Response:
        """Sign in with the key, or with these fields."""
        answer = self.client.post("/v1/session", json=wish or {"key": self.key})
        if answer.is_success:
            self.client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
        return answer

    def status(self, path: str = "/v1/jobs", method: str = "GET", **headers: str) -> int:
        """Send a request; return the status of its answer."""
        return self.client.request(method, path, headers=headers).status_code


@pytest.fixture
def browser(api: Api) -> Iterator[Browser]:
    with httpx.Client(base_url=api.url, headers={"Origin": api.url}, timeout=60) as client:
        yield Browser(api, client)


def a_code(browser: Browser, code: str = "a-code-of-many-letters") -> str:
    browser.api.bench.do(
        browser_sessions.allow_code, code, key=browser.key, valid_for=dt.timedelta(minutes=10)
    )
    return code


def test_session_allows_the_same_as_its_key(browser: Browser) -> None:
    answer = browser.sign_in()

    submitted = browser.client.post("/v1/jobs", files={"photo": ("photo", a_photo())})

    assert answer.status_code == 201
    assert submitted.status_code == 202
    assert browser.status(f"/v1/jobs/{submitted.json()['id']}") == 200
    assert browser.client.get("/v1/session").json() == answer.json()
    assert answer.json()["scopes"] == ["admin", "operator", "read", "submit"]
    assert answer.json()["tenant"] == TENANT


def test_cookie_is_hidden_from_scripts_and_other_sites(browser: Browser) -> None:
    cookie = SimpleCookie(browser.sign_in().headers["set-cookie"])[COOKIE]

    assert cookie["httponly"] is True
    assert cookie["samesite"].lower() == "strict"
    assert (cookie["path"], cookie["domain"], cookie["secure"]) == ("/", "", "")
    assert int(cookie["max-age"]) == 12 * 3600


def test_cookie_over_https_or_with_the_setting_is_secure(browser: Browser) -> None:
    # The headers of a proxy on this machine that ends TLS.
    headers = {"X-Forwarded-Proto": "https", "Origin": browser.api.url.replace("http", "https")}
    proxied = browser.client.post("/v1/session", json={"key": browser.key}, headers=headers)
    with serve_with(browser.api.bench, SMART_FILTER_SESSION_SECURE="true") as url:
        set_ = httpx.post(f"{url}/v1/session", json={"key": browser.key}, timeout=60)

    for answer in (proxied, set_):
        assert answer.headers["set-cookie"].startswith("__Host-smart-filter=")
        assert "; secure" in answer.headers["set-cookie"].lower()
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in browser.client.get("/livez").headers
    local = {**headers, "Host": "localhost:1234"}
    assert "strict-transport-security" not in browser.client.get("/livez", headers=local).headers


def test_change_needs_the_token_of_its_session(api: Api, browser: Browser) -> None:
    other = httpx.post(f"{api.url}/v1/session", json={"key": browser.key}, timeout=60).json()[
        "csrf_token"
    ]
    browser.sign_in()
    del browser.client.headers["X-CSRF-Token"]
    files = {"photo": ("photo", a_photo())}

    answers = [
        browser.client.post("/v1/jobs", files=files, headers=headers)
        for headers in ({}, *({"X-CSRF-Token": token} for token in ("", "0" * 64, other)))
    ]

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
        assert "X-CSRF-Token" in answer.json()["detail"]
    assert api.leftovers() == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://[::1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_are_refused(browser: Browser, headers: dict[str, str]) -> None:
    browser.sign_in()

    answers = [
        browser.client.request(method, "/v1/session", headers=headers, json=body)
        for method, body in (("GET", None), ("DELETE", None), ("POST", {"key": browser.key}))
    ]

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
        assert "set-cookie" not in answer.headers
    assert browser.status("/v1/session") == 200


def test_request_with_a_key_needs_no_csrf_token(api: Api, browser: Browser) -> None:
    browser.sign_in()
    headers = {**api.headers(Scope.SUBMIT), "Origin": "https://app.example", "X-CSRF-Token": ""}

    answer = browser.client.post("/v1/jobs", files={"photo": ("photo", a_photo())}, headers=headers)

    assert answer.status_code == 202


def test_session_ends_when_its_browser_signs_in_again_or_out(browser: Browser) -> None:
    first, second = (browser.sign_in().cookies[COOKIE] for _ in range(2))
    assert browser.status("/v1/session") == 200

    answer = browser.client.delete("/v1/session")

    assert answer.status_code == 204
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    for cookie in (first, second, "guess", "\xe9", "x" * 5000):
        headers = {"Cookie": f"{COOKIE}={cookie}".encode("latin-1")}
        refused = httpx.get(f"{browser.api.url}/v1/jobs", headers=headers, timeout=60)
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE keys SET revoked_at = now()",
        "UPDATE keys SET expires_at = statement_timestamp()",
        "DELETE FROM keys",
        "UPDATE browser_sessions SET expires_at = statement_timestamp()",
        "UPDATE browser_sessions SET used_at = used_at - interval '1 hour'",
    ],
)
def test_session_ends_with_its_key_or_its_time(browser: Browser, end: str) -> None:
    browser.sign_in()
    before = browser.status()

    browser.api.bench.execute(end)

    assert (before, browser.status(), browser.status("/v1/session")) == (200, 401, 401)


def test_active_session_is_extended(browser: Browser) -> None:
    browser.sign_in()

    for _ in range(3):
        browser.api.bench.execute(
            "UPDATE browser_sessions SET used_at = used_at - interval '59 minutes'"
        )
        assert browser.status() == 200


def test_session_has_the_scopes_of_its_key_and_ends_no_later(api: Api, browser: Browser) -> None:
    issued = api.bench.do(
        api_keys.issue, tenant=TENANT, scopes=[Scope.READ], valid_for=dt.timedelta(hours=1)
    )

    answer = browser.sign_in(key=issued.key).json()

    assert issued.row.expires_at is not None
    assert dt.datetime.fromisoformat(answer["expires_at"]) == issued.row.expires_at
    assert (browser.status("/v1/jobs"), browser.status("/v1/keys")) == (200, 403)


def test_neither_cookie_nor_code_is_stored(browser: Browser) -> None:
    cookie, code = browser.sign_in().cookies[COOKIE], a_code(browser)

    with browser.api.bench.transaction() as connection:
        stored = [
            str(connection.exec_driver_sql(f"SELECT * FROM {table}").all())
            for table in ("browser_sessions", "browser_codes")
        ]

    assert all(stored)
    assert cookie not in "".join(stored)
    assert code not in "".join(stored)


def test_code_opens_one_session(browser: Browser) -> None:
    code = a_code(browser)

    first, second = browser.sign_in(code=code), browser.sign_in(code=code)

    assert (first.status_code, second.status_code) == (201, 401)
    assert first.json()["scopes"] == ["admin", "operator", "read", "submit"]
    # The failed sign-in left the earlier session unchanged.
    assert browser.status() == 200


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE browser_codes SET expires_at = statement_timestamp()",
        "UPDATE keys SET revoked_at = now()",
    ],
)
def test_used_or_expired_code_opens_no_session(browser: Browser, end: str) -> None:
    code = a_code(browser)

    browser.api.bench.execute(end)

    assert browser.sign_in(code=code).status_code == 401


def test_device_key_opens_no_session(api: Api, browser: Browser) -> None:
    token = api.client.post("/v1/tokens", json={}).json()["key"]

    answer = browser.sign_in(key=token)

    assert (answer.status_code, answer.json()["code"]) == (403, "scope")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ({"key": "a", "code": "b"}, 422, "invalid_request"),
        ({"key": "\0"}, 401, "unauthorized"),
        ({"code": str(uuid.UUID(int=7))}, 401, "unauthorized"),
    ],
)
def test_wrong_credentials_open_no_session(
    api: Api, wish: dict[str, object], status: int, code: str
) -> None:
    answer = api.client.post("/v1/session", json=wish)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "set-cookie" not in answer.headers


def test_form_of_another_page_is_not_a_document(api: Api, browser: Browser) -> None:
    answer = httpx.post(f"{api.url}/v1/session", data={"key": browser.key}, timeout=60)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media")


def test_attempts_are_bounded(api: Api) -> None:
    tried = 0
    # A separate API: attempts of other tests do not count here.
    with serve_with(api.bench) as url, httpx.Client(base_url=url, timeout=60) as client:
        # The bucket refills while the test runs: one attempt in two seconds.
        while (answer := client.post("/v1/session", json={"code": "guess"})).status_code == 401:
            tried += 1

    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) >= 1
    assert tried >= 30


@pytest.fixture(scope="module")
def open_url(_bench: Bench) -> Iterator[str]:
    with serve_with(_bench, SMART_FILTER_CORS_ORIGINS=f"{APP}, http://localhost:5173") as url:
        yield url


def preflight(url: str, origin: str, **more: str) -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,idempotency-key,prefer",
    }
    return httpx.options(f"{url}/v1/jobs", headers=headers | more, timeout=60)


def test_no_page_may_call_by_default(api: Api) -> None:
    answer = api.client.get("/v1/jobs", headers={"Origin": APP})

    assert answer.status_code == 200
    assert [name for name in answer.headers if name.startswith("access-control")] == []
    assert preflight(api.url, APP).status_code == 405


def test_allowed_origin_can_call_with_a_key_and_read_a_refusal(api: Api, open_url: str) -> None:
    asked = preflight(open_url, APP)
    headers = {"Origin": APP, "Authorization": api.client.headers["Authorization"]}
    answer = httpx.get(f"{open_url}/v1/jobs", headers=headers, timeout=60)
    refused = httpx.get(f"{open_url}/v1/jobs", headers={"Origin": APP}, timeout=60)

    answers = (asked, answer, refused)
    assert [one.status_code for one in answers] == [200, 200, 401]
    assert {one.headers["access-control-allow-origin"] for one in answers} == {APP}
    assert "POST" in asked.headers["access-control-allow-methods"]
    shown = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert shown >= {
        *("ETag", "Retry-After", "RateLimit", "RateLimit-Policy", "Location"),
        *("Preference-Applied", "Link"),
    }
    assert "access-control-allow-credentials" not in {**asked.headers, **answer.headers}


@pytest.mark.parametrize("origin", ["https://evil.example", "http://app.example.com", "null"])
def test_other_origins_are_refused(open_url: str, origin: str) -> None:
    answer = httpx.get(f"{open_url}/v1/jobs", headers={"Origin": origin}, timeout=60)

    assert preflight(open_url, origin).status_code == 400
    assert "access-control-allow-origin" not in answer.headers


def test_allowed_origins_cannot_use_sessions(api: Api, open_url: str) -> None:
    key = api.client.headers["Authorization"].removeprefix("Bearer ")
    signed_in = httpx.post(f"{open_url}/v1/session", json={"key": key}, timeout=60)
    headers = {"Origin": APP, "Cookie": f"smart-filter={signed_in.cookies['smart-filter']}"}

    answer = httpx.get(f"{open_url}/v1/jobs", headers=headers, timeout=60)

    assert signed_in.status_code == 201
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")


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
    clock.expire_caches()  # the API caches keys for a second

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
    issued = api.bench.do(api_keys.issue, tenant=OPERATOR, scopes=[Scope.OPERATOR])
    administrator = api.headers(Scope.ADMIN, tenant=OPERATOR)

    answer = api.client.delete(f"/v1/keys/{issued.key_id}", headers=administrator)

    assert (answer.status_code, answer.json()["code"]) == (403, "scope")
    assert f"smart-filter keys revoke {issued.key_id}" in answer.json()["detail"]
    assert api.bench.do(api_keys.authenticate, api_keys.hash_key(issued.key)).tenant == OPERATOR


def test_device_quota_is_exact_for_simultaneous_requests(api: Api) -> None:
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


def test_null_counts_as_absent_in_a_request_for_a_device_key(api: Api) -> None:
    token = issued(api, "/v1/tokens", scopes=None, ttl_seconds=None, max_jobs=None)

    assert (token["scopes"], token["max_jobs"]) == (["submit"], 1)


def test_device_can_only_submit_and_read_its_jobs(api: Api) -> None:
    key = issued(api, "/v1/tokens", max_jobs=1)["key"]
    job = submitted(api, key).json()["id"]

    answers = [
        api.client.request(method, f"/v1/{path}", headers=as_bearer(key))
        for method, path in (
            *(("POST", f"jobs/{job}/cancel"), ("POST", f"jobs/{job}/redrive")),
            *(("DELETE", f"jobs/{job}"), ("POST", f"jobs/{job}/derive"), ("GET", "jobs")),
            *(("GET", f"jobs/{job}/corrections"), ("GET", f"jobs/{job}/photo")),
            *(("GET", "usage"), ("GET", "keys")),
            *(("GET", "backgrounds"), ("GET", "models"), ("GET", "webhooks"), ("GET", "batches")),
            *(("POST", "tokens"), ("POST", "uploads"), ("POST", "live")),
        )
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(403, "scope")}
    assert api.job(job)["state"] == "queued"


def test_device_reads_the_job_that_it_submitted(api: Api) -> None:
    key = issued(api, "/v1/tokens", max_jobs=1)["key"]
    job = submitted(api, key).json()["id"]
    run_stages(api, PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE)

    answers = {
        path: api.client.get(f"/v1/jobs/{job}{path}", headers=as_bearer(key))
        for path in ("", "/events", "/outputs/image")
    }

    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(
        answers, 200
    )
    assert answers["/outputs/image"].content == b"made"
    assert "event: job.succeeded" in answers["/events"].text
    link = answers[""].json()["output_links"]["image"]
    assert httpx.get(link, timeout=60).content == b"made"


def test_devices_do_not_share_idempotency_keys(api: Api) -> None:
    keys = [issued(api, "/v1/tokens", max_jobs=1)["key"] for _ in range(2)]
    photo = a_photo()

    jobs = [
        api.client.post(
            "/v1/jobs",
            headers={**as_bearer(key), "Idempotency-Key": "photo-1"},
            files={"photo": photo},
        ).json()["id"]
        for key in (keys[0], keys[1], keys[0])
    ]

    assert jobs[0] == jobs[2] != jobs[1]


def test_job_of_another_key_does_not_exist_for_a_device(api: Api) -> None:
    mine, other = (issued(api, "/v1/tokens", max_jobs=1)["key"] for _ in range(2))
    deleted = submitted(api, mine).json()["id"]
    api.client.delete(f"/v1/jobs/{deleted}")
    jobs = [submitted(api, other).json()["id"], api.submit(), deleted, str(uuid.uuid4())]

    answers = [
        api.client.get(f"/v1/jobs/{job}{path}", headers=as_bearer(mine))
        for job in jobs
        for path in ("", "/events", "/outputs/image", "/outputs/none")
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {
        (404, "not_found")
    }


def test_device_key_ends_with_the_key_that_issued_it(api: Api) -> None:
    parent = issued(api, scopes=["submit"], expires_in_seconds=60)
    token = api.client.post(
        "/v1/tokens", json={"ttl_seconds": 3600}, headers=as_bearer(parent["key"])
    ).json()
    assert token["expires_at"] == parent["expires_at"]

    api.client.delete(f"/v1/keys/{parent['key_id']}")

    assert submitted(api, token["key"]).status_code == 401


def admission(api: Api, token: str) -> TokenClaims:
    keys = [SecretStr.get_secret_value(key) for key in api.bench.settings.live.secret]
    return Tokens(keys).read(token, now=dt.datetime.now(dt.UTC))


@pytest.mark.parametrize("background", ["blur:0.5", None])
def test_live_video_token_belongs_to_the_caller(api: Api, background: str | None) -> None:
    answer = api.client.post("/v1/live", json={"background": background} if background else {})

    said = answer.json()
    admitted = admission(api, said["token"])
    assert answer.status_code == 201
    assert said["url"] == "wss://live.example.org/v1/live/socket"
    assert (admitted.tenant, admitted.background) == (TENANT, background)
    assert admitted.expires_at == dt.datetime.fromisoformat(said["expires_at"])


def test_live_video_without_settings_is_not_available(bench: Bench) -> None:
    with serve_with(bench) as url, an_api(url, bench) as api:
        answer = api.client.post("/v1/live", json={})

    assert (answer.status_code, answer.json()["code"]) == (422, "not_available")
    assert "SMART_FILTER_LIVE_URL" in answer.json()["detail"]


def test_issued_key_identifies_its_tenant_and_scopes_and_is_not_stored(bench: Bench) -> None:
    with bench.transaction() as connection:
        issued = api_keys.issue(connection, tenant=TENANT, scopes=[Scope.READ])

        caller = api_keys.authenticate(connection, api_keys.hash_key(issued.key))
        stored = str(connection.exec_driver_sql("SELECT * FROM keys").all())

    assert issued.key.startswith("sf_live_")
    assert (caller.key_id, caller.tenant, caller.scopes) == (issued.key_id, TENANT, {"read"})
    assert issued.key not in stored


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
def test_key_is_limited_to_its_scopes(api: Api, scope: Scope, method: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {api.key(scope)}"}

    answer = api.client.request(method, f"/v1/{path}", headers=headers, json={})

    assert (answer.status_code, answer.json()["code"]) == (403, "scope")
