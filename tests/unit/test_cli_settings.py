"""Settings of commands: read from files, and wrong ones end in one line."""

from pathlib import Path

import pytest

from smart_filter_deploy import cli
from smart_filter_deploy.cli import secret_files
from smart_filter_shared.errors import SetupFailed

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


def _line_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line, without a secret, in which a command ends."""
    with pytest.raises(SystemExit) as end:
        cli.main(command.split())

    out, err = capsys.readouterr()
    assert (end.value.code, out, err.count("\n")) == (NO_SERVER, "", 1)
    assert err.startswith("smart-filter: ")
    assert "hush" not in err
    return err


NAME = "SMART_FILTER_DATABASE_URL"
FILE = f"{NAME}_FILE"


@pytest.mark.parametrize(
    "written", [b"hush", b"hush\n", b"hush\r\n", b"hush\n\n", b"\xef\xbb\xbfhush\r\n"]
)
@pytest.mark.parametrize("before", [{}, {NAME: ""}], ids=["unset", "empty"])
def test_value_takes_the_place_of_its_file(
    tmp_path: Path, written: bytes, before: dict[str, str]
) -> None:
    (tmp_path / "secret").write_bytes(written)
    environ = {FILE: str(tmp_path / "secret"), "OTHER_FILE": "/nonexistent", **before}

    secret_files.read_into(environ)

    assert environ == {NAME: "hush", "OTHER_FILE": "/nonexistent"}


@pytest.mark.parametrize("before", [{}, {NAME: "hush"}])
def test_empty_name_of_a_file_is_not_set(before: dict[str, str]) -> None:
    environ = {FILE: "", **before}

    secret_files.read_into(environ)

    assert environ == before


@pytest.mark.parametrize(
    "written",
    [b"", b"\n", b"\xef\xbb\xbf", b"two\nlines\n", b"a\0lines\n", b"\xff\xfe", b"x" * 70_000],
)
def test_file_that_holds_no_line_is_refused_without_showing_it(
    tmp_path: Path, written: bytes
) -> None:
    (tmp_path / "secret").write_bytes(written)

    with pytest.raises(SetupFailed, match=f"^{FILE}: {tmp_path}/secret ") as refused:
        secret_files.read_into({FILE: str(tmp_path / "secret")})

    assert "lines" not in str(refused.value).replace("one line", "")


@pytest.mark.parametrize("place", ["nowhere", "."])
def test_file_that_cannot_be_read_is_named(tmp_path: Path, place: str) -> None:
    with pytest.raises(SetupFailed, match=rf"{FILE}: .* cannot be read \(.*\); name a file"):
        secret_files.read_into({FILE: str(tmp_path / place)})


def test_value_that_is_set_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush")

    with pytest.raises(SetupFailed, match=f"{NAME} and {FILE} are both set"):
        secret_files.read_into({FILE: str(tmp_path / "secret"), NAME: "other"})
