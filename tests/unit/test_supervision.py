import io
import json
import logging
from collections.abc import Iterator

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

    assert [(one["event"], one["log_level"], one.get("exc_info")) for one in logged] == [
        ("loop_step_failed", "error", True),
        ("loop_step_failed", "error", True),
        ("server_unavailable", "warning", None),
        ("loop_recovered", "info", None),
    ]
    assert logged[-1]["failures"] == 11


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Return a function that reads the process's log."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    logs.configure("api")
    yield stream
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize(
    "logger",
    [logs.logger("tests"), logging.getLogger("a.library")],
    ids=["ours", "of a library"],
)
def test_traceback_shows_no_values(written: io.StringIO, logger: logging.Logger) -> None:
    def fail(authorization: str) -> None:
        raise RuntimeError(f"failed with a key of {len(authorization)} characters")

    try:
        fail("sf_live_hush")
    except RuntimeError:
        logger.exception("request failed")

    (line,) = written.getvalue().splitlines()
    assert "hush" not in line
    assert json.loads(line)["exception"][0]["exc_type"] == "RuntimeError"
