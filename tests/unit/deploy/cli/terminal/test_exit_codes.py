import errno
import socket
from pathlib import Path

import click
import pytest

from smart_filter_client import errors as client_errors
from smart_filter_deploy.cli import main, secret_files
from smart_filter_deploy.cli.server import connection
from smart_filter_deploy.cli.terminal import exit_codes, outputs
from smart_filter_deploy.cli.terminal.exit_codes import raise_for_missing_package
from smart_filter_shared import http_servers
from smart_filter_shared.errors import DatabaseUnavailable, SetupFailed
from smart_filter_shared.security.outbound_rules import SETTING
from smart_filter_wire.formats import ProblemError


def status_and_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> tuple[object, list[str]]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code, capsys.readouterr().err.splitlines()


def line_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return a command's single line of output, which must not contain a secret."""
    with pytest.raises(SystemExit) as end:
        main(command.split())

    out, err = capsys.readouterr()
    assert (end.value.code, out, err.count("\n")) == (exit_codes.NO_SERVER, "", 1)
    assert err.startswith("smart-filter: ")
    assert "hush" not in err
    return err


@pytest.mark.parametrize(
    "command",
    [
        "nonsense",
        "run there-is-no-such-photo.jpg",
        "run /",
        f"run --set no-equals-sign {__file__}",
        f"run --timeout 0 {__file__}",
        f"run -o no-such-folder/picture.jpg {__file__}",
        f"run -o picture.jpg {__file__} {__file__}",
        f"run -o {__file__} {__file__}",
        f"run --background-file there-is-no-such-picture.jpg {__file__}",
        f"run --mask {__file__}",
        f"submit --mask {__file__} {__file__} {__file__}",
        "up --port 0",
        "up --port 65535",
        "up --port 8000 --operators-port 8000",
        "up --workers none",
        "worker",
        "worker --stages prepare,nonsense",
        "submit",
        "submit there-is-no-such-photo.jpg",
        "batch",
        "batch there-is-no-such-folder",
        "batch . -o .",
        "batch . --report report.xls",
        "batch . --report no-such-folder/report.csv",
        "batch . --set no-equals-sign",
        "live",
        "live there-is-no-such-video.mp4",
        f"live {__file__}",
        f"live {__file__} -o video.avi",
        f"live {__file__} -o no-such-folder/video.webm",
        "compare",
        "train --no-such-option",
        "completion tcsh",
        "jobs show",
        "models nonsense",
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, [line] = status_and_line(command.split(), capsys)

    assert status == 2
    assert line.startswith("smart-filter: ")


@pytest.mark.parametrize(
    "command",
    [f"run {__file__}", f"submit {__file__}", "jobs list", "jobs redrive x", "models list"],
)
def test_unreachable_server_is_one_line_and_status_3(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # No process listens on port 0, so the connection is refused on this machine.
    monkeypatch.setenv("SMART_FILTER_URL", "http://127.0.0.1:0")

    assert "http://127.0.0.1:0" in line_of(command, capsys)


def test_up_refuses_a_public_only_server_that_a_setting_opens(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, "10.0.0.0/8")

    status, lines = status_and_line(["up", "--public-only"], capsys)

    assert status == exit_codes.WRONG_USAGE
    assert SETTING in lines[-1]


@pytest.mark.parametrize(
    ("command", "variable"),
    [
        ("keys list", "SMART_FILTER_DATABASE_URL"),
        ("keys create --tenant a --scopes read", "SMART_FILTER_DATABASE_URL"),
        ("keys revoke 0199a000-0000-7000-8000-000000000000", "SMART_FILTER_DATABASE_URL"),
        ("tenants list", "SMART_FILTER_DATABASE_URL"),
        ("feedback list", "SMART_FILTER_DATABASE_URL"),
        ("models versions", "SMART_FILTER_DATABASE_URL"),
        ("backgrounds remove beach", "SMART_FILTER_STORAGE_URL"),
    ],
)
def test_operator_command_names_the_variable_for_another_stack(
    command: str, variable: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMART_FILTER_DATA", "/nonexistent")

    status, lines = status_and_line(command.split(), capsys)

    assert status == 3
    assert "set SMART_FILTER_DATA to the --data folder of a running one" in lines[0]
    assert variable in lines[0]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "Pictures:"),
        (["jobs"], "Commands:"),
        (["queue", "list"], "smart-filter: No such command 'queue'. Did you mean 'queues'?"),
    ],
)
def test_missing_or_misspelled_command_suggests_existing_ones(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, lines = status_and_line(arguments, capsys)

    assert status == 2
    assert any(shown.startswith(line) for shown in lines)


def test_missing_module_of_ours_is_a_bug() -> None:
    error = ModuleNotFoundError(name="smart_filter_workers.process")

    with pytest.raises(ModuleNotFoundError):
        raise_for_missing_package(error, "worker")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("invalid_recipe", 2),
        ("not_available", 2),
        ("unauthorized", 2),
        ("not_found", 1),
        ("job_final", 1),
    ],
)
def test_exit_status_of_a_refusal_depends_on_its_cause(code: str, status: int) -> None:
    assert connection.to_command_error(client_errors.Refused(code, status=400)).status == status


@pytest.mark.parametrize(
    ("details", "message"),
    [
        (
            {"/background": "is none", "/face/model": "is not served"},
            "background: is none; face.model: is not served",
        ),
        # One remedy for two fields is shown once, and field names as the command line wrote them.
        (
            {"/format": "ask for png", "/background": "ask for png"},
            "-o x.jpg, background: ask for png",
        ),
    ],
)
def test_refusal_names_every_wrong_field(details: dict[str, str], message: str) -> None:
    wrong = [ProblemError(detail, pointer) for pointer, detail in details.items()]
    error = client_errors.Refused("invalid_recipe", status=422, errors=wrong)

    assert str(connection.to_command_error(error, {"format": "-o x.jpg"})) == message


def test_refusal_for_now_gives_the_reason_of_the_server_alone() -> None:
    error = client_errors.TryLater("unavailable", status=503, detail="the deadline would be missed")

    assert str(connection.to_command_error(error)) == (
        "the server refuses for now: the deadline would be missed"
    )


def test_photos_with_one_stem_are_numbered_without_the_stems_of_others() -> None:
    paths = [Path(name) for name in ("a.png", "sub/a.jpg", "a-2.jpg", "b.png")]

    names = [place.image("jpg").name for place in outputs.plan_outputs(paths, None)]

    assert names == [
        "a.smart-filter.jpg",
        "a-3.smart-filter.jpg",
        "a-2.smart-filter.jpg",
        "b.smart-filter.jpg",
    ]


def test_files_in_a_folder_without_photos_have_the_photos_own_names(tmp_path: Path) -> None:
    photos = [tmp_path / folder / "a.png" for folder in ("one", "two")]

    apart = outputs.plan_outputs(photos, f"{tmp_path}/out/")
    together = outputs.plan_outputs(photos, f"{tmp_path}/one/")
    [named] = outputs.plan_outputs(photos[:1], f"{tmp_path}/me.jpg")

    assert [place.image("jpg").name for place in apart] == ["a.jpg", "a-2.jpg"]
    assert apart[0].other("matte", "image/png").name == "a-matte.png"
    assert together[0].image("jpg").name == "a.smart-filter.jpg"
    assert named.other("sheet", "image/jpeg").name == "me.sheet.jpg"


@pytest.mark.parametrize(
    "kind", ["/../../etc/cron.d/x", "png/../../x", "a\\b", "..", "png\n", "é", "x" * 300, ""]
)
def test_unknown_format_cannot_write_outside_the_folder(kind: str) -> None:
    [place] = outputs.plan_outputs([Path("a.png")], None)

    assert place.image(kind) == Path("a.smart-filter.bin")
    assert place.other("matte", f"image/{kind}") == Path("a.smart-filter.matte.bin")


SERVERS = {
    "SMART_FILTER_DATABASE_URL": "postgresql+psycopg://u:hush@127.0.0.1/d",
    "SMART_FILTER_BROKER_URL": "redis://:hush@127.0.0.1/0",
    "SMART_FILTER_STORAGE_URL": "http://127.0.0.1:9000",
    "SMART_FILTER_STORAGE_ACCESS_KEY": "access",
    "SMART_FILTER_STORAGE_SECRET_KEY": "hush",
    "SMART_FILTER_LIVE_SECRET": "long enough to be a secret of ours",
}


@pytest.mark.parametrize(
    "command", ["api --port 1", "prepare", "worker --stages face", "sender", "live-worker", "up"]
)
@pytest.mark.parametrize("name", ["SMART_FILTER_LEASE_SECONDS", "SMART_FILTER_LIVE_SECRET"])
def test_server_with_a_wrong_setting_does_not_start(
    command: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable, value in (*SERVERS.items(), (name, "hush")):
        monkeypatch.setenv(variable, value)

    assert line_of(command, capsys).startswith(f"smart-filter: {name}")


def test_sender_needs_no_keys_of_the_bucket(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable, value in {**SERVERS, "SMART_FILTER_LEASE_SECONDS": "hush"}.items():
        if not variable.endswith(("ACCESS_KEY", "SECRET_KEY")):
            monkeypatch.setenv(variable, value)

    assert line_of("sender", capsys).startswith("smart-filter: SMART_FILTER_LEASE_SECONDS")


def test_api_with_files_and_no_key_for_links_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable, value in {**SERVERS, "SMART_FILTER_STORAGE_URL": "file:///objects"}.items():
        monkeypatch.setenv(variable, value)

    assert line_of("api --port 1", capsys).startswith("smart-filter: SMART_FILTER_SECRETS_KEY")


NAME = "SMART_FILTER_DATABASE_URL"
FILE = f"{NAME}_FILE"


@pytest.mark.parametrize(
    "written", [b"hush", b"hush\n", b"hush\r\n", b"hush\n\n", b"\xef\xbb\xbfhush\r\n"]
)
def test_variable_overrides_the_variable_with_a_file_name(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "secret").write_bytes(written)
    environ = {FILE: str(tmp_path / "secret"), NAME: "", "OTHER_FILE": "/nonexistent"}
    without = {FILE: "", NAME: "hush"}

    secret_files.load_into(environ)
    secret_files.load_into(without)

    assert environ == {NAME: "hush", "OTHER_FILE": "/nonexistent"}
    assert without == {NAME: "hush"}


def test_certificate_of_several_lines_is_read(tmp_path: Path) -> None:
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
    (tmp_path / "secret").write_text(f"{pem}\n")
    environ = {FILE: str(tmp_path / "secret")}

    secret_files.load_into(environ)

    assert environ == {NAME: pem}


@pytest.mark.parametrize(
    "written",
    [b"", b"\n", b"\xef\xbb\xbf", b"two\nlines\n", b"a\0lines\n", b"\xff\xfe", b"x" * 70_000],
)
def test_file_without_a_single_line_is_refused_without_showing_it(
    tmp_path: Path, written: bytes
) -> None:
    (tmp_path / "secret").write_bytes(written)

    with pytest.raises(SetupFailed, match=f"^{FILE}: {tmp_path}/secret ") as refused:
        secret_files.load_into({FILE: str(tmp_path / "secret")})

    assert "lines" not in str(refused.value).replace("one line", "")


def test_unreadable_file_and_a_value_set_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match=rf"{FILE}: .* cannot be read \(.*\); name a file"):
        secret_files.load_into({FILE: str(tmp_path)})
    with pytest.raises(SetupFailed, match=f"{NAME} and {FILE} are both set"):
        secret_files.load_into({FILE: str(tmp_path), NAME: "other"})


@pytest.mark.parametrize(
    ("error", "begins", "ends"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/var/lib/smart-filter/x"),
            "no space is left for /var/lib/smart-filter/x;",
            " free space there, or enlarge the volume",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/var/lib/smart-filter/x"),
            "/var/lib/smart-filter/x cannot be used by this process",
            " (Permission denied); let its user read and write there",
        ),
        (
            DatabaseUnavailable(
                'could not extend file "base/5/1": No space left on device\nHINT: Check free space.'
            ),
            "the database's volume is full (",
            "; free space on it, or enlarge it",
        ),
    ],
    ids=["full volume", "another user's file", "full volume of the database"],
)
def test_fault_of_the_machine_is_one_line_with_the_remedy(
    error: Exception, begins: str, ends: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise error

    status = exit_codes.run_command_line(click.Command("fails", callback=fail), [])

    (line,) = capsys.readouterr().err.splitlines()
    assert status == exit_codes.NO_SERVER
    assert line.startswith(f"smart-filter: {begins}")
    assert line.endswith(ends)


def test_port_of_the_api_that_is_taken_is_named_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(SetupFailed, match=f"port {port} of 127.0.0.1 .* choose others with"):
            http_servers.bind("127.0.0.1", port)


def test_second_process_that_bound_the_same_port_is_refused_with_the_remedy() -> None:
    with http_servers.bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with http_servers.bind("127.0.0.1", port) as second:
            http_servers.start_listening(first, 1)

            with pytest.raises(SetupFailed, match=f"port {port} of 127.0.0.1 .* choose others"):
                http_servers.start_listening(second, 1)


def test_operators_port_of_up_that_is_taken_is_named_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        place = ("--data", str(tmp_path / "data"), "--operators-port", str(port))
        status, lines = status_and_line(["up", *place], capsys)

    assert status == exit_codes.NO_SERVER
    assert lines[-1].startswith(f"smart-filter: port {port} is not available")
    assert lines[-1].endswith("choose another with --operators-port")
