"""Fixtures of the API over the bench, for tests that speak HTTP."""

from collections.abc import Iterator

import pytest

from smart_filter_tests.bench import Bench
from smart_filter_tests.commands import Command, on_servers
from smart_filter_tests.serving import Api, Clock, an_api, serve_api


@pytest.fixture(scope="session")
def clock() -> Clock:
    """The clock that decides when the API's cached values expire."""
    return Clock()


@pytest.fixture(scope="session")
def _api_url(_bench: Bench, clock: Clock) -> Iterator[str]:
    with serve_api(_bench.settings, clock=clock) as url:
        yield url


@pytest.fixture
def api(_api_url: str, bench: Bench, clock: Clock) -> Iterator[Api]:
    """The API over empty servers; nothing is cached from earlier tests."""
    clock.expire_caches()
    with an_api(_api_url, bench) as api:
        yield api


@pytest.fixture
def command(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command line on the empty servers."""
    return on_servers(bench.settings, capsys, monkeypatch)
