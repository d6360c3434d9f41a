"""Below the address of remove.bg's interface all errors are theirs, where there is nothing too."""

from collections.abc import Iterator

import pytest

from smart_filter_tests.removing import Removing, code_of, removing
from smart_filter_tests.serving import Api


@pytest.fixture
def client(api: Api) -> Iterator[Removing]:
    """Somebody who asks as clients of remove.bg do."""
    with removing(api) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "said", "allow"),
    [
        ("GET", "/v1.0/removebg", (405, "method_not_allowed"), "POST"),
        ("POST", "/v1.0/account", (405, "method_not_allowed"), "GET, HEAD"),
        ("POST", "/v1.0/removebg/", (404, "not_found"), None),
        ("GET", "/v1.0/nothing", (404, "not_found"), None),
    ],
)
def test_what_there_is_not_is_told_in_their_envelope(
    client: Removing, method: str, path: str, said: tuple[int, str], allow: str | None
) -> None:
    answer = client.client.request(method, path)

    assert code_of(answer) == said
    assert answer.headers.get("Allow") == allow
