"""What unit tests share."""

import pytest

from smart_filter_tests.clients import Asked, Asking


@pytest.fixture(params=["blocking", "awaited"])
def asking(request: pytest.FixtureRequest) -> Asking:
    """Either client, of a server that is a function."""
    return lambda handler: Asked(handler, is_async=request.param == "awaited")
