"""docs/extending.md adds a stage in at most nine files: done to a copy, which runs a photo."""

import json
import os
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from smart_filter_deploy.cli.server import program

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs" / "extending.md"
PHOTO = CHECKOUT / "tests" / "data" / "astronaut.png"
FOLDERS = ("api", "client", "deploy", "shared", "training", "workers")
MAX_FILES = 9


def blocks_by_file() -> dict[str, list[str]]:
    """Return the code blocks of the page's section "A stage", by the file that they belong to."""
    section = PAGE.read_text("utf-8").partition("## A stage")[2]
    found: dict[str, list[str]] = defaultdict(list)
    for part in re.split(r"^(?=\*\*\d\. )", section, flags=re.MULTILINE)[1:]:
        named = re.match(r"\*\*\d\. `([^`]+)`", part)
        assert named is not None
        found[named[1]] += re.findall(r"```python\n(.*?)```", part, flags=re.DOTALL)
    return found


def insert(text: str, block: str) -> str:
    """Insert a block at the place that its first line names."""
    where, _, code = block.partition("\n")
    places = {
        "# in StageName and in TaskName": r"(?m)^    COMPOSITE = \"composite\"\n",
        "# in PIPELINE": r"(?m)^    Stage\(\n        StageName\.COMPOSITE,",
        "# before RESULT_TYPES": r"(?m)^# The result of each stage;",
        "# in RESULT_TYPES": r"(?m)^    StageName\.COMPOSITE: CompositeResult,\n",
    }
    changed, times = re.subn(places[where], lambda match: code + match[0], text)
    assert times == (2 if where == "# in StageName and in TaskName" else 1)
    return changed


@pytest.mark.slow
def test_stage_of_at_most_nine_files_runs(
    tmp_path: Path, data_folder: Path, weights_folder: Path
) -> None:
    data = data_folder / "new_stage"
    shutil.copytree(weights_folder, data / "weights")
    blocks = blocks_by_file()
    for name in FOLDERS:
        shutil.copytree(
            CHECKOUT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name, parts in blocks.items():
        path = tmp_path / name
        if not path.exists() and parts:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(parts), "utf-8")
        elif path.suffix == ".py":
            for part in parts:
                path.write_text(insert(path.read_text("utf-8"), part), "utf-8")

    ended = subprocess.run(
        [
            *program.command("run", str(PHOTO)),
            *("--background", "preset:studio", "--set", "outputs=image,rating"),
            *("-o", str(tmp_path / "out.jpg"), "--json"),
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(tmp_path / name) for name in FOLDERS),
            "SMART_FILTER_DATA": str(data),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert len(blocks) <= MAX_FILES
    assert ended.returncode == 0, ended.stderr + ended.stdout
    (job,) = [json.loads(line) for line in ended.stdout.splitlines()]
    states = {stage["name"]: stage["state"] for stage in job["stages"]}
    assert states["sharpness"] == "succeeded"
    assert set(states.values()) == {"succeeded"}
