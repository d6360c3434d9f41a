"""The servers of an embedded stack, and its supervision of dead children."""

import json
import os
import pwd
import secrets
import select
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from smart_filter_deploy.cli.commands.servers.preflight import select_live_settings
from smart_filter_deploy.embedded.addresses import free_port
from smart_filter_deploy.embedded.child_processes import Child, Command, StopRequest
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.server_user import server_user
from smart_filter_deploy.embedded.stack import PLAIN_VARIABLES, Stack
from smart_filter_deploy.process_secrets import NEEDED_BY, Process
from smart_filter_shared.errors import SetupFailed
from smart_filter_tests.patience import PATIENCE_SECONDS

LOOPBACK_IN_PROC = "0100007F"
LISTENING = "0A"
PATIENT = "import signal; signal.pause()"
NO_MODEL = "raise SystemExit('no such model')"
# Ends when another process, which has the other file, was asked to stop too.
MEETING = """
import pathlib, signal, time
own, other = pathlib.Path({own!r}), pathlib.Path({other!r})
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
own.touch()
signal.sigwait([signal.SIGTERM])
own.write_text("asked")
while not other.read_text():
    time.sleep(0.01)
own.write_text("met")
"""
LOOK_SECONDS = 0.02


def test_port_is_not_chosen_again_before_its_server_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw, drawn = secrets.randbelow, list[int]()

    def draw_the_first_twice(below: int) -> int:
        drawn.append(drawn[0] if len(drawn) == 1 else draw(below))
        return drawn[-1]

    monkeypatch.setattr(secrets, "randbelow", draw_the_first_twice)

    assert free_port() != free_port()
    assert drawn[1] == drawn[0]


def dsn(servers: Stack) -> str:
    return servers.addresses.database_url.replace("+psycopg", "")


def secrets_of(servers: Stack) -> list[str]:
    return [path.read_text() for path in (servers.folder.path / "secrets").iterdir()]


def test_servers_refuse_a_wrong_secret(servers: Stack) -> None:
    right = urlsplit(dsn(servers)).password
    assert right is not None
    port = urlsplit(servers.addresses.broker_url).port or 0
    once = Retry(NoBackoff(), 0)

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(dsn(servers).replace(right, "wrong"))
    for password in ("wrong", None):
        with (
            redis.Redis(port=port, password=password, retry=once) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()


def test_child_that_cannot_be_started_is_tried_again_after_pauses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    removed = Command(name="api", argv=(sys.executable,), cwd=tmp_path / "removed")
    with Path(os.devnull).open("rb") as held:
        child = Child(removed, DataFolder.at(tmp_path / "data"), held.fileno())
        for _ in range(50):
            child.restart_if_dead()

    assert 1 <= caplog.text.count("cannot be started") < 10


def test_servers_listen_on_loopback_only(servers: Stack) -> None:
    addresses = servers.addresses
    urls = (addresses.database_url, addresses.broker_url)
    ports = {urlsplit(url).port for url in urls}

    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            address, port = line.split()[1].split(":")
            if line.split()[3] == LISTENING and int(port, 16) in ports:
                listening.add((address, int(port, 16)))

    assert listening == {(LOOPBACK_IN_PROC, port) for port in ports}


def test_no_command_line_or_log_shows_a_secret(servers: Stack) -> None:
    pids = [servers.pid(name) for name in servers.names]

    shown = "".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in pids)
    logs = "".join(path.read_text() for path in (servers.folder.path / "logs").iterdir())

    assert "valkey-server" in shown
    assert "PostgreSQL" in logs
    assert [secret for secret in secrets_of(servers) if secret in shown + logs] == []


def test_only_the_owner_can_read_secrets(servers: Stack) -> None:
    folder = servers.folder.path / "secrets"

    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}

    assert modes == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_only_their_user_can_read_logs_and_data_of_servers(servers: Stack) -> None:
    modes: dict[Path, int] = {}
    for part in ("logs", "valkey", "postgres/data"):
        for folder, _, names in os.walk(servers.folder.path / part):
            for path in (Path(folder, name) for name in names):
                with suppress(FileNotFoundError):  # PostgreSQL replaces files while it runs
                    modes[path] = path.lstat().st_mode

    files = {path: mode for path, mode in modes.items() if stat.S_ISREG(mode)}
    others = [str(path) for path, mode in files.items() if stat.S_IMODE(mode) & 0o077]

    assert {"valkey.log", "postgres.log"} < {path.name for path in files}
    assert others == []


def test_folder_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir(mode=0o755)
    tmp_path.chmod(0o755)

    folder = DataFolder.at(tmp_path)

    places = (folder.path, folder.path / "logs", folder.path / "secrets")
    assert [stat.S_IMODE(place.stat().st_mode) for place in places] == [0o711, 0o711, 0o700]


def test_folder_that_others_can_write_or_own_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(SetupFailed, match="chmod go-w"):
        DataFolder.at(tmp_path)

    if os.geteuid() == 0:  # only root can change the owner
        os.chown(tmp_path, 65534, 65534)
        with pytest.raises(SetupFailed, match="belongs to another user"):
            DataFolder.at(tmp_path)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One stack for all tests; each test starts commands with its own names."""
    # Not pytest's folder, which no other user may enter: under root, PostgreSQL runs as another
    # user.
    with (
        tempfile.TemporaryDirectory(prefix="smart-filter-tests-") as folder,
        Stack(DataFolder.at(Path(folder))) as stack,
    ):
        yield stack


def python(program: str, *, name: str, **more: object) -> Command:
    return Command(name=name, argv=(sys.executable, "-c", program), **more)  # type: ignore[arg-type]  # the test's own words


def until(stack: Stack, holds: Callable[[], bool]) -> None:
    """Supervise the stack until a condition holds."""
    clock = StopRequest()
    for _ in range(int(PATIENCE_SECONDS / LOOK_SECONDS)):
        stack.tend()
        if holds():
            return
        clock.wait(LOOK_SECONDS)
    pytest.fail(f"it did not happen within {PATIENCE_SECONDS} s")


def answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except redis.ConnectionError:
        return False
    return True


def test_killed_server_restarts_at_its_address(stack: Stack) -> None:
    with redis.Redis.from_url(stack.addresses.broker_url) as client:
        stack.kill("valkey")
        until(stack, lambda: answers(client.ping))

        assert client.info("persistence")["aof_enabled"] == 0


def test_killed_command_restarts_without_its_former_children(stack: Stack) -> None:
    child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {PATIENT!r}])"
    stack.start(python(f"{child}; {PATIENT}", name="parent"))
    until(stack, lambda: len(stack.pids("parent")) == 2)
    parent, grandchild = stack.pids("parent")
    descriptor = os.pidfd_open(grandchild)

    os.kill(parent, signal.SIGKILL)
    until(stack, lambda: stack.pid("parent") not in {parent, None})

    assert select.select([descriptor], [], [], PATIENCE_SECONDS)[0]
    os.close(descriptor)


def test_command_that_keeps_dying_is_logged_and_always_restarted(
    stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    def logged() -> list[str]:
        return [message for message in caplog.messages if message.startswith("dying ended (1)")]

    stack.start(python(NO_MODEL, name="dying"))

    until(stack, lambda: len(logged()) >= 3)

    log = stack.folder.log("dying")
    assert all(str(log) in message for message in logged())
    assert "no such model" in log.read_text()
    # A busy machine may take so long to start it that it counts as having lived.
    assert all("restarting it in " in message for message in logged())


def test_live_worker_s_command_gets_its_settings_and_no_secret(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "environment"
    write = f"import json, os; json.dump(dict(os.environ), open({str(mark)!r}, 'w'))"
    monkeypatch.setenv("SMART_FILTER_C2PA_KEY", "a key")
    monkeypatch.setenv("SMART_FILTER_MEMORY_MB", "8000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another key")

    env = select_live_settings(stack.folder, os.environ)
    stack.start(python(write, name="live", once=True, uses_servers=False, env=env))
    given = json.loads(mark.read_text())
    # Python sets LC_CTYPE itself where no locale is set.
    settings = {name: given[name] for name in given.keys() - {*PLAIN_VARIABLES, "LC_CTYPE"}}

    assert settings == {
        "SMART_FILTER_MEMORY_MB": "8000",
        "SMART_FILTER_DATA": str(stack.folder.path),
    }
    assert given["PATH"] == os.environ["PATH"]


def test_process_that_serves_a_socket_starts_with_its_first_client(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        accept = f"socket.socket(fileno={listening.fileno()}).accept()[0].send(b'up')"
        code = f"import socket; {accept}; {PATIENT}"
        stack.start(python(code, name="video", uses_servers=False, serves=listening))
        stack.tend()
        unasked = stack.pid("video")

        with socket.create_connection(listening.getsockname()) as client:
            stack.tend()

            assert client.recv(2) == b"up"
    assert unasked is None
    assert stack.pid("video") is not None


@pytest.mark.parametrize("process", Process)
def test_process_gets_the_secrets_that_it_needs_and_no_others(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, process: Process
) -> None:
    mark = tmp_path / "environment"
    write = f"import json, os; json.dump(dict(os.environ), open({str(mark)!r}, 'w'))"
    for name in NEEDED_BY:
        monkeypatch.setenv(name, "a secret")
    monkeypatch.setenv("smart_filter_c2pa_key", "a secret")
    monkeypatch.setenv("SMART_FILTER_MEMORY_MB", "8000")

    stack.start(python(write, name="process", once=True, process=process))
    given = {name.upper() for name in json.loads(mark.read_text())}

    needed = {name for name, processes in NEEDED_BY.items() if process in processes}
    assert given & NEEDED_BY.keys() == needed
    assert "SMART_FILTER_MEMORY_MB" in given


def test_one_off_command_is_awaited_and_not_restarted(stack: Stack, tmp_path: Path) -> None:
    mark = tmp_path / "runs"
    program = f"import time; time.sleep(0.2); open({str(mark)!r}, 'a').write('once ')"

    stack.start(python(program, name="prepare", once=True))
    ran = mark.read_text()
    stack.tend()

    assert ran == "once "
    assert stack.pid("prepare") is None


@pytest.mark.parametrize(
    ("command", "words"),
    [
        pytest.param(
            python(NO_MODEL, name="once", once=True),
            "once failed: no such model",
            id="runs once and fails",
        ),
        pytest.param(
            python(NO_MODEL, name="brief", ready=lambda: False),
            "brief did not start: no such model",
            id="ends instead of getting ready",
        ),
        pytest.param(
            python("import os; os.kill(os.getpid(), 9)", name="killed", ready=lambda: False),
            "killed did not start (Killed): it printed nothing",
            id="is killed",
        ),
        pytest.param(
            python(PATIENT, name="late", ready=lambda: False, ready_seconds=0.1),
            "late was not ready within 0.1 s: it printed nothing",
            id="never gets ready",
        ),
        pytest.param(
            Command(name="none", argv=("/no/such/program",), ready=lambda: False),
            "cannot run /no/such/program: No such file",
            id="does not exist",
        ),
    ],
)
def test_command_that_fails_to_start_is_reported_in_one_line(
    stack: Stack, command: Command, words: str
) -> None:
    with pytest.raises(SetupFailed) as raised:
        stack.start(command)

    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_command_that_ignores_the_request_to_stop_is_killed(stack: Stack) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
    log = stack.folder.log("deaf")
    stack.start(python(f"{deaf}; {PATIENT}", name="deaf", stop_seconds=0.1))
    until(stack, lambda: "deaf" in log.read_text())
    pid = stack.pid("deaf")

    stack.restart("deaf")

    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.slow
def test_tiers_stop_one_after_the_other_and_a_joined_command_with_its_tier(tmp_path: Path) -> None:
    files, log = [tmp_path / "first", tmp_path / "second"], tmp_path / "ended"
    first, second = (
        python(
            MEETING.format(own=str(own), other=str(other)),
            name=own.name,
            ready=own.exists,
            stop_seconds=PATIENCE_SECONDS,
        )
        for own, other in (files, reversed(files))
    )

    def patient(name: str) -> Command:
        mark = tmp_path / name
        program = (
            "import pathlib, signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); "
            f"pathlib.Path({str(mark)!r}).touch(); signal.sigwait([signal.SIGTERM]); "
            f"open({str(log)!r}, 'a').write({name!r} + ' ')"
        )
        return python(program, name=name, ready=mark.exists, stop_seconds=PATIENCE_SECONDS)

    with (
        tempfile.TemporaryDirectory(prefix="smart-filter-tests-") as folder,
        Stack(DataFolder.at(Path(folder))) as stack,
    ):
        stack.start_tiers([patient("api")], [patient("worker")])
        stack.start(first)
        stack.start(second, join=True)

    assert [file.read_text() for file in files] == ["met", "met"]
    assert log.read_text() == "worker api "


def test_children_cannot_be_started_by_a_thread_whose_end_would_kill_them(stack: Stack) -> None:
    with ThreadPoolExecutor(1) as thread, pytest.raises(RuntimeError, match="main thread"):
        thread.submit(stack.start, python(PATIENT, name="threaded")).result()


def test_long_log_is_rotated_at_the_next_start(stack: Stack) -> None:
    log = stack.folder.log("long")
    log.write_bytes(b"x" * 10_000_001)

    stack.start(python("print('new', flush=True); " + PATIENT, name="long"))
    until(stack, lambda: log.read_text() == "new\n")

    assert log.with_suffix(".log.1").stat().st_size == 10_000_001


def test_request_to_stop_during_the_start_ends_the_start_quietly() -> None:
    with tempfile.TemporaryDirectory(prefix="smart-filter-tests-") as path:
        folder = DataFolder.at(Path(path))
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            with Stack(folder, stop=stop):
                pytest.fail("it started")

        with folder.held():
            pass  # no process is left


@pytest.mark.skipif(os.geteuid() != 0, reason="run as root: only root can give a folder away")
def test_data_owner_without_a_user_name_is_refused(tmp_path: Path) -> None:
    uid = max(entry.pw_uid for entry in pwd.getpwall()) + 1
    os.chown(tmp_path, uid, uid)

    with pytest.raises(SetupFailed, match=f"PostgreSQL needs a name for user {uid}"):
        server_user(tmp_path)
