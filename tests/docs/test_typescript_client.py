"""The TypeScript client compiles strictly, and processes photos in Node.js."""

from pathlib import Path

import pytest

from smart_filter_tests.full_stack import KEY, PHOTO, RunningStack
from smart_filter_tests.node_projects import compile_client, run_to_end


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the client, compiled with its tests."""
    return compile_client(tmp_path_factory.mktemp("typescript"), "tests")


def test_client_without_a_server_behaves_as_documented(compiled: Path) -> None:
    run_to_end(["node", "--test", "tests/compiled/client.test.js"], compiled)


def test_client_processes_photos(compiled: Path, running_stack: RunningStack) -> None:
    environment = {
        "SMART_FILTER_URL": str(running_stack.client.base_url),
        "SMART_FILTER_API_KEY": KEY,
        "PHOTO": str(PHOTO),
    }

    run_to_end(["node", "--test", "tests/compiled/service.test.js"], compiled, environment)
