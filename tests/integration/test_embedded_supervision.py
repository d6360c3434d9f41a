"""What a stack does when one of its children dies, does not start, or does not stop."""

import http.client
import io
import os
import select
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from minio import Minio

from smart_filter_deploy.embedded.children import Command
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.signals import StopRequest
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.errors import SetupFailed

PATIENT = "import signal; signal.pause()"


@pytest.fixture(scope="module")
def folder() -> Iterator[DataFolder]:
    # Not pytest's folder, which no other user may enter: as root PostgreSQL is another user.
    with tempfile.TemporaryDirectory(prefix="smart-filter-tests-") as folder:
        yield DataFolder.at(Path(folder))


@pytest.fixture
def stack(folder: DataFolder) -> Iterator[Stack]:
    with Stack(folder) as stack:
        yield stack


def python(program: str, *, name: str = "worker-1", **more: object) -> Command:
    return Command(name=name, argv=(sys.executable, "-c", program), **more)  # type: ignore[arg-type]  # the test's own words


def dsn(stack: Stack) -> str:
    return stack.addresses.database_url.replace("+psycopg", "")


def broker(stack: Stack) -> redis.Redis:
    return redis.Redis.from_url(stack.addresses.broker_url)


def store(stack: Stack) -> Minio:
    there = stack.addresses
    return Minio(
        urlsplit(there.storage_url).netloc,
        access_key=there.storage_access_key,
        secret_key=there.storage_secret_key,
        secure=False,
        region="us-east-1",
    )


def until(stack: Stack, holds: Callable[[], bool]) -> None:
    """Tend the stack until something holds; fail after about ten seconds."""
    clock = StopRequest()
    for _ in range(500):
        stack.tend()
        if holds():
            return
        clock.wait(0.02)
    pytest.fail("it did not happen within ten seconds")


def test_killed_postgres_comes_back_with_what_was_committed(stack: Stack) -> None:
    with psycopg.connect(dsn(stack), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('word')")

    stack.kill("postgres")
    until(stack, lambda: answers(lambda: psycopg.connect(dsn(stack)).close()))

    with psycopg.connect(dsn(stack)) as connection:
        assert connection.execute("SELECT word FROM kept").fetchall() == [("word",)]


def test_command_that_runs_once_is_awaited_and_not_started_again(
    stack: Stack, tmp_path: Path
) -> None:
    mark = tmp_path / "runs"
    program = f"import time; time.sleep(0.2); open({str(mark)!r}, 'a').write('once ')"

    stack.start(python(program, name="prepare", once=True))
    ran = mark.read_text()
    stack.tend()

    assert ran == "once "
    assert stack.pid("prepare") is None


def test_command_that_runs_once_and_fails_is_told_with_its_last_words(stack: Stack) -> None:
    with pytest.raises(SetupFailed, match="prepare failed: no such table"):
        stack.start(python("raise SystemExit('no such table')", name="prepare", once=True))


def test_killed_valkey_comes_back_with_its_messages(stack: Stack) -> None:
    with broker(stack) as client:
        client.lpush("kept", "message")

        stack.kill("valkey")
        until(stack, lambda: answers(client.ping))

        assert client.lrange("kept", 0, -1) == [b"message"]


def test_killed_s3_comes_back_with_its_objects(stack: Stack) -> None:
    store(stack).make_bucket("kept")
    store(stack).put_object("kept", "a/b", io.BytesIO(b"bytes"), 5)

    stack.kill("s3")
    until(stack, lambda: answers(lambda: say_hello(stack)))

    with store(stack).get_object("kept", "a/b") as answer:
        assert answer.read() == b"bytes"


def test_stopped_server_is_started_in_the_same_place(stack: Stack) -> None:
    before = stack.pid("valkey")

    stack.restart("valkey")

    with broker(stack) as client:
        assert client.info()["process_id"] == stack.pid("valkey") != before


def answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except (psycopg.OperationalError, redis.ConnectionError, ConnectionError):
        return False
    return True


def say_hello(stack: Stack) -> None:
    connection = http.client.HTTPConnection(urlsplit(stack.addresses.storage_url).netloc)
    connection.connect()
    connection.close()


def test_killed_command_comes_back(stack: Stack) -> None:
    stack.start(python(PATIENT))
    before = stack.pid("worker-1")

    stack.kill("worker-1")
    until(stack, lambda: stack.pid("worker-1") not in {before, None})

    assert stack.pid("worker-1") is not None


def test_command_that_keeps_dying_is_logged_and_never_given_up(
    stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    stack.start(python("raise SystemExit('no such model')"))

    until(stack, lambda: len(caplog.messages) >= 3)

    assert all("worker-1 ended (1)" in message for message in caplog.messages)
    log = stack.folder.log("worker-1")
    assert all(str(log) in message for message in caplog.messages)
    assert "no such model" in log.read_text()
    pauses = [message.partition("again in ")[2].split()[0] for message in caplog.messages]
    assert pauses[:3] == ["0.1", "0.2", "0.4"]


def test_command_that_ends_instead_of_getting_ready_is_told_with_its_own_words(
    stack: Stack,
) -> None:
    with pytest.raises(SetupFailed, match=r"^api did not start: no such model$"):
        stack.start(python("raise SystemExit('no such model')", name="api", ready=lambda: False))


def test_command_that_never_gets_ready_is_not_waited_for_longer_than_its_time(
    stack: Stack,
) -> None:
    command = python(PATIENT, name="api", ready=lambda: False, ready_seconds=0.1)

    with pytest.raises(SetupFailed, match=r"^api was not ready within 0\.1 s: it printed nothing$"):
        stack.start(command)


def test_program_that_does_not_exist_is_told_in_one_line(stack: Stack) -> None:
    command = Command(name="api", argv=("/no/such/program",), ready=lambda: False)

    with pytest.raises(SetupFailed, match=r"cannot run /no/such/program: No such file"):
        stack.start(command)


def test_command_is_told_where_the_servers_are(stack: Stack) -> None:
    script = "import os; print(*(f'{k}={v}' for k, v in os.environ.items()), sep='\\n', flush=True)"
    log = stack.folder.log("teller")

    stack.start(python(f"{script}; {PATIENT}", name="teller", env={"EXTRA": "word"}))
    until(stack, lambda: "EXTRA=" in log.read_text())

    told = dict(line.split("=", 1) for line in log.read_text().splitlines() if "=" in line)
    assert told["EXTRA"] == "word"
    assert {name: told[name] for name in stack.environment} == stack.environment
    assert told["SMART_FILTER_DATA"] == str(stack.folder.path)


def test_command_that_ignores_the_request_to_stop_is_killed(folder: DataFolder) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
    log = folder.log("deaf")
    with Stack(folder) as stack:
        stack.start(python(f"{deaf}; {PATIENT}", name="deaf", stop_seconds=0.1))
        until(stack, lambda: "deaf" in log.read_text())
        pid = stack.pid("deaf")

    assert not Path(f"/proc/{pid}").exists()


def test_frozen_command_hears_the_request_to_stop(folder: DataFolder) -> None:
    polite = (
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye')));"
        "print('hello', flush=True)"
    )
    log = folder.log("polite")
    with Stack(folder) as stack:
        stack.start(python(f"{polite}; {PATIENT}", name="polite"))
        until(stack, lambda: "hello" in log.read_text())
        stack.send("polite", signal.SIGSTOP)

    assert log.read_text().endswith("bye\n")


def test_what_a_dead_command_had_started_is_gone_too(stack: Stack) -> None:
    child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {PATIENT!r}])"
    stack.start(python(f"{child}; {PATIENT}"))
    until(stack, lambda: len(stack.pids("worker-1")) == 2)
    worker, grandchild = stack.pids("worker-1")
    descriptor = os.pidfd_open(grandchild)

    os.kill(worker, signal.SIGKILL)
    until(stack, lambda: stack.pid("worker-1") not in {worker, None})

    assert select.select([descriptor], [], [], 10)[0]
    os.close(descriptor)


def test_children_are_refused_to_other_threads_whose_end_would_kill_them(stack: Stack) -> None:
    caught: list[BaseException] = []

    def start() -> None:
        try:
            stack.start(python(PATIENT))
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

    assert "main thread" in str(caught[0])


def test_long_log_is_set_aside_at_the_next_start(stack: Stack) -> None:
    log = stack.folder.log("worker-1")
    log.write_bytes(b"x" * 10_000_001)

    stack.start(python("print('new', flush=True); " + PATIENT))
    until(stack, lambda: log.read_text() == "new\n")

    assert log.with_suffix(".log.1").stat().st_size == 10_000_001


def test_request_to_stop_during_the_start_ends_the_start_quietly(folder: DataFolder) -> None:
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        with Stack(folder, stop=stop):
            pytest.fail("it started")

    with Stack(folder) as stack:
        assert stack.names == ("postgres", "valkey", "s3")
