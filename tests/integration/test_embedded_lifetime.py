"""An embedded stack as a process: starting, stopping and killing it."""

import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from smart_filter_deploy.embedded.binaries import postgres_folder, valkey_program
from smart_filter_deploy.embedded.folder import DataFolder, running_stack
from smart_filter_tests.patience import PATIENCE_SECONDS

PROGRAM = Path(__file__).with_name("embedded_process.py")
AS_ROOT = pytest.mark.skipif(
    os.geteuid() != 0, reason="run as root: only root can become another user"
)


@dataclass(frozen=True, slots=True)
class Up:
    """A stack in its own process."""

    process: subprocess.Popen[str]
    pids: dict[str, list[int]]
    servers: dict[str, str]

    @property
    def all_pids(self) -> list[int]:
        return [pid for members in self.pids.values() for pid in members]

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            self.servers["database_url"].replace("+psycopg", ""), autocommit=True
        )

    def broker(self) -> redis.Redis:
        return redis.Redis.from_url(self.servers["broker_url"])

    def end(self, number: signal.Signals) -> int:
        """Signal the process that holds the stack, and return how it ended."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


Start = Callable[..., Up]


@contextmanager
def starting(folder: Path) -> Iterator[Start]:
    """Yield a function that starts a stack's process on the folder; kill all at the end."""
    with ExitStack() as ends:
        ends.callback(wait_for_survivors, folder)

        def start(*more: str) -> Up:
            process = subprocess.Popen(
                [sys.executable, str(PROGRAM), str(folder), *more],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            ends.enter_context(process)
            ends.callback(process.kill)
            assert process.stdout is not None
            assert process.stderr is not None
            answered, _, _ = select.select([process.stdout], [], [], PATIENCE_SECONDS)
            assert answered, "it said nothing"
            line = process.stdout.readline()
            assert line, process.stderr.read()
            said: dict[str, Any] = json.loads(line)
            return Up(process, said["pids"], said["servers"])

        yield start


def wait_for_survivors(folder: Path) -> None:
    """Wait for servers whose parent was killed: they still write to the folder."""
    with DataFolder(folder).held():
        pass


@contextmanager
def new_folder() -> Iterator[Path]:
    # Not pytest's folder, which no other user may enter: under root, PostgreSQL runs as another
    # user.
    with tempfile.TemporaryDirectory(prefix="smart filter ") as top:
        Path(top).chmod(0o711)
        yield Path(top) / "data"


@pytest.fixture
def unused() -> Iterator[Path]:
    """A folder without a stack."""
    with new_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def stopped() -> Iterator[Path]:
    """A folder of a stopped stack, to be copied, because creating a database takes longer."""
    with new_folder() as folder, starting(folder) as start:
        stack = start()
        with stack.connect() as connection:
            connection.execute("CREATE TABLE kept (word text)")
            connection.execute("INSERT INTO kept VALUES ('word')")
        stack.end(signal.SIGTERM)
        yield folder


@pytest.fixture
def folder(stopped: Path, unused: Path) -> Path:
    """A folder of a stopped stack."""
    subprocess.run(["/bin/cp", "--archive", str(stopped), str(unused)], check=True)
    return unused


@pytest.fixture(scope="module")
def wheels() -> Iterator[Path]:
    """The servers' programs in a folder that every user can read."""
    with tempfile.TemporaryDirectory(prefix="smart-filter-tests-") as place:
        package = postgres_folder().parents[1]
        for part in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(part, Path(place) / part.name, symlinks=True)
        shutil.copy(valkey_program(), place)
        Path(place).chmod(0o755)
        yield Path(place)


@pytest.fixture
def start(unused: Path) -> Iterator[Start]:
    """Starts a stack on `unused`, or on `folder` if the test asks for that; kills it at the end."""
    with starting(unused) as start:
        yield start


def assert_kept(stack: Up) -> None:
    """Check that a stack has the data written before it stopped."""
    with stack.connect() as connection:
        assert connection.execute("SELECT word FROM kept").fetchall() == [("word",)]
    with stack.broker() as client:  # messages are not kept
        assert client.ping()


def refusal(folder: Path, *more: str) -> str:
    """Return the one line of a process that cannot start its stack."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), *more],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    return line


def ends(pid: int) -> bool:
    """Return whether a process ends in time; an uncollected zombie counts as ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(PATIENCE_SECONDS * 1000))
    finally:
        os.close(descriptor)


def test_notice_is_shown_once_for_each_data_folder(tmp_path: Path) -> None:
    folder = DataFolder.at(tmp_path / "data")

    shown = [folder.is_news(notice) for notice in ("research", "research", "emotions", "emotions")]

    assert shown == [True, False, True, False]
    assert DataFolder.at(tmp_path / "other").is_news("research")
    assert DataFolder(tmp_path / "missing").is_news("research")


def test_request_to_stop_ends_everything_in_order(start: Start, folder: Path) -> None:
    stack = start()

    status = stack.end(signal.SIGTERM)

    assert status == 0
    assert all(ends(pid) for pid in stack.all_pids)
    assert "database system is shut down" in (folder / "logs" / "postgres.log").read_text()
    assert not (folder / "stack.json").exists()


@pytest.mark.usefixtures("folder")
def test_data_survives_a_stop_and_a_kill_of_all_processes(start: Start) -> None:
    before = start()
    for pid in [before.process.pid, *before.all_pids]:
        # Some of PostgreSQL's processes end by themselves after the first one.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    after = start()

    assert_kept(after)


def test_killed_parent_leaves_no_process_and_is_replaced_at_once(
    start: Start, folder: Path
) -> None:
    before = start()
    before.end(signal.SIGKILL)
    found = running_stack(folder)
    has_state = (folder / "stack.json").exists()

    after = start()

    assert (found, has_state) == (None, True)
    assert_kept(after)
    assert len(before.all_pids) >= 4
    assert all(ends(pid) for pid in before.all_pids)


def test_second_stack_on_a_folder_is_refused(start: Start, folder: Path) -> None:
    stack = start()

    line = refusal(folder)

    assert f"a stack already runs on {folder} (process {stack.process.pid})" in line
    assert "SMART_FILTER_DATA" in line
    found = running_stack(folder)
    assert found is not None
    assert found.servers.database_url == stack.servers["database_url"]


@pytest.mark.slow  # a database is created
def test_interrupted_creation_of_the_database_starts_over(start: Start, unused: Path) -> None:
    half = unused / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18")

    stack = start()

    with stack.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not half.exists()


@pytest.mark.slow  # 2 s
def test_process_with_the_pid_of_a_killed_postgres_is_not_postgres(
    start: Start, folder: Path
) -> None:
    data = folder / "postgres" / "data"
    user = data.stat().st_uid
    with subprocess.Popen(["/bin/sleep", "600"], user=user) as other:
        # The file of a killed server: process id, folder, start, port, …
        (data / "postmaster.pid").write_text(f"{other.pid}\n{data}\n0\n5432\n\n127.0.0.1\n")
        try:
            stack = start()
        finally:
            other.kill()

    assert_kept(stack)


def test_lost_password_is_one_line(folder: Path) -> None:
    (folder / "secrets" / "postgres").unlink()

    assert "secrets/postgres is not the password" in refusal(folder)


@AS_ROOT
def test_folder_that_the_server_cannot_reach_is_refused_with_its_remedy(unused: Path) -> None:
    closed = unused.parent / "closed"
    closed.mkdir(mode=0o700)

    line = refusal(closed / "data")

    assert f"cannot enter {closed}: choose another folder" in line
    assert line.endswith(f"chmod o+x {closed}")


@AS_ROOT
@pytest.mark.slow  # 4 s: it copies the programs
def test_programs_in_an_inaccessible_folder_are_copied(
    start: Start, unused: Path, wheels: Path
) -> None:
    closed = unused.parent / "closed"
    closed.mkdir(mode=0o700)
    (closed / "wheels").symlink_to(wheels)

    stack = start(*as_user(0, 0, closed / "wheels"))

    program = Path(f"/proc/{stack.pids['postgres'][0]}/exe").readlink()
    assert unused / "postgres" in program.parents


@AS_ROOT
@pytest.mark.slow  # 2 s: it copies the programs
def test_ordinary_user_can_run_it(start: Start, unused: Path, wheels: Path) -> None:
    other_user = pwd.getpwnam("nobody")
    unused.mkdir()
    os.chown(unused, other_user.pw_uid, other_user.pw_gid)

    stack = start(*as_user(other_user.pw_uid, other_user.pw_gid, wheels))

    leaders = [pids[0] for pids in stack.pids.values()]
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in leaders} == {other_user.pw_uid}
    with stack.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def as_user(uid: int, gid: int, wheels: Path) -> tuple[str, ...]:
    """Return options for this user; its interpreter must not be in root's own folder."""
    interpreters = (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3")
    python = next(path for path in interpreters if can_run(uid, gid, path))
    return ("--user", f"{uid}:{gid}", "--python", python, "--wheels", str(wheels))


def can_run(uid: int, gid: int, program: str) -> bool:
    try:
        done = subprocess.run(
            [program, "-c", ""], user=uid, group=gid, extra_groups=[], cwd="/", check=False
        )
    except OSError:
        return False
    return done.returncode == 0
