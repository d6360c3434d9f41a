"""Sign-in at an OpenID Connect provider."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import pytest

from smart_filter_api.auth import oidc
from smart_filter_shared.config.settings import OidcSettings
from smart_filter_shared.security.secretbox import SecretBox
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.oidc_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    SUBJECT,
    Provider,
    a_provider,
)
from smart_filter_tests.serving import Site, refusal_of, serve_with

PUBLIC_URL = "http://photos.test"
OPERATORS_URL = "http://operators.test:8001"
CALLBACK_PATH = "/sign-in/oidc/callback"
GROUPS = [
    {"group": "editors", "tenant": TENANT, "scopes": ["submit", "read"]},
    {"group": "leads", "tenant": TENANT, "scopes": ["admin"]},
    {"group": "operators", "tenant": "local", "scopes": ["operator"]},
]


@dataclass
class Browser:
    """A browser at the public port, or at the operators' port.

    at: where the settings say that browsers reach this port.
    """

    client: httpx.Client
    at: str = PUBLIC_URL

    def begin(self, path: str = "/sign-in/oidc") -> httpx.Response:
        return self.client.get(path)

    def authorize(self, begun: httpx.Response) -> str:
        """Let the provider sign the person in; return the query of the callback."""
        answer = httpx.get(begun.headers["location"], timeout=60)
        sent = answer.headers["location"]
        assert sent.startswith(f"{self.at}{CALLBACK_PATH}?")
        return urlsplit(sent).query

    def call_back(self, query: str) -> httpx.Response:
        return self.client.get(f"{CALLBACK_PATH}?{query}")

    def sign_in(self, path: str = "/sign-in/oidc") -> httpx.Response:
        return self.call_back(self.authorize(self.begin(path)))

    def session(self) -> httpx.Response:
        return self.client.get("/v1/session")

    def issue_key(self) -> httpx.Response:
        """Make a change that needs a recent sign-in."""
        headers = {"X-CSRF-Token": self.session().json()["csrf_token"]}
        return self.client.post("/v1/keys", json={"scopes": ["read"]}, headers=headers)


@contextlib.contextmanager
def a_site(bench: Bench, issuer: str, **more: str) -> Iterator[Site]:
    settings = {
        "SMART_FILTER_PUBLIC_URL": PUBLIC_URL,
        "SMART_FILTER_SECRETS_KEY": "s" * 32,
        "SMART_FILTER_OIDC_ISSUER": issuer,
        "SMART_FILTER_OIDC_CLIENT_ID": CLIENT_ID,
        "SMART_FILTER_OIDC_CLIENT_SECRET": CLIENT_SECRET,
        "SMART_FILTER_OIDC_GROUPS": json.dumps(GROUPS),
        "SMART_FILTER_OIDC_LABEL": "Acme",
    }
    with serve_with(bench, **settings, **more) as site:
        yield site


@contextlib.contextmanager
def a_browser(bench: Bench, issuer: str) -> Iterator[Browser]:
    with a_site(bench, issuer) as site, httpx.Client(base_url=site.url, timeout=60) as client:
        yield Browser(client)


@pytest.fixture(scope="module")
def _provider() -> Iterator[Provider]:
    with a_provider() as provider:
        yield provider


@pytest.fixture
def provider(_provider: Provider) -> Provider:
    """The provider, without an earlier test's faults."""
    _provider.set(groups=["editors"], fault=None, claims={}, remembered_seconds=0)
    return _provider


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
    events = bench.rows(
        "SELECT event, key_id FROM audit_events WHERE subject = :subject",
        subject=f"oidc {provider.url} {SUBJECT}",  # rows of the log outlive a test
    )
    assert [event for event, _ in events] == ["signed_in"]
    assert str(events[0].key_id) == session["key_id"]
    assert browser.client.get("/sign-in").json() == {"oidc": {"label": "Acme"}}


def test_operator_returns_to_the_admin_page_of_the_operators_port(
    bench: Bench, provider: Provider
) -> None:
    provider.set(groups=["operators"])
    with (
        a_site(bench, provider.url, SMART_FILTER_OPERATORS_URL=OPERATORS_URL) as site,
        httpx.Client(base_url=site.operators_url, timeout=60) as client,
    ):
        browser = Browser(client, OPERATORS_URL)
        answer = browser.sign_in("/sign-in/oidc?then=/admin")
        session = browser.session().json()
        standing = client.get("/v1/operator/standing")
        away = client.get("/sign-in/oidc/sign-out")

    assert answer.headers["location"] == "/admin"
    assert session["scopes"] == ["operator"]
    assert standing.status_code == 200
    (after,) = parse_qs(urlsplit(away.headers["location"]).query)["post_logout_redirect_uri"]
    assert after == f"{OPERATORS_URL}/"


def test_public_port_leads_to_no_admin_page(browser: Browser) -> None:
    assert browser.sign_in("/sign-in/oidc?then=/admin").headers["location"] == "/"


def test_operators_port_without_an_address_has_no_sign_in_at_the_provider(
    bench: Bench, provider: Provider
) -> None:
    with a_site(bench, provider.url) as site:
        ways = httpx.get(f"{site.operators_url}/sign-in", timeout=60)
        begun = httpx.get(f"{site.operators_url}/sign-in/oidc", timeout=60)

    assert (ways.json(), begun.status_code) == ({"oidc": None}, 404)


@pytest.mark.parametrize("then", ["https://evil.example", "//evil.example", "/\\evil.example", ""])
def test_sign_in_returns_to_no_other_site(browser: Browser, then: str) -> None:
    begun = browser.client.get("/sign-in/oidc", params={"then": then})

    assert browser.call_back(browser.authorize(begun)).headers["location"] == "/"


def test_provider_is_asked_with_pkce_and_a_bound_cookie(browser: Browser) -> None:
    begun = browser.begin()

    asked = parse_qs(urlsplit(begun.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == [PUBLIC_URL + CALLBACK_PATH]
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
    assert bench.scalar("SELECT count(*) FROM keys") == 0


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf", "auth_time"])
def test_claim_that_is_no_time_opens_no_session(
    browser: Browser, provider: Provider, claim: str
) -> None:
    numbers = [True, -1, 10**40, 1e300, float("inf"), float("nan")]
    for value in [str(int(time.time())), "soon", [], *numbers]:
        provider.set(claims={claim: value})

        assert reason(browser.sign_in()) == "invalid", value
    assert browser.session().status_code == 401


@pytest.mark.parametrize(
    ("fault", "expected"), [("nested", "invalid"), ("nested_answer", "provider_away")]
)
def test_deeply_nested_document_of_the_provider_opens_no_session(
    browser: Browser, provider: Provider, fault: str, expected: str
) -> None:
    provider.set(fault=fault)

    assert reason(browser.sign_in()) == expected


def test_sensitive_change_needs_a_recent_sign_in_at_the_provider(
    browser: Browser, provider: Provider
) -> None:
    provider.set(groups=["leads"], remembered_seconds=16 * 60)

    browser.sign_in()
    remembered = browser.issue_key()
    again = browser.sign_in("/sign-in/oidc?again=true")
    repeated = browser.issue_key()

    assert refusal_of(remembered) == (403, "sign_in_again")
    assert (again.headers["location"], repeated.status_code) == ("/", 201)


def test_person_who_just_signed_in_at_the_provider_is_not_asked_again(
    browser: Browser, provider: Provider
) -> None:
    provider.set(groups=["leads"], remembered_seconds=60)

    browser.sign_in()

    assert browser.issue_key().status_code == 201


def test_provider_that_tells_no_time_signs_in_without_sensitive_changes(
    browser: Browser, provider: Provider
) -> None:
    provider.set(groups=["leads"], claims={"auth_time": None})

    browser.sign_in()

    assert browser.session().status_code == 200
    assert browser.issue_key().json()["code"] == "sign_in_again"


@pytest.mark.parametrize(
    "control",
    [
        {"fault": "remembers", "remembered_seconds": 90},
        {"claims": {"auth_time": None}},
        {"claims": {"auth_time": 0}},
        {"claims": {"auth_time": int(time.time()) + 3600}},
    ],
)
def test_sign_in_again_without_a_new_sign_in_leaves_the_session_as_it_was(
    browser: Browser, provider: Provider, control: dict[str, object]
) -> None:
    provider.set(groups=["leads"], remembered_seconds=3600)
    browser.sign_in()
    provider.set(**control)

    refused = browser.sign_in("/sign-in/oidc?again=true")

    assert reason(refused) == "invalid"
    assert browser.issue_key().json()["code"] == "sign_in_again"


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


def test_callbacks_without_an_attempt_lock_out_no_browser(browser: Browser) -> None:
    asked = {reason(browser.call_back("state=x&code=y")) for _ in range(40)}

    assert asked == {"stale"}
    assert browser.sign_in().headers["location"] == "/"


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

    (ends,) = bench.rows(
        "SELECT keys.expires_at, browser_sessions.expires_at"
        " FROM keys JOIN browser_sessions ON key_id = keys.id"
    )
    assert abs((ends[0] - ends[1]).total_seconds()) < 60
    bench.execute("UPDATE browser_sessions SET expires_at = statement_timestamp()")
    assert browser.session().status_code == 401


def test_key_that_a_person_issues_outlives_the_session(
    browser: Browser, provider: Provider
) -> None:
    provider.set(groups=["leads"])
    browser.sign_in()
    session = browser.session().json()

    key = browser.issue_key().json()

    assert key["issued_by"] == session["key_id"]
    assert key["expires_at"] > session["expires_at"]


def test_page_of_another_site_starts_no_sign_in(browser: Browser) -> None:
    answer = browser.client.get("/sign-in/oidc", headers={"Sec-Fetch-Site": "cross-site"})

    assert refusal_of(answer) == (403, "csrf")


def test_simultaneous_sign_ins_ask_a_silent_provider_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "_REQUEST_SECONDS", 0.5)
    refused: list[oidc.Reason] = []

    async def begin(provider: oidc.OidcProvider) -> None:
        try:
            await provider.begin(PUBLIC_URL, "/")
        except oidc.SignInFailed as error:
            refused.append(error.reason)

    async def begin_many(provider: oidc.OidcProvider) -> None:
        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(begin, provider)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        issuer = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = OidcSettings(issuer=issuer, client_id=CLIENT_ID)
        provider = oidc.OidcProvider(
            settings,
            SecretBox(["s" * 32]),
            public_url=PUBLIC_URL,
            operators_url=None,
            clock=lambda: 0.0,
        )
        anyio.run(begin_many, provider)

        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert refused == [oidc.Reason.PROVIDER_AWAY] * 40


def test_service_without_its_provider_starts_and_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "_AWAY_SECONDS", 0.0)
    with a_provider() as provider:
        url = provider.url
    with a_browser(bench, url) as browser:
        assert reason(browser.begin()) == "provider_away"

        with a_provider(int(url.rpartition(":")[2])):
            begun = browser.begin()
            query = browser.authorize(begun)

        assert reason(browser.call_back(query)) == "provider_away"


def test_without_a_provider_there_is_no_such_sign_in(bench: Bench) -> None:
    with serve_with(bench) as site:
        assert httpx.get(f"{site.url}/sign-in", timeout=60).json() == {"oidc": None}
        assert httpx.get(f"{site.url}/sign-in/oidc", timeout=60).status_code == 404
