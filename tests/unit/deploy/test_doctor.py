import datetime as dt
from collections.abc import Iterator

import pytest

from smart_filter_deploy.doctor import checkup, configuration, findings, servers, service
from smart_filter_deploy.doctor.findings import Finding, Level
from smart_filter_shared.config.settings import BrowserSettings
from smart_filter_shared.errors import SetupFailed


def test_secrets_of_the_environment_are_in_no_finding() -> None:
    secrets = findings.find_secrets(
        {
            "SMART_FILTER_DATABASE_URL": "postgresql+psycopg://user:pass%40word@host/d",
            "SMART_FILTER_STORAGE_SECRET_KEY": "s3-secret",
            "SMART_FILTER_BROKER_URL": "redis://:broker-password@host:1/0",
            "SMART_FILTER_DATA": "/srv/photos",
        }
    )
    text = "pass%40word pass@word s3-secret broker-password /srv/photos"

    [hidden] = findings.redact([findings.warn("x", text, f"use {text}")], secrets)

    assert hidden.said == "… … … … /srv/photos"
    assert hidden.fix == "use … … … … /srv/photos"


def test_unknown_variable_is_named_with_the_nearest_known_one() -> None:
    environ = {
        "SMART_FILTER_LEESE_SECONDS": "3",
        "SMART_FILTER_QQQQ": "hush",
        "SMART_FILTER_LEASE_SECONDS": "30",
        "SMART_FILTER_API_KEY": "sf_live_x",
        "SMART_FILTER_API_PORT": "tcp://10.0.0.1:80",
        "SMART_FILTER_API_PORT_80_TCP_ADDR": "10.0.0.1",
        "PATH": "/bin",
    }

    misspelled, unknown = configuration.check_variables(environ)

    assert misspelled.said.startswith("SMART_FILTER_LEESE_SECONDS ")
    assert misspelled.fix == "did you mean SMART_FILTER_LEASE_SECONDS?"
    assert unknown.said.startswith("SMART_FILTER_QQQQ ")
    assert unknown.fix.startswith("docs/settings.md")
    assert misspelled.level == unknown.level == Level.WARN


@pytest.mark.parametrize(
    ("error", "level", "said", "fix"),
    [
        (ZeroDivisionError("by zero"), Level.FAIL, "ZeroDivisionError", ""),
        (
            SetupFailed("no Valkey server for this user: pip install it"),
            Level.FAIL,
            "no Valkey server for this user",
            "pip install it",
        ),
        (
            ModuleNotFoundError(name="psycopg"),
            Level.WARN,
            "",
            "pip install smart-filter",
        ),
    ],
    ids=["defect", "error of the package", "missing extra"],
)
def test_failing_check_is_a_finding_with_its_remedy(
    error: Exception, level: Level, said: str, fix: str
) -> None:
    def check() -> Iterator[Finding]:
        yield findings.ok("thing", "well so far")
        raise error

    first, broken = checkup.guard_check("thing", check())

    assert (first.level, broken.level) == (Level.OK, level)
    assert said in broken.said
    assert fix in broken.fix


@pytest.mark.parametrize(
    ("ahead_seconds", "level"),
    [(0.0, Level.OK), (-4.0, Level.OK), (30.0, Level.WARN), (-1000.0, Level.FAIL)],
)
def test_clock_is_judged_by_its_difference_from_the_databases(
    ahead_seconds: float, level: Level
) -> None:
    theirs = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

    finding = servers.measure_clock_skew(theirs, theirs + dt.timedelta(seconds=ahead_seconds))

    assert finding.level == level
    assert bool(finding.fix) == (level != Level.OK)


def test_unknown_host_of_the_api_is_distinguished_from_one_that_is_down() -> None:
    # Longer than any name may be, so that the resolver sends no query.
    (unknown,) = service.check_api(f"http://{'acme.' * 60}invalid", "")
    (down,) = service.check_api("http://127.0.0.1:1", "")

    assert "does not resolve" in unknown.said
    assert down.fix.startswith("start it")


@pytest.mark.parametrize(
    ("url", "link", "public_url", "levels"),
    [
        ("http://127.0.0.1:8000", None, None, []),
        ("https://photos.example.org", "https://photos.example.org/a", None, [Level.OK]),
        ("https://photos.example.org", "http://photos.example.org/a", None, [Level.WARN]),
        ("https://photos.example.org", None, None, [Level.WARN]),
        ("https://photos.example.org", None, "https://photos.example.org", [Level.OK]),
    ],
)
def test_links_behind_a_proxy_with_https_are_https_too(
    monkeypatch: pytest.MonkeyPatch,
    *,
    url: str,
    link: str | None,
    public_url: str | None,
    levels: list[Level],
) -> None:
    if public_url is not None:
        monkeypatch.setenv("SMART_FILTER_PUBLIC_URL", public_url)

    links = list(service.check_links(url, link))

    assert [finding.level for finding in links] == levels
    assert all(
        "SMART_FILTER_PUBLIC_URL" in finding.fix for finding in links if finding.level == Level.WARN
    )


@pytest.mark.parametrize(
    ("settings", "url", "level", "said"),
    [
        ({}, "http://127.0.0.1:8000", Level.OK, "1 h without use"),
        ({}, "https://photos.example.org", Level.OK, "none"),
        ({"cors_origins": "https://a.example"}, None, Level.OK, "https://a.example"),
        ({"cors_origins": "*"}, None, Level.WARN, "any origin"),
        ({}, "http://photos.example.org", Level.WARN, "without encryption"),
        ({"session_secure": True}, "http://photos.example.org", Level.FAIL, "users cannot sign in"),
        ({"session_secure": True}, "https://photos.example.org", Level.OK, ""),
    ],
)
def test_browser_permissions_are_judged_with_the_url_of_the_api(
    settings: dict[str, object], url: str | None, level: Level, said: str
) -> None:
    (finding,) = service.check_browsers(BrowserSettings(**settings), url)  # type: ignore[arg-type]  # as read

    assert finding.level == level
    assert said in finding.said
