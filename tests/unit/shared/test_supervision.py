import json
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest
import structlog
from structlog.testing import capture_logs

from smart_filter_shared.errors import DatabaseUnavailable
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry import logs

DEFECT, AWAY = RuntimeError("defect"), DatabaseUnavailable("away")


def fail(loop: SupervisedLoop, error: Exception) -> float:
    with loop.step():
        raise type(error)(*error.args)  # the traceback of one would grow with each raise
    return loop.pause_seconds


def succeed(loop: SupervisedLoop) -> float:
    with loop.step():
        pass
    return loop.pause_seconds


def test_pause_after_errors_doubles_up_to_its_bound() -> None:
    bounded = SupervisedLoop("test", every_seconds=0.5, longest_pause_seconds=5)
    endless = SupervisedLoop("test", every_seconds=1, most_failures=None)

    assert [fail(bounded, DEFECT) for _ in range(5)] == [1, 2, 4, 5, 5]
    assert [fail(endless, DEFECT) for _ in range(2000)][-1] == 30


def test_unreachable_server_is_retried_every_second_endlessly() -> None:
    loop = SupervisedLoop("test", every_seconds=3600, most_failures=2)

    assert {fail(loop, AWAY) for _ in range(100)} == {1}


def test_loop_gives_up_after_too_many_errors_in_a_row() -> None:
    loop = SupervisedLoop("test", every_seconds=1, most_failures=3)
    fail(loop, RuntimeError("first"))
    fail(loop, RuntimeError("second"))

    with pytest.raises(RuntimeError, match="third"):
        fail(loop, RuntimeError("third"))


def test_repeated_error_is_logged_once_and_with_its_traceback() -> None:
    loop = SupervisedLoop("test", every_seconds=1)

    with capture_logs() as logged:
        for error in (*[DEFECT] * 5, ValueError("another"), *[AWAY] * 5):
            fail(loop, error)
        succeed(loop)

    assert [(event["event"], event["log_level"], event.get("exc_info")) for event in logged] == [
        ("loop_step_failed", "error", True),
        ("loop_step_failed", "error", True),
        ("server_unavailable", "warning", None),
        ("loop_recovered", "info", None),
    ]
    assert logged[-1]["failures"] == 11


@pytest.fixture
def written(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], str]]:
    """Return a function that reads the process's log."""
    monkeypatch.setattr("sys.stdout", sys.stdout)  # restored afterwards
    monkeypatch.setattr("sys.stderr", sys.stderr)
    logs.configure("api")
    yield lambda: capfd.readouterr().err
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize(
    "logger",
    [logs.logger("tests"), logging.getLogger("a.library")],
    ids=["ours", "of a library"],
)
def test_traceback_shows_no_values(written: Callable[[], str], logger: logging.Logger) -> None:
    def fail(authorization: str) -> None:
        raise RuntimeError(f"failed with a key of {len(authorization)} characters")

    try:
        fail("sf_live_hush")
    except RuntimeError:
        logger.exception("request failed")

    (line,) = written().splitlines()
    assert "hush" not in line
    assert json.loads(line)["exception"][0]["exc_type"] == "RuntimeError"


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


def test_event_that_cannot_be_formatted_is_dropped(written: Callable[[], str]) -> None:
    logs.logger("tests").info("odd", value=Unprintable())
    logs.logger("tests").info("fine")

    assert [json.loads(line)["event"] for line in written().splitlines()] == ["fine"]


LOG_MUCH = """
import logging, sys
from smart_filter_shared.telemetry import logs
logs.configure("tests")
for number in range(2000):
    logs.logger("tests").info("event", number=number)
    logging.getLogger("a.library").warning("of a library")
    print("printed", file=sys.stderr)
    print("printed")
"""


@pytest.mark.parametrize("stream", ["full disk", "closed pipe", "closed file", "read-only"])
def test_streams_that_take_nothing_do_not_raise(stream: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    target = {
        "full disk": lambda: os.open("/dev/full", os.O_WRONLY),
        "closed pipe": lambda: writer,
        "closed file": lambda: writer,
        "read-only": lambda: os.open("/dev/zero", os.O_RDONLY),
    }[stream]()
    program = f"import os; os.close(2); {LOG_MUCH}" if stream == "closed file" else LOG_MUCH

    process = subprocess.run(
        [sys.executable, "-c", program], stdout=target, stderr=target, check=False
    )
    for descriptor in {writer, target}:
        os.close(descriptor)

    assert process.returncode == 0


CUT_LINE = """
import resource, sys
from smart_filter_shared.telemetry.streams import replace_standard_streams
replace_standard_streams("stderr")
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, most))
for line in ("first", "second", "third"):
    sys.stderr.write(line + "\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
sys.stderr.write("fourth\\n")
sys.stderr.write("fifth\\n")
"""


def test_line_after_a_cut_one_starts_a_new_line(tmp_path: Path) -> None:
    log = tmp_path / "log"

    with log.open("ab") as stream:
        subprocess.run([sys.executable, "-c", CUT_LINE], stderr=stream, check=True)

    assert log.read_text() == "first\nseco\nfourth\nfifth\n"


# Each stops feeding its watchdog as a process does whose main loop is stuck.
STUCK: Final = MappingProxyType(
    {
        "at the start": "Watchdog().allow(0.1); time.sleep(60)",
        "in its loop": "w = Watchdog(0.1); w.allow(); w.feed(); time.sleep(60)",
        "at the end": """
            watchdog = Watchdog(60); watchdog.allow(); watchdog.limit(0.1)
            while True:
                watchdog.feed()
        """,
        "in an extension": """
            watchdog = Watchdog(0.1); watchdog.allow(); watchdog.feed()
            ctypes.PyDLL(None).sleep(60)  # holds the interpreter
        """,
    }
)


@pytest.mark.parametrize("code", STUCK.values(), ids=STUCK)
def test_stuck_process_ends_with_its_traceback(code: str) -> None:
    ended = run_watched(code)

    assert ended.returncode == 1
    assert "Timeout (" in ended.stderr
    assert 'File "<string>", line' in ended.stderr


@pytest.mark.slow
def test_process_that_makes_progress_lives() -> None:
    ended = run_watched("""
        watchdog = Watchdog(1)
        watchdog.feed()  # without effect: it is off
        time.sleep(1.1)
        watchdog.allow()
        for _ in range(25):
            watchdog.feed()
            time.sleep(0.05)
        watchdog.stop()
        time.sleep(1.1)
    """)

    assert (ended.returncode, ended.stderr) == (0, "")


def run_watched(code: str) -> subprocess.CompletedProcess[str]:
    imports = "import ctypes, time\nfrom smart_filter_shared.supervision import Watchdog\n"
    return subprocess.run(
        [sys.executable, "-c", imports + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
    )
