"""How commands of servers end when their environment is wrong: one line, no traceback."""

import pytest

from smart_filter_deploy import cli

SERVERS = {
    "SMART_FILTER_DATABASE_URL": "postgresql+psycopg://u:hush@127.0.0.1/d",
    "SMART_FILTER_BROKER_URL": "redis://:hush@127.0.0.1/0",
    "SMART_FILTER_STORAGE_URL": "http://127.0.0.1:9000",
    "SMART_FILTER_STORAGE_ACCESS_KEY": "access",
    "SMART_FILTER_STORAGE_SECRET_KEY": "hush",
    "SMART_FILTER_LIVE_SECRET": "long enough to be a secret of ours",
}
NO_SERVER = 3


@pytest.mark.parametrize(
    "command", ["api --port 1", "prepare", "worker --stages face", "sender", "live-worker", "up"]
)
@pytest.mark.parametrize("name", ["SMART_FILTER_LEASE_SECONDS", "SMART_FILTER_LIVE_SECRET"])
def test_server_with_a_wrong_setting_does_not_start(
    command: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable, value in (*SERVERS.items(), (name, "hush")):
        monkeypatch.setenv(variable, value)

    assert _line_of(command, capsys).startswith(f"smart-filter: {name}")


@pytest.mark.parametrize(
    "command", ["keys list", "tenants list", "feedback list", "models versions"]
)
def test_operators_command_with_a_wrong_database_ends_in_one_line(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMART_FILTER_DATABASE_URL", "postgres://u:hush@127.0.0.1/d")

    assert _line_of(command, capsys).startswith("smart-filter: SMART_FILTER_DATABASE_URL")


def test_database_that_is_away_ends_preparing_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable, value in SERVERS.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("SMART_FILTER_DATABASE_URL", "postgresql+psycopg://u:hush@127.0.0.1:1/d")

    assert _line_of("prepare", capsys)


def _line_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line, without a secret, in which a command ends."""
    with pytest.raises(SystemExit) as end:
        cli.main(command.split())

    out, err = capsys.readouterr()
    assert (end.value.code, out, err.count("\n")) == (NO_SERVER, "", 1)
    assert err.startswith("smart-filter: ")
    assert "hush" not in err
    return err
