"""What the doctor says, and what it never says."""

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from smart_filter_deploy.doctor import checkup, findings, servers, service, variables
from smart_filter_deploy.doctor.findings import Finding, Level
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.settings import BrowserSettings


def test_finding_is_one_line_with_its_fix() -> None:
    line = findings.fail("disk", "0.1 GB\nfree", "make room").line()

    assert line == "fail  disk         0.1 GB free: make room"


def test_secrets_of_the_environment_are_in_no_finding() -> None:
    secrets = findings.secrets_in(
        {
            "SMART_FILTER_DATABASE_URL": "postgresql+psycopg://user:pass%40word@host/d",
            "SMART_FILTER_STORAGE_SECRET_KEY": "s3-secret",
            "SMART_FILTER_BROKER_URL": "redis://:broker-password@host:1/0",
            "SMART_FILTER_DATA": "/srv/photos",
        }
    )
    told = "pass%40word pass@word s3-secret broker-password /srv/photos"

    [hidden] = findings.without([findings.warn("x", told, f"use {told}")], secrets)

    assert hidden.said == "… … … … /srv/photos"
    assert hidden.fix == "use … … … … /srv/photos"


def test_variable_that_nothing_reads_is_named_with_the_one_that_is_near() -> None:
    found = list(
        variables.variables(
            {
                "SMART_FILTER_LEESE_SECONDS": "3",
                "SMART_FILTER_QQQQ": "hush",
                "SMART_FILTER_LEASE_SECONDS": "30",
                "SMART_FILTER_API_KEY": "sf_live_x",
                "SMART_FILTER_API_PORT": "tcp://10.0.0.1:80",
                "SMART_FILTER_API_PORT_80_TCP_ADDR": "10.0.0.1",
                "PATH": "/bin",
            }
        )
    )

    assert [one.said.split()[0] for one in found] == [
        "SMART_FILTER_LEESE_SECONDS",
        "SMART_FILTER_QQQQ",
    ]
    assert found[0].fix == "did you mean SMART_FILTER_LEASE_SECONDS?"
    assert found[1].fix.startswith("docs/settings.md")
    assert {one.level for one in found} == {Level.WARN}


def test_variables_that_the_settings_page_lists_are_all_known() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    listed = {
        name
        for row in re.findall(r"^\| (SMART_FILTER_[^|]*) \|", page, re.MULTILINE)
        for name in row.split(", ")
    }

    (found,) = variables.variables(dict.fromkeys(listed, "x"))

    assert found.level == Level.OK


def test_check_that_breaks_is_a_finding_and_no_traceback() -> None:
    def check() -> Iterator[Finding]:
        yield findings.ok("thing", "well so far")
        raise ZeroDivisionError("by zero")

    found = list(checkup.survived("thing", check))

    assert [finding.level for finding in found] == [Level.OK, Level.FAIL]
    assert "ZeroDivisionError" in found[1].said


def test_error_of_ours_is_told_with_its_remedy_apart() -> None:
    def check() -> Iterator[Finding]:
        raise SetupFailed("no rclone for this user: pip install it")
        yield

    [found] = checkup.survived("rclone", check)

    assert (found.said, found.fix) == ("no rclone for this user", "pip install it")


def test_package_that_is_missing_names_the_extra() -> None:
    def check() -> Iterator[Finding]:
        raise ModuleNotFoundError(name="psycopg")
        yield

    [found] = checkup.survived("servers", check)

    assert found.level == Level.WARN
    assert "smart-filter[embedded]" in found.fix


@pytest.mark.parametrize(
    ("ahead_seconds", "level"),
    [(0.0, Level.OK), (-4.0, Level.OK), (30.0, Level.WARN), (-1000.0, Level.FAIL)],
)
def test_clock_is_judged_by_how_far_it_is_from_the_databases(
    ahead_seconds: float, level: Level
) -> None:
    theirs = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

    found = servers.clock_against(theirs, theirs + dt.timedelta(seconds=ahead_seconds))

    assert found.level == level
    assert bool(found.fix) == (level != Level.OK)


def test_name_of_the_api_that_leads_nowhere_is_told_apart_from_one_that_is_down() -> None:
    # Longer than any name may be, so that no network is asked.
    (unknown,) = service.api(f"http://{'acme.' * 60}invalid", "")
    (down,) = service.api("http://127.0.0.1:1", "")

    assert "no address is known here" in unknown.said
    assert down.fix.startswith("start it")


@pytest.mark.parametrize(
    ("settings", "url", "level", "told"),
    [
        ({}, "http://127.0.0.1:8000", Level.OK, "1 h unused"),
        ({}, "https://photos.example.org", Level.OK, "none"),
        ({"cors_origins": "https://a.example"}, None, Level.OK, "https://a.example"),
        ({"cors_origins": "*"}, None, Level.WARN, "any origin"),
        ({}, "http://photos.example.org", Level.WARN, "in clear"),
        ({"session_secure": True}, "http://photos.example.org", Level.FAIL, "nobody signs in"),
        ({"session_secure": True}, "https://photos.example.org", Level.OK, ""),
    ],
)
def test_what_browsers_may_do_is_judged_with_where_the_api_is(
    settings: dict[str, object], url: str | None, level: Level, told: str
) -> None:
    (found,) = service.browsers(BrowserSettings(**settings), url)  # type: ignore[arg-type]  # as read

    assert found.level == level
    assert told in found.said
