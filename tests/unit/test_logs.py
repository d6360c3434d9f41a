"""Logs: what must not be in them."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from smart_filter_shared.telemetry import logs


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a process writes to its log."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    logs.configure("api")
    yield stream
    structlog.contextvars.clear_contextvars()


def test_traceback_shows_no_values(written: io.StringIO) -> None:
    def fail(authorization: str) -> None:
        raise RuntimeError(f"failed with a key of {len(authorization)} characters")

    try:
        fail("sf_live_hush")
    except RuntimeError:
        logs.logger("tests").exception("request failed")

    (line,) = written.getvalue().splitlines()
    assert "hush" not in line
    assert json.loads(line)["exception"][0]["exc_type"] == "RuntimeError"


def test_what_libraries_log_is_an_event_like_ours(written: io.StringIO) -> None:
    logging.getLogger("somebodys.library").warning("%s is away", "the broker")

    told = json.loads(written.getvalue())

    assert (told["part"], told["process"], told["level"], told["event"]) == (
        *("somebodys.library", "api"),
        *("warning", "the broker is away"),
    )


def test_their_tracebacks_show_no_values_either(written: io.StringIO) -> None:
    def fail(authorization: str) -> None:
        raise RuntimeError(f"failed with a key of {len(authorization)} characters")

    try:
        fail("sf_live_hush")
    except RuntimeError:
        logging.getLogger("somebodys.library").exception("failed")

    assert "hush" not in written.getvalue()
    assert json.loads(written.getvalue())["exception"][0]["exc_type"] == "RuntimeError"
