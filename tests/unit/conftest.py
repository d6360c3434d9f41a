"""Fixtures of the unit tests."""

import pytest

from smart_filter_tests.clients import ClientDriver, MakeClient


@pytest.fixture(params=["blocking", "awaited"])
def make_client(request: pytest.FixtureRequest) -> MakeClient:
    """Make a client of either kind whose server is a function."""
    return lambda handler: ClientDriver(handler, is_async=request.param == "awaited")
