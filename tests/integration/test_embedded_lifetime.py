"""An embedded stack as a process: what starting, stopping and killing it leaves behind."""

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
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from smart_filter_deploy.embedded.binaries import postgres_folder, rclone_program, valkey_program
from smart_filter_deploy.embedded.folder import DataFolder, running_stack

PROGRAM = Path(__file__).with_name("embedded_process.py")
PATIENCE_SECONDS = 60
AS_ROOT = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can become another user, which this is about"
)


@dataclass(frozen=True, slots=True)
class Up:
    """A stack in a process of its own."""

    process: subprocess.Popen[str]
    pids: dict[str, list[int]]
    servers: dict[str, str]

    @property
    def everybody(self) -> list[int]:
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


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's folder, which no other user may enter: as root PostgreSQL is another user.
    with tempfile.TemporaryDirectory(prefix="smart filter ") as top:
        Path(top).chmod(0o711)
        yield Path(top) / "data"


@pytest.fixture(scope="module")
def wheels() -> Iterator[Path]:
    """The servers' programs in a place where everybody can read them."""
    with tempfile.TemporaryDirectory(prefix="smart-filter-tests-") as place:
        package = postgres_folder().parents[1]
        for part in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(part, Path(place) / part.name, symlinks=True)
        for program in (valkey_program(), rclone_program()):
            shutil.copy(program, place)
        Path(place).chmod(0o755)
        yield Path(place)


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Up]]:
    """Starts a process that holds a stack on the folder; those left are killed at the end."""
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
    """Servers whose parent was killed are still writing; the folder cannot be removed yet."""
    with DataFolder(folder).held():
        pass


def refusal(folder: Path, *more: str) -> str:
    """What a process says that cannot have its stack: one line."""
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
    """Whether a process ends within the minute; a zombie that nobody collects has ended."""
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


def write(stack: Up) -> None:
    with stack.connect() as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('word')")
    with stack.broker() as client:
        client.lpush("kept", "message")


def assert_kept(stack: Up) -> None:
    with stack.connect() as connection:
        assert connection.execute("SELECT word FROM kept").fetchall() == [("word",)]
    with stack.broker() as client:
        assert client.lrange("kept", 0, -1) == [b"message"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_stop_ends_everything_in_order(
    start: Callable[..., Up], folder: Path, number: signal.Signals
) -> None:
    stack = start()

    status = stack.end(number)

    assert status == 0
    assert all(ends(pid) for pid in stack.everybody)
    assert "database system is shut down" in (folder / "logs" / "postgres.log").read_text()
    assert not (folder / "stack.json").exists()


def test_state_is_kept_over_stop_and_start(start: Callable[..., Up]) -> None:
    before = start()
    write(before)
    before.end(signal.SIGTERM)

    after = start()

    assert_kept(after)


def test_state_is_kept_when_everything_is_killed(start: Callable[..., Up]) -> None:
    before = start()
    write(before)
    for pid in [before.process.pid, *before.everybody]:
        # Some of PostgreSQL's processes end by themselves when the first one has gone.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    after = start()

    assert_kept(after)


def test_killed_parent_leaves_no_process(start: Callable[..., Up]) -> None:
    stack = start()

    stack.end(signal.SIGKILL)

    assert len(stack.everybody) >= 4
    assert all(ends(pid) for pid in stack.everybody)


def test_killed_parent_can_be_replaced_at_once(start: Callable[..., Up]) -> None:
    before = start()
    write(before)
    before.end(signal.SIGKILL)

    after = start()

    assert_kept(after)


def test_second_stack_on_the_folder_is_refused_in_one_line(
    start: Callable[..., Up], folder: Path
) -> None:
    first = start()

    line = refusal(folder)

    assert f"a stack runs on {folder} already (process {first.process.pid})" in line
    assert "SMART_FILTER_DATA" in line
    assert running_stack(folder) is not None


def test_running_stack_is_found_by_its_folder(start: Callable[..., Up], folder: Path) -> None:
    stack = start()

    found = running_stack(folder)

    assert found is not None
    assert found.pid == stack.process.pid
    assert found.servers.database_url == stack.servers["database_url"]


def test_state_that_a_killed_stack_left_is_not_a_running_stack(
    start: Callable[..., Up], folder: Path
) -> None:
    start().end(signal.SIGKILL)

    found = running_stack(folder)

    assert (folder / "stack.json").exists()
    assert found is None


def test_folder_that_was_never_used_has_no_running_stack(folder: Path) -> None:
    assert running_stack(folder) is None


def test_interrupted_creation_of_the_database_is_begun_anew(
    start: Callable[..., Up], folder: Path
) -> None:
    half = folder / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18")

    stack = start()

    with stack.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not half.exists()


def test_number_of_a_killed_postgres_may_be_somebody_elses_by_now(
    start: Callable[..., Up], folder: Path
) -> None:
    start().end(signal.SIGTERM)
    data = folder / "postgres" / "data"
    user = data.stat().st_uid
    with subprocess.Popen(["/bin/sleep", "600"], user=user) as other:
        # As a killed server leaves it: number, folder, start, port, …
        (data / "postmaster.pid").write_text(f"{other.pid}\n{data}\n0\n5432\n\n127.0.0.1\n")

        stack = start()
        other.kill()

    with stack.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_lost_password_is_told_in_one_line(start: Callable[..., Up], folder: Path) -> None:
    start().end(signal.SIGTERM)
    (folder / "secrets" / "postgres").unlink()

    line = refusal(folder)

    assert "secrets/postgres is not the password" in line


def test_server_that_cannot_start_is_told_with_its_own_words(
    start: Callable[..., Up], folder: Path
) -> None:
    start().end(signal.SIGTERM)
    (folder / "postgres" / "data" / "PG_VERSION").write_text("9\n")

    line = refusal(folder)

    assert line.startswith("postgres did not start: ")
    assert "version 9" in line


@AS_ROOT
def test_folder_that_the_server_cannot_reach_is_told_in_one_line(folder: Path) -> None:
    closed = folder.parent / "closed"
    closed.mkdir(mode=0o700)

    line = refusal(closed / "data")

    assert f"cannot enter {closed}: choose another folder" in line
    assert line.endswith(f"chmod o+x {closed}")


@AS_ROOT
def test_programs_in_a_closed_folder_are_copied(
    start: Callable[..., Up], folder: Path, wheels: Path
) -> None:
    closed = folder.parent / "closed"
    closed.mkdir(mode=0o700)
    (closed / "wheels").symlink_to(wheels)

    stack = start(*as_user(0, 0, closed / "wheels"))

    program = Path(f"/proc/{stack.pids['postgres'][0]}/exe").readlink()
    assert folder / "postgres" in program.parents


@AS_ROOT
def test_an_ordinary_user_can_run_it(start: Callable[..., Up], folder: Path, wheels: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    folder.mkdir()
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)

    stack = start(*as_user(nobody.pw_uid, nobody.pw_gid, wheels))

    leaders = [pids[0] for pids in stack.pids.values()]
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in leaders} == {nobody.pw_uid}
    with stack.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@AS_ROOT
def test_user_without_a_name_is_told_in_one_line(folder: Path, wheels: Path) -> None:
    uid = next(uid for uid in range(54_321, 60_000) if not has_name(uid))
    folder.mkdir()
    os.chown(folder, uid, uid)

    line = refusal(folder, *as_user(uid, uid, wheels))

    assert f"PostgreSQL needs a name for user {uid}" in line


def as_user(uid: int, gid: int, wheels: Path) -> tuple[str, ...]:
    """How the process becomes this user; its interpreter must not lie in root's own folder."""
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


def has_name(uid: int) -> bool:
    return any(entry.pw_uid == uid for entry in pwd.getpwall())
