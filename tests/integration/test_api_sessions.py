"""Authentication: browser sessions, API keys, device keys, and tokens for live video."""

import datetime as dt
import uuid
from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from smart_filter_api.auth import api_keys
from smart_filter_api.auth import sessions as browser_sessions
from smart_filter_api.auth.api_keys import Scope
from smart_filter_shared.ids import OPERATOR
from smart_filter_shared.live import TokenClaims, Tokens
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.serving import (
    Api,
    Clock,
    a_photo,
    an_api_with,
    as_bearer,
    refusal_of,
    serve_with,
)

COOKIE = "smart-filter"
_OWN_PICTURES = "backgrounds/tenant"
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
    with serve_with(browser.api.bench, SMART_FILTER_SESSION_SECURE="true") as site:
        set_ = httpx.post(f"{site.url}/v1/session", json={"key": browser.key}, timeout=60)

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
        assert refusal_of(answer) == (403, "csrf")
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
        assert refusal_of(answer) == (403, "csrf")
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
        assert refusal_of(refused) == (401, "unauthorized")


def test_sessions_of_the_key_are_listed_and_ended(api: Api, browser: Browser) -> None:
    lost, other = (
        httpx.post(f"{api.url}/v1/session", json={"key": key}, timeout=60)
        for key in (browser.key, api.key(Scope.READ))
    )
    browser.sign_in()

    (mine, listed) = browser.client.get("/v1/sessions").json()["items"]
    by_key = httpx.get(f"{api.url}/v1/sessions", headers=as_bearer(browser.key), timeout=60).json()
    ended, again = (
        browser.status(f"/v1/sessions/{listed['session_id']}", "DELETE") for _ in range(2)
    )

    assert (mine["is_current"], listed["is_current"]) == (True, False)
    assert by_key["items"] == [{**mine, "is_current": False}, listed]
    assert listed["created_at"] == listed["used_at"] == lost.json()["created_at"]
    assert (ended, again) == (204, 404)
    statuses = [
        httpx.get(f"{api.url}/v1/session", cookies=dict(one.cookies), timeout=60).status_code
        for one in (lost, other)
    ]
    assert statuses == [401, 200]
    assert [item["session_id"] for item in browser.client.get("/v1/sessions").json()["items"]] == [
        mine["session_id"]
    ]


def test_session_of_another_key_is_not_found(api: Api, browser: Browser) -> None:
    browser.sign_in()
    (mine,) = browser.client.get("/v1/sessions").json()["items"]
    with httpx.Client(base_url=api.url, timeout=60) as other:
        opened = other.post("/v1/session", json={"key": api.key(*Scope)}).json()
        other.headers["X-CSRF-Token"] = opened["csrf_token"]

        statuses = [
            other.delete(f"/v1/sessions/{one}").status_code
            for one in (mine["session_id"], str(uuid.UUID(int=7)), "x")
        ]

    assert statuses == [404] * 3
    assert browser.status("/v1/session") == 200


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


def test_sign_in_beyond_the_maximum_ends_the_oldest_session(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, other = browser.api.bench, browser.api.key(Scope.READ)
    lifetimes = browser_sessions.Lifetimes(dt.timedelta(hours=1), dt.timedelta(hours=12))
    monkeypatch.setattr(browser_sessions, "MAX_SESSIONS_OF_KEY", 3)
    keys = [other, *[browser.key] * 5]

    opened = [bench.do(browser_sessions.open_with_key, key, lifetimes) for key in keys]

    statuses = [
        httpx.get(
            f"{browser.api.url}/v1/jobs", headers={"Cookie": f"{COOKIE}={one.cookie}"}, timeout=60
        ).status_code
        for one in opened
    ]
    assert statuses == [200, 401, 401, 200, 200, 200]


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


@pytest.mark.parametrize(
    ("method", "path", "wish"),
    [
        ("POST", "/v1/keys", {"scopes": ["read"]}),
        ("POST", "/v1/webhooks", {"url": "https://example.com/told"}),
        ("POST", "/v1/webhooks/default/rotate", None),
        ("PATCH", f"/v1/tenants/{TENANT}", {"link_seconds": 60}),
    ],
)
def test_sensitive_change_needs_a_recent_sign_in(
    api: Api, browser: Browser, method: str, path: str, wish: Json | None
) -> None:
    browser.sign_in()
    age = "UPDATE browser_sessions SET created_at = created_at - interval '15 minutes'"
    api.bench.execute(age)

    refused = browser.client.request(method, path, json=wish)
    others = [browser.status("/v1/keys"), browser.status(f"/v1/tenants/{TENANT}")]
    by_key = api.client.request(method, path, json=wish)
    browser.sign_in()
    again = browser.client.request(method, path, json=wish)

    assert refusal_of(refused) == (403, "sign_in_again")
    assert others == [200, 200]
    assert by_key.is_success
    assert again.is_success


def test_no_key_cookie_or_code_is_stored(browser: Browser) -> None:
    cookie, code = browser.sign_in().cookies[COOKIE], a_code(browser)

    with browser.api.bench.transaction() as connection:
        stored = [
            str(connection.exec_driver_sql(f"SELECT * FROM {table}").all())
            for table in ("browser_sessions", "browser_codes", "keys")
        ]

    assert all(stored)
    assert [secret in "".join(stored) for secret in (browser.key, cookie, code)] == [False] * 3


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
    token = api.create("/v1/tokens", json={})["key"]

    answer = browser.sign_in(key=token)

    assert refusal_of(answer) == (403, "scope")
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

    assert refusal_of(answer) == (status, code)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("end", ["expires", "is-revoked"])
def test_key_is_refused_once_it_expires_or_is_revoked(api: Api, clock: Clock, end: str) -> None:
    key = api.issue(scopes=["read"], expires_in_seconds=3600)
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
    ids = {api.issue(scopes=["read"])["key_id"] for _ in range(3)}

    first = api.read("/v1/keys", params={"limit": 2})
    second = api.read("/v1/keys", params={"limit": 2, "cursor": first["next_cursor"]})

    listed = [*first["items"], *second["items"]]
    assert ids < {key["key_id"] for key in listed}
    assert len(listed) == 4  # with the client's own
    assert second["next_cursor"] is None
    assert all("key" not in key and "digest" not in key for key in listed)


def test_operator_administers_every_tenant(api: Api) -> None:
    operator = api.headers(*Scope, tenant=OPERATOR)

    key = api.create("/v1/keys", json={"tenant": "acme", "scopes": ["submit"]}, headers=operator)
    listed = api.read("/v1/keys", params={"tenant": "acme"}, headers=operator)
    revoked = api.client.delete(f"/v1/keys/{key['key_id']}", headers=operator)

    assert [item["key_id"] for item in listed["items"]] == [key["key_id"]]
    assert revoked.status_code == 204
    assert api.submit_with(key["key"]).status_code == 401


def test_operators_keys_are_not_revoked_over_http(api: Api) -> None:
    issued = api.bench.do(api_keys.issue, tenant=OPERATOR, scopes=[Scope.OPERATOR])
    administrator = api.headers(Scope.ADMIN, tenant=OPERATOR)

    answer = api.client.delete(f"/v1/keys/{issued.key_id}", headers=administrator)

    assert refusal_of(answer) == (403, "scope")
    assert f"smart-filter keys revoke {issued.key_id}" in answer.json()["detail"]
    assert api.bench.do(api_keys.authenticate, api_keys.hash_key(issued.key)).tenant == OPERATOR


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


def test_live_video_token_names_the_origin_of_the_page_that_asked(api: Api) -> None:
    origins = ("https://photos.example.com", "null", None)

    answers = [
        api.client.post("/v1/live", json={}, headers={} if origin is None else {"Origin": origin})
        for origin in origins
    ]
    long = api.client.post("/v1/live", json={}, headers={"Origin": f"https://{'a' * 300}"})

    assert [admission(api, answer.json()["token"]).origin for answer in answers] == [*origins]
    assert refusal_of(long) == (400, "malformed_request")


def test_live_video_without_settings_is_not_available(bench: Bench) -> None:
    with an_api_with(bench) as api:
        answer = api.client.post("/v1/live", json={})

    assert refusal_of(answer) == (422, "not_available")
    assert "SMART_FILTER_LIVE_URL" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        *((Scope.READ, "POST", path) for path in ("jobs", "batches", "live", "jobs/1/cancel")),
        *((Scope.READ, "POST", path) for path in ("jobs/1/redrive", "jobs/1/corrections")),
        *((Scope.READ, method, f"tenants/{TENANT}") for method in ("GET", "PATCH")),
        *((Scope.READ, "DELETE", "jobs/1"), (Scope.ADMIN, "GET", "jobs/1/outputs/image")),
        *((Scope.SUBMIT, "GET", path) for path in ("jobs", "models", "recipes", _OWN_PICTURES)),
        *(
            (scope, method, path)
            for scope in (Scope.SUBMIT, Scope.READ)
            for method, path in (
                *(("PUT", "recipes/shop"), ("DELETE", "recipes/shop")),
                *(("PUT", f"{_OWN_PICTURES}/wall"), ("DELETE", f"{_OWN_PICTURES}/wall")),
                *(("PATCH", "webhooks/1"), ("DELETE", "webhooks/1")),
                *(("POST", f"webhooks/1/{move}") for move in ("rotate", "test")),
                *(("POST", f"webhooks/1/deliveries/{move}") for move in ("replay", "1/replay")),
            )
        ),
    ],
)
def test_key_is_limited_to_its_scopes(api: Api, scope: Scope, method: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {api.key(scope)}"}

    answer = api.client.request(method, f"/v1/{path}", headers=headers, json={})

    assert refusal_of(answer) == (403, "scope")
