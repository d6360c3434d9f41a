"""The n8n node passes n8n's lint, compiles strictly, and processes photos."""

import shutil
from pathlib import Path

import pytest

from smart_filter_tests.full_stack import KEY, PHOTO, RunningStack
from smart_filter_tests.node_projects import install_packages, run_to_end

pytestmark = pytest.mark.timeout(900)  # the first test installs the packages

NODE = Path(__file__).parents[2] / "client" / "n8n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project with its packages."""
    packages = install_packages(NODE)
    copy = tmp_path_factory.mktemp("n8n") / NODE.name
    shutil.copytree(NODE, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (copy / "node_modules").symlink_to(packages / "node_modules")
    return copy


def test_node_passes_the_lint_of_n8n(project: Path) -> None:
    run_to_end(["npm", "run", "lint", "--", "--max-warnings", "0"], project)


def test_node_processes_photos(project: Path, running_stack: RunningStack) -> None:
    environment = {
        "SMART_FILTER_URL": str(running_stack.client.base_url).rstrip("/"),
        "SMART_FILTER_API_KEY": KEY,
        "PHOTO": str(PHOTO),
    }

    run_to_end(["npm", "run", "build"], project)
    run_to_end(["node", "--test", "tests/node.test.cjs"], project, environment)
