"""Sign-in at an OpenID Connect provider, which runs as a process of its own."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import text

from smart_filter_tests import oidc_provider
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.oidc_provider import CLIENT_ID, CLIENT_SECRET, SUBJECT
from smart_filter_tests.serving import serve_with

PUBLIC_URL = "http://photos.test"
CALLBACK = f"{PUBLIC_URL}/sign-in/oidc/callback"
GROUPS = [
    {"group": "editors", "tenant": TENANT, "scopes": ["submit", "read"]},
    {"group": "leads", "tenant": TENANT, "scopes": ["admin"]},
    {"group": "operators", "tenant": "local", "scopes": ["operator"]},
]


@dataclass
class Provider:
    url: str
    process: subprocess.Popen[str]

    def set(self, **control: object) -> None:
        httpx.post(f"{self.url}/control", json=control, timeout=60).raise_for_status()


@dataclass
class Browser:
    client: httpx.Client

    def begin(self, path: str = "/sign-in/oidc") -> httpx.Response:
        return self.client.get(path)

    def authorize(self, begun: httpx.Response) -> str:
        """Let the provider sign the person in; return the query of the callback."""
        answer = httpx.get(begun.headers["location"], timeout=60)
        sent = answer.headers["location"]
        assert sent.startswith(CALLBACK + "?")
        return urlsplit(sent).query

    def call_back(self, query: str) -> httpx.Response:
        return self.client.get(f"/sign-in/oidc/callback?{query}")

    def sign_in(self, path: str = "/sign-in/oidc") -> httpx.Response:
        return self.call_back(self.authorize(self.begin(path)))

    def session(self) -> httpx.Response:
        return self.client.get("/v1/session")


@contextlib.contextmanager
def a_provider(port: int = 0) -> Iterator[Provider]:
    command = [sys.executable, oidc_provider.__file__, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Provider(f"http://127.0.0.1:{int(process.stdout.readline())}", process)
        finally:
            process.terminate()


@contextlib.contextmanager
def a_browser(bench: Bench, issuer: str) -> Iterator[Browser]:
    settings = {
        "SMART_FILTER_PUBLIC_URL": PUBLIC_URL,
        "SMART_FILTER_SECRETS_KEY": "s" * 32,
        "SMART_FILTER_OIDC_ISSUER": issuer,
        "SMART_FILTER_OIDC_CLIENT_ID": CLIENT_ID,
        "SMART_FILTER_OIDC_CLIENT_SECRET": CLIENT_SECRET,
        "SMART_FILTER_OIDC_GROUPS": json.dumps(GROUPS),
        "SMART_FILTER_OIDC_LABEL": "Acme",
    }
    with serve_with(bench, **settings) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield Browser(client)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with a_provider() as provider:
        yield provider


@pytest.fixture
def browser(bench: Bench, provider: Provider) -> Iterator[Browser]:
    with a_browser(bench, provider.url) as browser:
        yield browser


def reason(answer: httpx.Response) -> str:
    assert answer.status_code == 303
    return answer.headers["location"].partition("#sign-in-failed=")[2]


def test_person_gets_the_tenant_and_scopes_of_their_groups(
    browser: Browser, provider: Provider, bench: Bench
) -> None:
    provider.set(groups=["unknown", "editors", "leads", "operators"])

    answer = browser.sign_in()

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    session = browser.session().json()
    assert (session["tenant"], session["scopes"]) == (TENANT, ["admin", "read", "submit"])
    with bench.transaction() as connection:
        events = connection.execute(
            text("SELECT event, key_id FROM audit_events WHERE subject = :subject"),
            {"subject": f"oidc {provider.url} {SUBJECT}"},  # rows of the log outlive a test
        ).all()
    assert [event for event, _ in events] == ["signed_in"]
    assert str(events[0].key_id) == session["key_id"]
    assert browser.client.get("/sign-in").json() == {"oidc": {"label": "Acme"}}


def test_operator_returns_to_the_admin_page(browser: Browser, provider: Provider) -> None:
    provider.set(groups=["operators"])

    answer = browser.sign_in("/sign-in/oidc?then=/admin")

    assert answer.headers["location"] == "/admin"
    assert browser.session().json()["scopes"] == ["operator"]
    assert browser.client.get("/v1/operator/state").status_code != 403


@pytest.mark.parametrize("then", ["https://evil.example", "//evil.example", "/\\evil.example", ""])
def test_sign_in_returns_to_no_other_site(browser: Browser, then: str) -> None:
    begun = browser.client.get("/sign-in/oidc", params={"then": then})

    assert browser.call_back(browser.authorize(begun)).headers["location"] == "/"


def test_provider_is_asked_with_pkce_and_a_bound_cookie(browser: Browser) -> None:
    begun = browser.begin()

    asked = parse_qs(urlsplit(begun.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == [CALLBACK]
    cookie = begun.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert asked["state"][0] not in cookie
    assert begun.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        *((fault, "invalid") for fault in ("nonce", "no_nonce", "aud", "azp", "no_azp", "iss")),
        *((fault, "invalid") for fault in ("expired", "future", "none", "hmac", "other_key")),
        ("mix_up", "invalid"),
        ("denied", "denied"),
    ],
)
def test_wrong_answer_opens_no_session(
    browser: Browser, provider: Provider, bench: Bench, fault: str, expected: str
) -> None:
    provider.set(fault=fault)

    answer = browser.sign_in()

    assert reason(answer) == expected
    assert browser.session().status_code == 401
    with bench.transaction() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM keys").scalar_one() == 0


def test_person_without_a_listed_group_has_no_access(browser: Browser, provider: Provider) -> None:
    provider.set(groups=["unknown"])

    assert reason(browser.sign_in()) == "no_group"
    assert browser.session().status_code == 401


def test_state_of_another_attempt_or_no_cookie_is_refused(browser: Browser) -> None:
    query = browser.authorize(browser.begin())
    browser.begin()
    replaced = browser.call_back(query)
    browser.client.cookies.clear()

    assert (reason(replaced), reason(browser.call_back(query))) == ("stale", "stale")


def test_code_works_once(browser: Browser) -> None:
    begun = browser.begin()
    cookies = dict(browser.client.cookies)
    query = browser.authorize(begun)
    assert browser.call_back(query).headers["location"] == "/"

    browser.client.cookies.clear()
    browser.client.cookies.update(cookies)

    assert reason(browser.call_back(query)) == "invalid"
    assert browser.session().status_code == 401


def test_new_key_of_the_provider_is_fetched(browser: Browser, provider: Provider) -> None:
    browser.sign_in()
    provider.set(fault="rotated")

    assert browser.sign_in().headers["location"] == "/"


def test_sign_out_ends_the_session_here_and_at_the_provider(
    browser: Browser, provider: Provider
) -> None:
    browser.sign_in()
    token = browser.session().json()["csrf_token"]

    ended = browser.client.delete("/v1/session", headers={"X-CSRF-Token": token})

    assert ended.status_code == 204
    assert browser.session().status_code == 401
    away = browser.client.get(ended.headers["location"])
    assert away.headers["location"].startswith(f"{provider.url}/end?client_id={CLIENT_ID}")
    back = httpx.get(away.headers["location"], timeout=60)
    assert back.headers["location"] == f"{PUBLIC_URL}/"


def test_session_and_its_key_end_together(browser: Browser, bench: Bench) -> None:
    browser.sign_in()

    with bench.transaction() as connection:
        ends = connection.exec_driver_sql(
            "SELECT keys.expires_at, browser_sessions.expires_at"
            " FROM keys JOIN browser_sessions ON key_id = keys.id"
        ).one()
    assert abs((ends[0] - ends[1]).total_seconds()) < 60
    bench.execute("UPDATE browser_sessions SET expires_at = statement_timestamp()")
    assert browser.session().status_code == 401


def test_page_of_another_site_starts_no_sign_in(browser: Browser) -> None:
    answer = browser.client.get("/sign-in/oidc", headers={"Sec-Fetch-Site": "cross-site"})

    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")


def test_service_without_its_provider_starts_and_says_so(bench: Bench) -> None:
    with a_provider() as provider:
        url = provider.url
    with a_browser(bench, url) as browser:
        assert reason(browser.begin()) == "provider_away"

        with a_provider(int(url.rpartition(":")[2])):
            begun = browser.begin()
            query = browser.authorize(begun)

        assert reason(browser.call_back(query)) == "provider_away"


def test_without_a_provider_there_is_no_such_sign_in(bench: Bench) -> None:
    with serve_with(bench) as url:
        assert httpx.get(f"{url}/sign-in", timeout=60).json() == {"oidc": None}
        assert httpx.get(f"{url}/sign-in/oidc", timeout=60).status_code == 404
