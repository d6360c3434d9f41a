"""Settings that are read from files."""

from pathlib import Path

import pytest

from smart_filter_deploy.cli import main, secret_files
from smart_filter_shared.errors import SetupFailed

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


def test_program_says_in_one_line_which_file_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FILE, "/nonexistent/url")

    with pytest.raises(SystemExit) as ended:
        main(["worker", "--stages", "face"])

    assert ended.value.code == 3
    assert capsys.readouterr().err == (
        f"smart-filter: {FILE}: /nonexistent/url cannot be read (No such file or directory);"
        " name a file that this user can read\n"
    )
