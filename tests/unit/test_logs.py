"""Logs: what must not be in them."""

import io
import json
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
    structlog.reset_defaults()
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
