"""Structure rules: short modules, and documents that match the code."""

import re
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import grimp
import pytest

from smart_filter_shared.pipeline import PIPELINE
from smart_filter_shared.queue.states import JobState, StageState

CHECKOUT = Path(__file__).parents[2]
MOST_LINES = 600
PRODUCT = "api", "client", "deploy", "shared", "training", "workers"
SOURCES = sorted(
    path
    for folder in (*PRODUCT, "tests", "benchmarks")
    for path in (CHECKOUT / folder).rglob("*.py")
)
ROOTS = sorted(
    path.parent.name
    for folder in PRODUCT
    for path in (CHECKOUT / folder).glob("smart_filter*/__init__.py")
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
    graph = grimp.build_graph(*ROOTS, cache_dir=None)
    packages = {name for name in graph.modules if graph.find_children(name)}
    called_by, calls = defaultdict(set), defaultdict(set)
    for caller in graph.modules:
        for called in graph.find_modules_directly_imported_by(caller):
            outer, inner = (
                name if name in packages else name.rpartition(".")[0] for name in (caller, called)
            )
            calls[outer].update(name_for(inner, outer))
            called_by[inner].update(name_for(outer, inner))

    right = {
        name: f"Called by {', '.join(sorted(called_by[name])) or 'modules above'}. "
        f"Calls {', '.join(sorted(calls[name])) or 'nothing'}."
        for name in packages
        if re.match("smart_filter_(api|shared|workers)(?!.*migrations)", name)
    }
    assert len(right) > 80
    assert {
        name: lines
        for name, lines in right.items()
        if lines not in " ".join(str(import_module(name).__doc__).split())
    } == {}


def name_for(neighbor: str, package: str) -> list[str]:
    """Return how a package names another: shared, networks, or stages.face next to stages.smile.

    None for the packages that contain it or are within it.
    """
    root, *path = neighbor.split(".")
    own_root, *own_path = package.split(".")
    if root != own_root:
        return [root.removeprefix("smart_filter_").replace("smart_filter", "deploy")]
    if all(map(str.__eq__, path, own_path)):
        return []
    return [".".join(path) if path[0] == own_path[0] else path[0]]


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
