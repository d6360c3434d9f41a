"""Fixtures of the API over the bench, for tests that speak HTTP."""

from collections.abc import Iterator

import pytest

from integration.retention_api import RetentionApi
from smart_filter_api.auth.api_keys import Scope
from smart_filter_shared.db.process_roles import ProcessRole
from smart_filter_tests.bench import Bench, as_role
from smart_filter_tests.commands import Command, on_servers
from smart_filter_tests.maintenance import collector
from smart_filter_tests.serving import Api, Clock, Site, an_api, serve_api


@pytest.fixture(scope="session")
def clock() -> Clock:
    """The clock that decides when the API's cached values expire."""
    return Clock()


@pytest.fixture(scope="session")
def _site(_bench: Bench, clock: Clock) -> Iterator[Site]:
    with serve_api(_bench.settings, clock=clock) as site:
        yield site


@pytest.fixture
def api(_site: Site, bench: Bench, clock: Clock) -> Iterator[Api]:
    """The API over empty servers; nothing is cached from earlier tests."""
    clock.expire_caches()
    with an_api(_site, bench) as api:
        yield api


@pytest.fixture
def command(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command line on the empty servers, with the rights of the API's container."""
    return on_servers(as_role(bench.settings, ProcessRole.API), capsys, monkeypatch)


@pytest.fixture
def owner_command(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command line on the empty servers, with the rights of their owner."""
    return on_servers(bench.settings, capsys, monkeypatch)


@pytest.fixture
def remote_command(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command line of an administrator on another machine."""
    monkeypatch.setenv("SMART_FILTER_URL", api.url)
    monkeypatch.setenv("SMART_FILTER_API_KEY", api.key(*Scope))
    monkeypatch.setenv("SMART_FILTER_DATA", "/nonexistent")
    return Command(capsys)


@pytest.fixture
def local_command(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line without a service."""
    return Command(capsys)


@pytest.fixture
def retention_api(api: Api) -> RetentionApi:
    return RetentionApi(api, collector(api.bench))
