"""The API over the bench, for the tests that speak HTTP."""

from collections.abc import Iterator

import pytest

from smart_filter_tests.bench import Bench
from smart_filter_tests.serving import Api, an_api, serving


@pytest.fixture(scope="session")
def _api_url(_bench: Bench) -> Iterator[str]:
    with serving(_bench.settings) as url:
        yield url


@pytest.fixture
def api(_api_url: str, bench: Bench) -> Iterator[Api]:
    """The API over empty servers."""
    with an_api(_api_url, bench) as api:
        yield api
