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
