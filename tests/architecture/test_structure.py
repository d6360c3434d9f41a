"""Structure rules: short modules, and documents that match the code."""

import ast
import re
from pathlib import Path

import pytest

from smart_filter_shared.pipeline import PIPELINE
from smart_filter_shared.queue.states import JobState, StageState

CHECKOUT = Path(__file__).parents[2]
MOST_LINES = 600
SOURCES = sorted(
    path
    for folder in (
        "api",
        "client",
        "deploy",
        "shared",
        "training",
        "workers",
        "tests",
        "benchmarks",
    )
    for path in (CHECKOUT / folder).rglob("*.py")
)
LOCKS = sorted((CHECKOUT / "requirements").glob("*.lock"))


def test_module_is_short_enough() -> None:
    lines = {path: path.read_text().count("\n") for path in SOURCES}

    too_long = {str(path): many for path, many in lines.items() if many > MOST_LINES}
    assert too_long == {}, "look for the second concept in it and move that out"


def test_architecture_page_describes_every_stage_in_order() -> None:
    page = (CHECKOUT / "docs" / "architecture.md").read_text()
    _, _, after = page.partition("| stage | reads | makes |")
    table, _, _ = after.partition("\n\n")
    described = re.findall(r"^\| ([a-z]+) \| [^|]+ \| [^|]+ \|$", table, re.MULTILINE)

    assert described == [str(stage.name) for stage in PIPELINE]


def test_architecture_page_draws_every_state() -> None:
    page = (CHECKOUT / "docs" / "architecture.md").read_text()

    assert [state for state in (*StageState, *JobState) if state not in page] == []


def test_package_says_what_calls_it_and_what_it_calls() -> None:
    packages = [
        path
        for folder in ("api", "shared", "workers")
        for path in (CHECKOUT / folder).rglob("__init__.py")
        if "migrations" not in path.parts
    ]

    silent = [
        str(path)
        for path in packages
        if not re.search(r"^Called by .+\.$\n^Calls .+\.$", as_lines(path), re.MULTILINE)
    ]

    assert len(packages) > 80
    assert silent == []


def as_lines(package: Path) -> str:
    """Return the docstring of a package, each of its sentences on one line."""
    text = ast.get_docstring(ast.parse(package.read_text())) or ""
    return re.sub(r"\n(?!Call|\n)", " ", text)


def test_only_one_module_imports_onnx_runtime() -> None:
    statement = re.compile(r"^ *(?:import|from) onnxruntime\b", re.MULTILINE)
    scripts = [*SOURCES, *(CHECKOUT / "docs").rglob("*.py")]

    found = [path for path in scripts if statement.search(path.read_text())]

    assert found == [CHECKOUT / "workers/smart_filter_workers/networks/runtimes/onnx_network.py"]


def test_no_text_names_a_path_of_one_machine() -> None:
    texts = [path for path in SOURCES if path != Path(__file__)]
    texts += [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")]

    found = [
        str(path) for path in texts if re.search(r"(^|[^\w.])/(work|farm|home)/", path.read_text())
    ]

    assert found == []


@pytest.mark.parametrize(
    "lock", sorted((CHECKOUT / "requirements").glob("*.lock")), ids=lambda path: path.name
)
def test_locks_hold_digests_of_all_and_torch_where_its_build_is_decided(lock: Path) -> None:
    # torch's builds for CPU and CUDA share a version; detectron2 is on no registry.
    has_torch = lock.name in {"torch.lock", "worker-gpu.lock"}
    text = lock.read_text()

    pinned = re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[a-z,]+\])?==", text, re.MULTILINE)
    torch = {"torch", "torchvision"} if has_torch else set()
    assert {"torch", "torchvision", "detectron2"} & set(pinned) == torch
    assert text.count("--hash=sha256:") >= len(pinned) > 0
    assert "://" not in text


def test_folders_of_unit_tests_mirror_the_packages() -> None:
    unit = CHECKOUT / "tests" / "unit"
    folders = {path.parent.relative_to(unit) for path in unit.rglob("test_*.py")}

    unmatched = [
        folder
        for folder in folders
        if not any(
            (CHECKOUT / Path(*folder.parts[:1]) / package / Path(*folder.parts[1:])).is_dir()
            for package in (f"smart_filter_{folder.parts[0]}", "")
        )
    ]
    assert unmatched == []
