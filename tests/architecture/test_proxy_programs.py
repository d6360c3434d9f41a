"""Tests that lack a program are named in one line, and fail in CI."""

import pytest

from smart_filter_tests.proxy_programs import describe_missing, require_program


def skip_reason(name: str) -> str:
    with pytest.raises(pytest.skip.Exception) as skipped:
        require_program(name)
    return str(skipped.value)


def test_tests_without_their_program_are_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    for variable in ("NGINX", "PGBOUNCER"):
        monkeypatch.setenv(variable, "/not/there")
    reasons = [skip_reason("nginx"), skip_reason("pgbouncer"), skip_reason("nginx")]

    line = describe_missing([*reasons, "run as root"])

    assert line == (
        "Not installed: nginx, pgbouncer; skipped tests: 3."
        " To run them: `deploy/bootstrap.sh proxies` as root on Debian, else"
        " `sudo apt install nginx-light pgbouncer`,"
        " or set NGINX, PGBOUNCER to their paths."
    )
    assert describe_missing(["run as root"]) is None


def test_missing_program_fails_the_test_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("CADDY", "/not/there")

    with pytest.raises(pytest.fail.Exception, match="bootstrap"):
        require_program("caddy")
