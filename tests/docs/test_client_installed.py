"""The distribution smart-filter-client, installed alone: its size, what it needs, its types."""

import json
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).parents[2]
MOST_BYTES = 100_000
RIGHT = """
import asyncio
import datetime as dt
from pathlib import Path

from smart_filter_client import AsyncClient, Client, Item, Job, JobState, OutputName, Recipe

recipe: Recipe = {
    "background": "color:navy",
    "outputs": ["image", "cutout"],
    "crop": "faces",
    "filters": ["hat"],
    "filters.hat.kind": "santa",
    "segmentation": {"model": "people", "params": {"threshold": 0.5}},
    "metadata": {"order": "17"},
}


def blocking(client: Client) -> JobState:
    job = client.run(Path("me.jpg"), recipe, timeout=60)
    job.save("me.jpg")
    job.save(Path("me.png"), "cutout")
    names: list[OutputName] = list(job.outputs)
    failed: list[Job] = list(client.jobs(state="failed", created_after=dt.datetime.now(dt.UTC)))
    client.submit_batch([b"photo", Item("https://example.com/a.jpg", {"crop": True})], best=1)
    client.create_webhook("https://example.com", ["job.failed"])
    client.change_tenant("me", {"keep_nothing": True, "jobs_waiting": None, "link_seconds": 120})
    print(names, failed, [one.name for one in client.filters()], client.background_keywords())
    return "succeeded" if job.state == "succeeded" else job.state


async def awaited(client: AsyncClient) -> None:
    job = await client.run(b"photo", {"background": "transparent"})
    job.save("me.png")
    async for event in client.stream(job.id):
        print(event.type)


with Client("http://localhost:8000", "key") as client:
    print(blocking(client))
asyncio.run(awaited(AsyncClient("http://localhost:8000", "key")))
"""
WRONG = (
    'client.submit(b"", {"backgroud": "auto"})',
    'client.submit(b"", {"outputs": ["imgae"]})',
    'client.submit(b"", {"format": "jpeg"})',
    'client.submit(b"", wiat=3)',
    'client.job("j").state == "suceeded"',
    'client.jobs(state="done")',
    'client.download("j", "imag", Path("a.jpg"))',
    'client.change_tenant("t", {"jobs_wating": 1})',
    'client.wait("j").stages[0].state == "done"',
)


def run(*command: str | Path) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("checkout") / "client"
    shutil.copytree(CHECKOUT / "client", copy, ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path_factory.mktemp("wheels")
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"),
        *("--no-build-isolation", "--wheel-dir", folder, copy),
    )
    [built] = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel, and with what it says that it needs."""
    environment = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
        *("--no-index", "--no-deps", wheel),
    )
    (packages,) = environment.glob("lib/python*/site-packages")
    for name in needed_by("httpx") | needed_by("httpx-sse"):
        for file in metadata.files(name) or ():
            if ".." not in file.parts:
                place = packages / file
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), place)
    return python


def needed_by(name: str) -> set[str]:
    """Return the names of a distribution and of all that it needs, as installed here."""
    names = {name}
    for text in metadata.requires(name) or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            names |= needed_by(requirement.name)
    return names


def errors_of(python: Path, program: Path) -> list[dict[str, object]]:
    """Return what mypy finds in a program of the environment."""
    command = [
        *(sys.executable, "-m", "mypy", "--strict", "--output", "json"),
        *("--cache-dir", str(program.parent / "cache"), "--python-executable", str(python)),
        str(program),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=program.parent)
    assert not ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines() if line]


def test_wheel_holds_the_client_alone_and_needs_httpx_and_its_events(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [about] = [name for name in names if name.endswith("METADATA")]
        needs = [
            line for line in archive.read(about).decode().splitlines() if "Requires-Dist" in line
        ]

    assert {name.partition("/")[0] for name in names} == {
        "smart_filter_client",
        "smart_filter_wire",
        "smart_filter_client-0.1.0.dist-info",
    }
    assert "smart_filter_client/py.typed" in names
    assert needs == ["Requires-Dist: httpx-sse>=0.4.3", "Requires-Dist: httpx>=0.28"]
    assert wheel.stat().st_size < MOST_BYTES


def test_client_works_with_what_it_says_that_it_needs(python: Path) -> None:
    program = "import smart_filter_client as c; print(c.Client('http://localhost:1').url)"

    assert run(python, "-I", "-c", program) == "http://localhost:1\n"


def test_right_program_passes_and_each_typo_is_a_type_error(python: Path, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(RIGHT)
    head = "from pathlib import Path\nfrom smart_filter_client import Client\nclient = Client('')\n"
    wrong.write_text(head + "\n".join(WRONG))

    faults = errors_of(python, wrong)

    assert errors_of(python, right) == []
    assert {rule["severity"] for rule in faults} == {"error"}
    assert [rule["line"] for rule in faults] == list(range(4, 4 + len(WRONG)))
    assert faults[0]["message"] == 'Extra key "backgroud" for TypedDict "Recipe"'
