"""Clients that generators make of docs/openapi.json compile strictly and process a photo."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image

from smart_filter_tests.full_stack import KEY, PHOTO, RunningStack
from smart_filter_tests.node_projects import install_packages, run_to_end
from smart_filter_tests.openapi_document import OPENAPI

CLIENTS = Path(__file__).parents[1] / "clients"
PATIENCE_SECONDS = 240


@pytest.fixture(scope="module")
def node_project() -> Path:
    """Return a folder with the npm packages of tests/clients, which are installed once."""
    return install_packages(CLIENTS)


@pytest.fixture(scope="module")
def compiled(node_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with both TypeScript clients, generated and compiled."""
    here = tmp_path_factory.mktemp("typescript")
    for file in (CLIENTS / "package.json", *CLIENTS.glob("*.js"), *CLIENTS.glob("*.ts")):
        shutil.copy(file, here)
    shutil.copy(CLIENTS / "tsconfig.json", here)
    (here / "node_modules").symlink_to(node_project / "node_modules")
    programs = here / "node_modules" / ".bin"
    run_to_end(
        [programs / "openapi-typescript", OPENAPI, "-o", "generated/openapi_typescript.ts"], here
    )
    run_to_end([programs / "openapi-ts", "-i", OPENAPI], here)
    run_to_end([programs / "tsc", "--project", "."], here)
    return here


@pytest.fixture(scope="module")
def python_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a Python client; its generator left nothing out."""
    here = tmp_path_factory.mktemp("python")
    settings = CLIENTS / "openapi_python_client.yaml"
    program = Path(sys.executable).with_name("openapi-python-client")
    said = run_to_end(
        (
            *(program, "generate", "--path", OPENAPI, "--config", settings, "--fail-on-warning"),
            *("--meta", "none", "--output-path", here / "generated_client"),
        ),
        here,
        {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"},
    )
    assert "WARNING" not in said
    shutil.copy(CLIENTS / "openapi_python.py", here)
    return here


def ran(
    program: Sequence[str | Path], here: Path, stack: RunningStack, picture: Path
) -> Iterator[dict[str, object]]:
    """Run a client against a stack; yield the jobs that it shows."""
    said = run_to_end([*program, str(stack.client.base_url), KEY, PHOTO, picture], here)
    for line in said.splitlines():
        yield json.loads(line)


def test_openapi_document_passes_the_linter(node_project: Path) -> None:
    spectral = node_project / "node_modules" / ".bin" / "spectral"
    rules = CLIENTS / ".spectral.yaml"

    run_to_end([spectral, "lint", "--fail-severity=hint", "--ruleset", rules, OPENAPI], CLIENTS)


@pytest.mark.parametrize("client", ["openapi_fetch", "hey_api"])
def test_generated_typescript_client_processes_a_photo(
    client: str, compiled: Path, running_stack: RunningStack, tmp_path: Path
) -> None:
    picture = tmp_path / "picture.png"

    (shown,) = ran(["node", f"compiled/{client}.js"], compiled, running_stack, picture)

    job = running_stack.job(str(shown["id"]))
    assert (job["state"], job["recipe"]["background"]) == ("succeeded", "color:teal")
    assert job["metadata"] == {"order": "17"}
    assert shown["rating"] == job["rating"]["score"]
    with Image.open(picture) as opened:
        assert opened.format == "PNG"


def test_generated_python_client_processes_photos(
    python_client: Path, running_stack: RunningStack, tmp_path: Path
) -> None:
    picture = tmp_path / "picture.png"

    shown = ran([sys.executable, "openapi_python.py"], python_client, running_stack, picture)

    by_form, by_json = (running_stack.job(str(created["id"])) for created in shown)
    assert {by_form["state"], by_json["state"]} == {"succeeded"}
    assert by_form["recipe"]["background"] == by_json["recipe"]["background"] == "color:teal"
    assert [filter_["name"] for filter_ in by_form["recipe"]["filters"]] == ["grade"]
    assert by_json["metadata"] == {"order": "17"}
    with Image.open(picture) as opened:
        assert opened.format == "PNG"


def test_program_with_the_generated_python_client_is_typed(python_client: Path) -> None:
    options = ("--strict", "--no-incremental", "--config-file=")

    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "openapi_python.py"],
        cwd=python_client,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )

    # This module is the same for every API: the generator's own.
    own = "generated_client/client.py:"
    errors = [line for line in checked.stdout.splitlines() if ": error:" in line]
    assert "checked 1 source file" in checked.stdout
    assert [line for line in errors if not line.startswith(own)] == []
