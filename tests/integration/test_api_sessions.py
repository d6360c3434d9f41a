"""Browsers' sessions: cookies that stand for a key, and what other pages cannot do with them."""

import datetime as dt
import uuid
from collections.abc import Iterator
from http.cookies import SimpleCookie

import httpx
import pytest

from smart_filter_api import keys
from smart_filter_api.browsers import sessions as browser_sessions
from smart_filter_api.keys import Scope
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.serving import Api, a_photo, served_as

COOKIE = "smart-filter"
APP = "https://app.example.com"


class Browser:
    def __init__(self, api: Api, client: httpx.Client, *, key: str | None = None) -> None:
        self.api = api
        self.client = client
        self.key = key or api.key(*Scope)

    def sign_in(self, **wish: str) -> httpx.Response:
        """Sign in with the key, or as is wished."""
        answer = self.client.post("/v1/session", json=wish or {"key": self.key})
        if answer.is_success:
            self.client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
        return answer

    def status(self, path: str = "/v1/jobs", method: str = "GET", **headers: str) -> int:
        """Ask for something; return how it is answered."""
        return self.client.request(method, path, headers=headers).status_code


@pytest.fixture
def browser(api: Api) -> Iterator[Browser]:
    with httpx.Client(base_url=api.url, headers={"Origin": api.url}, timeout=60) as client:
        yield Browser(api, client)


def change(api: Api, statement: str) -> None:
    api.bench.execute(statement)


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


def test_cookie_is_for_no_script_and_no_other_site(browser: Browser) -> None:
    cookie = SimpleCookie(browser.sign_in().headers["set-cookie"])[COOKIE]

    assert cookie["httponly"] is True
    assert cookie["samesite"].lower() == "strict"
    assert (cookie["path"], cookie["domain"], cookie["secure"]) == ("/", "", "")
    assert int(cookie["max-age"]) == 12 * 3600


def test_cookie_that_came_by_https_or_by_the_setting_stays_there(browser: Browser) -> None:
    # The headers of a proxy on this machine that ends TLS.
    headers = {"X-Forwarded-Proto": "https", "Origin": browser.api.url.replace("http", "https")}
    proxied = browser.client.post("/v1/session", json={"key": browser.key}, headers=headers)
    with served_as(browser.api.bench, SMART_FILTER_SESSION_SECURE="true") as url:
        set_ = httpx.post(f"{url}/v1/session", json={"key": browser.key}, timeout=60)

    for answer in (proxied, set_):
        assert answer.headers["set-cookie"].startswith("__Host-smart-filter=")
        assert "; secure" in answer.headers["set-cookie"].lower()


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


def test_key_needs_no_token(api: Api, browser: Browser) -> None:
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

    change(browser.api, end)

    assert (before, browser.status(), browser.status("/v1/session")) == (200, 401, 401)


def test_session_in_use_lasts(browser: Browser) -> None:
    browser.sign_in()

    for _ in range(3):
        change(browser.api, "UPDATE browser_sessions SET used_at = used_at - interval '59 minutes'")
        assert browser.status() == 200


def test_session_has_the_scopes_of_its_key_and_ends_no_later(api: Api, browser: Browser) -> None:
    issued = api.bench.do(
        keys.issue, tenant=TENANT, scopes=[Scope.READ], valid_for=dt.timedelta(hours=1)
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
    # Signing in that failed leaves the session before as it was.
    assert browser.status() == 200


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE browser_codes SET expires_at = statement_timestamp()",
        "UPDATE keys SET revoked_at = now()",
    ],
)
def test_code_that_is_over_opens_nothing(browser: Browser, end: str) -> None:
    code = a_code(browser)

    change(browser.api, end)

    assert browser.sign_in(code=code).status_code == 401


def test_key_of_a_device_opens_no_session(api: Api, browser: Browser) -> None:
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
def test_wrong_wish_opens_nothing(
    api: Api, wish: dict[str, object], status: int, code: str
) -> None:
    answer = api.client.post("/v1/session", json=wish)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "set-cookie" not in answer.headers


def test_form_of_another_page_is_no_document(api: Api, browser: Browser) -> None:
    answer = httpx.post(f"{api.url}/v1/session", data={"key": browser.key}, timeout=60)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")


def test_attempts_are_bounded(api: Api) -> None:
    tried = 0
    # An API of its own: what it knows of attempts is no other test's.
    with served_as(api.bench) as url, httpx.Client(base_url=url, timeout=60) as client:
        # The slower it goes the more are let through meanwhile: one in two seconds.
        while (answer := client.post("/v1/session", json={"code": "guess"})).status_code == 401:
            tried += 1

    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) >= 1
    assert tried >= 30


@pytest.fixture(scope="module")
def open_url(_bench: Bench) -> Iterator[str]:
    with served_as(_bench, SMART_FILTER_CORS_ORIGINS=f"{APP}, http://localhost:5173") as url:
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


def test_named_origin_may_call_with_a_key_and_read_a_refusal(api: Api, open_url: str) -> None:
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
def test_other_origins_may_not(open_url: str, origin: str) -> None:
    answer = httpx.get(f"{open_url}/v1/jobs", headers={"Origin": origin}, timeout=60)

    assert preflight(open_url, origin).status_code == 400
    assert "access-control-allow-origin" not in answer.headers


def test_session_is_not_for_named_origins_either(api: Api, open_url: str) -> None:
    key = api.client.headers["Authorization"].removeprefix("Bearer ")
    signed_in = httpx.post(f"{open_url}/v1/session", json={"key": key}, timeout=60)
    headers = {"Origin": APP, "Cookie": f"smart-filter={signed_in.cookies['smart-filter']}"}

    answer = httpx.get(f"{open_url}/v1/jobs", headers=headers, timeout=60)

    assert signed_in.status_code == 201
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
